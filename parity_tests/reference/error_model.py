"""How far apart two right answers may be: the bound of every tensor is derived here and nowhere else.

A float32 computation rounds at every step, so two correct programs differ.  By how much at most follows from

- the unit roundoff u of the dtype (2⁻²⁴ for float32, 2⁻⁵³ for float64),
- the length n of each sum: rounding errors that are independent grow like √n, so a sum is off by at most
  γ(n) = min(n, 7√n)·u times the sum of its terms' magnitudes.  (n·u is certain, to first order; 7√n·u fails for each
  of the n additions with probability 2·exp(−7²/2) = 5e-11, if their errors are independent and have mean zero: Higham
  and Mary, "A new approach to probabilistic rounding error analysis", 2019.)
- the magnitudes of the operands, taken from a float64 computation of the same step, and
- the errors of the inputs, carried through each formula by its derivative, and through a ReLU by asking whether the
  sign of its input is certain; those of different units add up as their squares do, those of different samples, which
  may be alike, as they are.

So the network is computed here a third time, in float64 and in the plainest way, with a bound beside every entry.  A
program is right if it stays within the bound of the float64 value; two programs agree if they are within twice that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

Array = np.ndarray
LAMBDA = 7.0
ELEMENTARY = 16.0  # exp, log, tanh and the sigmoid are within 4 units in the last place, 8 u, and err alike where alike


class Known(NamedTuple):
    """A float64 value, and how far a computed one may be from it."""

    value: Array
    error: Array

    @property
    def size(self) -> Array:
        """The largest magnitude that a computed value may have."""
        return np.abs(self.value) + self.error


def exact(value: Array) -> Known:
    """A value that both programs are given."""
    value = np.asarray(value, np.float64)
    return Known(value, np.zeros_like(value))


@dataclass(frozen=True)
class Rounding:
    """The arithmetic of one dtype."""

    dtype: str

    @property
    def u(self) -> float:
        """Unit roundoff."""
        return float(np.finfo(self.dtype).eps) / 2

    def gamma(self, n: int) -> float:
        """Relative error of a sum of n products."""
        return min(n, LAMBDA * np.sqrt(n)) * self.u

    def floor(self, known: Known) -> Known:
        """Numbers below the smallest normal one may be flushed to zero."""
        return Known(known.value, known.error + 100 * float(np.finfo(self.dtype).tiny))

    def product(self, a: Known, b: Known, *, over_samples: bool = False) -> Known:
        """The matrix product a b.

        The errors of a row of units are independent of each other and add up as their squares do.  Those of samples are
        not, since samples may be alike, nor are those of the weights b, which were trained on the same samples: they
        take the worst case.
        """
        if over_samples:
            carried = np.abs(a.value) @ b.error + a.error @ b.size
        else:
            carried = _root_of_squares(a.error, b.size) + np.abs(a.value) @ b.error
        rounded = self.gamma(a.value.shape[-1]) * (a.size @ b.size)
        return self.floor(Known(a.value @ b.value, carried + rounded))

    def dense(self, x: Known, W: Known, b: Known | None) -> Known:
        """The affine transformation x W + b."""
        if b is None:
            return self.product(x, W)
        one = Known(np.ones((len(x.value), 1)), np.zeros((len(x.value), 1)))
        return self.product(_joined(x, one, axis=1), _joined(W, Known(b.value[None], b.error[None]), axis=0))

    def activate(self, kind: str, z: Known) -> Known:
        """The activation function."""
        v, e = z
        nearest = np.maximum(np.abs(v) - e, 0)  # where in reach of z the slope of a sigmoid is largest
        if kind == "relu":
            return Known(np.maximum(v, 0), np.where(v <= -e, 0, e))
        if kind == "sigmoid":
            s, slope = _sigmoid(v), _sigmoid(nearest) * _sigmoid(-nearest)
            return self.floor(Known(s, np.minimum(slope * e, LAMBDA) + ELEMENTARY * self.u * s))
        if kind == "tanh":
            out, slope = np.tanh(v), 1 - np.tanh(nearest) ** 2
            return self.floor(Known(out, np.minimum(slope * e, 2 * LAMBDA) + ELEMENTARY * self.u * np.abs(out)))
        return self.softmax(z) if kind == "softmax" else z

    def softmax(self, z: Known) -> Known:
        """exp(z − max z), divided by its sum."""
        v, e = z
        centred = v - v.max(axis=1, keepdims=True)
        p = np.exp(centred) / np.exp(centred).sum(axis=1, keepdims=True)
        # An error d in a logit changes exp by a factor exp(d); the subtraction and exp itself round as well.
        own = e + self.u * np.abs(centred) + ELEMENTARY * self.u
        others = (p * own).sum(axis=1, keepdims=True) if own.max() < 0.1 else own.max(axis=1, keepdims=True)
        relative = np.expm1(np.minimum(own + 1.2 * others + self.gamma(v.shape[1]) + 2 * self.u, 50))
        return self.floor(Known(p, np.minimum(p * relative, LAMBDA)))

    def cross_entropy(self, z: Known, p: Known, t: Array) -> Known:
        """Mean over the samples of −Σ t·log softmax(z)."""
        v, e = z
        n, classes = v.shape
        centred = v - v.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(centred).sum(axis=1, keepdims=True))
        losses = (t * (log_sum - centred)).sum(axis=1)
        inner = (p.size * (e + self.u * np.abs(centred))).sum(axis=1, keepdims=True)
        inner = np.minimum(inner, e.max(axis=1, keepdims=True) + self.u * np.abs(centred).max(axis=1, keepdims=True))
        inner = inner + (ELEMENTARY + 4) * self.u + self.gamma(classes) + ELEMENTARY * self.u * log_sum
        outer = e + 3 * self.u * np.abs(centred) + self.gamma(classes) * (log_sum + np.abs(centred))
        error = (t * (inner + outer)).sum(axis=1)
        return Known(losses.mean(), error.mean() + self.gamma(n) * np.abs(losses).mean() + 2 * self.u * losses.mean())

    def cross_entropy_backward(self, p: Known, t: Array) -> Known:
        """(p·Σt − t) / N."""
        total, n = t.sum(axis=1, keepdims=True), len(t)
        error = p.error * total + ELEMENTARY * self.u * (p.size * total + t)
        return self.floor(Known((p.value * total - t) / n, error / n))

    def activate_backward(self, kind: str, dout: Known, z: Known, out: Known) -> Known:
        """Gradient with respect to z."""
        # An error of full size, such as that of a unit whose sign is uncertain, is no standard deviation: LAMBDA times
        # it stands for it, here and where the activations limit theirs, so that sums of squares leave room for several.
        (d, de), (o, oe), u = dout, out, self.u
        if kind == "relu":
            on, off = z.value > z.error, z.value <= -z.error
            return Known(np.where(z.value > 0, d, 0), np.where(on, de, np.where(off, 0, LAMBDA * dout.size)))
        if kind == "softmax":
            s, se = (d * o).sum(axis=1, keepdims=True), (dout.size * oe + de * np.abs(o)).sum(axis=1, keepdims=True)
            se = se + self.gamma(o.shape[1] + 2) * (dout.size * out.size).sum(axis=1, keepdims=True)
            error = oe * (np.abs(d - s) + de + se) + np.abs(o) * (de + se + 4 * u * (np.abs(d) + np.abs(s)))
            return self.floor(Known(o * (d - s), error))
        if kind == "linear":
            return dout
        slope = o * (1 - o) if kind == "sigmoid" else 1 - o * o
        # 1 − o loses digits where o is near 1: its error is absolute.
        slope_error = 2 * oe + 4 * u * (np.abs(o) if kind == "sigmoid" else 1)
        error = de * np.abs(slope) + dout.size * (slope_error + 4 * u * np.abs(slope))
        return self.floor(Known(d * slope, error))

    def sgd(self, w: Known, g: Known, v: Known, settings: "Settings") -> tuple[Known, Known]:
        """Weight and velocity after one update."""
        lr, m, u = settings.learning_rate, settings.momentum, self.u
        if settings.weight_decay is not None:
            decay = settings.weight_decay * lr
            w = Known(w.value * (1 - decay), w.error * (1 + decay) + u * w.size * (1 + 4 * decay))
        step = Known(lr * g.value, lr * g.error + 2 * u * lr * g.size)
        if m == 0:
            return self._add(w, Known(-step.value, step.error)), v
        v = self._add(Known(m * v.value, m * v.error + 2 * u * m * v.size), Known(-step.value, step.error))
        move = v
        if settings.nesterov:
            move = self._add(Known(m * v.value, m * v.error + 2 * u * m * v.size), Known(-step.value, step.error))
        return self._add(w, move), v

    def clip(self, grads: list[Known], settings: "Settings") -> list[Known]:
        """Gradients after clipping."""
        if settings.clipvalue:
            return [Known(np.clip(g.value, -settings.clipvalue, settings.clipvalue), g.error) for g in grads]
        if settings.clipnorm:
            return [self._scaled([g], settings.clipnorm)[0] for g in grads]
        return self._scaled(grads, settings.global_clipnorm) if settings.global_clipnorm else grads

    def _scaled(self, grads: list[Known], limit: float) -> list[Known]:
        norm = np.sqrt(sum((g.value**2).sum() for g in grads))
        off = np.sqrt(sum((g.error**2).sum() for g in grads)) / max(norm, limit)
        relative = off + self.gamma(sum(g.value.size for g in grads)) + 6 * self.u
        factor = limit / max(norm, limit)
        return [Known(g.value * factor, factor * (g.error + relative * g.size)) for g in grads]

    def _add(self, a: Known, b: Known) -> Known:
        value = a.value + b.value
        return self.floor(Known(value, a.error + b.error + self.u * (np.abs(value) + a.error + b.error)))


class Settings(NamedTuple):
    """Those of SGD."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None


@dataclass
class Shadow:
    """A network in float64, with a bound beside every number.

    Attributes:
        layers: name, kind and activation of each layer; every layer but ``Dense`` and ``Flatten`` only activates.
        weights: W and b (or None) of each Dense layer, by its name.
        rounding: the arithmetic whose errors are bounded.
        settings: those of SGD.
    """

    layers: Sequence[tuple[str, str, str]]
    weights: dict[str, tuple[Known, Known | None]]
    rounding: Rounding
    settings: Settings = field(default_factory=Settings)
    velocities: dict[str, list[Known]] = field(default_factory=dict)

    def outputs(self, x: Known) -> dict[str, tuple[Known, Known]]:
        """Z and out of each layer, by its name."""
        passed = {}
        x = Known(x.value.reshape(len(x.value), -1), x.error.reshape(len(x.error), -1))  # what Flatten does
        for name, kind, activation in self.layers:
            z = self.rounding.dense(x, *self.weights[name]) if kind == "Dense" else x
            x = self.rounding.activate(activation, z)
            passed[name] = z, x
        return passed

    def trace(self, x: Array, t: Array) -> dict[str, Known]:
        """What ``model.trace(x, t)`` returns, with bounds; a network without a softmax at its end gives logits."""
        given = exact(np.reshape(x, (len(x), -1)))
        passed = self.outputs(given)
        last, _, activation = self.layers[-1]
        z = passed[last][0] if activation == "softmax" else passed[last][1]
        p = self.rounding.softmax(z)
        dout = self.rounding.cross_entropy_backward(p, t)
        trace = {f"{name}/out": out for name, (_, out) in passed.items()}
        trace |= {"loss": self.rounding.cross_entropy(z, p, t), "loss/dx": dout}
        inputs = [given, *(out for _, out in passed.values())]
        for (name, kind, activation), x_in in reversed(list(zip(self.layers, inputs, strict=False))):
            if not (name == last and activation == "softmax"):
                dout = self.rounding.activate_backward(activation, dout, *passed[name])
            if kind == "Dense":
                W, b = self.weights[name]
                dz, dout = dout, self.rounding.product(dout, _transposed(W))
                trace[f"{name}/dx"] = dout
                trace[f"{name}/dW"] = self.rounding.product(_transposed(x_in), dz, over_samples=True)
                if b is not None:
                    ones = exact(np.ones((1, len(t))))
                    db = self.rounding.product(ones, dz, over_samples=True)
                    trace[f"{name}/db"] = Known(db.value[0], db.error[0])
            else:
                shape = np.shape(x) if kind == "Flatten" else dout.value.shape
                trace[f"{name}/dx"] = Known(dout.value.reshape(shape), dout.error.reshape(shape))
        return trace

    def step(self, x: Array, t: Array) -> dict[str, Known]:
        """One update of the weights, errors and all; returns the trace from before it."""
        trace = self.trace(x, t)
        keys = [(name, i) for name, pair in self.weights.items() for i in range(2) if pair[i] is not None]
        clipped = self.rounding.clip([trace[f"{name}/{('dW', 'db')[i]}"] for name, i in keys], self.settings)
        for (name, i), g in zip(keys, clipped, strict=True):
            pair, zeros = list(self.weights[name]), exact(np.zeros_like(g.value))
            old = self.velocities.setdefault(f"{name}/{i}", [zeros])[0]
            pair[i], self.velocities[f"{name}/{i}"][0] = self.rounding.sgd(pair[i], g, old, self.settings)
            self.weights[name] = pair[0], pair[1]
        return trace

    def parameters(self) -> dict[str, Known]:
        """The weights by the names that scratch gives them."""
        return {
            f"{name}/{key}": W
            for name, pair in self.weights.items()
            for key, W in zip("Wb", pair, strict=True)
            if W is not None
        }

    def at(self, weights: dict[str, Array], errors: dict[str, Array]) -> "Shadow":
        """The same network with other weights, each known up to its error."""

        def known(key: str) -> Known:
            return Known(np.array(weights[key], np.float64), errors[key])

        pairs = {
            name: (known(f"{name}/W"), None if b is None else known(f"{name}/b"))
            for name, (_, b) in self.weights.items()
        }
        return replace(self, weights=pairs)


def _root_of_squares(a: Array, b: Array) -> Array:
    """√(a² @ b²), scaled so that small numbers don't vanish when they are squared."""
    a_scale = np.abs(a).max(axis=1, keepdims=True, initial=1e-300)
    b_scale = np.abs(b).max(axis=0, keepdims=True, initial=1e-300)
    return np.sqrt(((a / a_scale) ** 2) @ ((b / b_scale) ** 2)) * a_scale * b_scale


def _joined(a: Known, b: Known, axis: int) -> Known:
    return Known(np.concatenate([a.value, b.value], axis), np.concatenate([a.error, b.error], axis))


def _transposed(a: Known) -> Known:
    return Known(a.value.T, a.error.T)


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
