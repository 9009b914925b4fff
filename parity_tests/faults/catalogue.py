"""Bugs that people really make, one at a time, put into a running scratch.

Each is a name and a patch: an attribute of one of scratch's modules or classes, and what stands there instead.  The
suite must catch every one of them; ``test_bugs`` says by which check.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scratch import callbacks, initializers, layers, losses, metrics, network, optimizers, training, utils
from scratch.ops import numpy_ops as ops

Array = np.ndarray


class Bug(NamedTuple):
    """What is wrong, where, and the wrong code."""

    name: str
    where: Any
    attribute: str
    wrong: Any


BUGS: list[Bug] = []
dense_forward, dense_backward, softmax_forward = ops.dense_forward, ops.dense_backward, ops.softmax_forward


def bug(name: str, where: Any, attribute: str) -> Callable[[Any], Any]:
    """Enter the decorated function into the catalogue."""

    def enter(wrong: Any) -> Any:
        assert hasattr(where, attribute), f"{where} has no {attribute}"
        BUGS.append(Bug(name, where, attribute, wrong))
        return wrong

    return enter


# --- Dense --------------------------------------------------------------------------------------------------------


@bug("bias added twice", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    return dense_forward(x, W, None if b is None else 2 * b)


@bug("bias not added", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    return dense_forward(x, W, None)


@bug("bias gradient averaged over the batch instead of summed", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    return *dense_backward(dout, x, W, need_dx)[:2], dout.mean(axis=0)


@bug("bias gradient along the wrong axis", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    db = np.resize(dout.sum(axis=1), dout.shape[1]).astype(dout.dtype)
    return *dense_backward(dout, x, W, need_dx)[:2], db


@bug("weight gradient divided by the batch once more", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    dx, dW, db = dense_backward(dout, x, W, need_dx)
    return dx, dW / len(x), db


@bug("weight gradient from |x|", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    return dense_backward(dout, np.abs(x), W, need_dx)


@bug("gradient sent back through the transposed kernel of a square layer", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    wrong = W.T if W.shape[0] == W.shape[1] else W[::-1]
    return dense_backward(dout, x, wrong, need_dx)


@bug("weights updated before the gradient is sent back", ops, "dense_backward")
def _(dout: Array, x: Array, W: Array, need_dx: bool) -> Any:
    _, dW, db = dense_backward(dout, x, W, False)
    return (dout @ (W - 0.01 * dW).T if need_dx else None), dW, db


@bug("float64 creeps in", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    return dense_forward(x.astype(np.float64), W, b)


@bug("float32 sums: one running total over the inputs", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    out = np.zeros((len(x), W.shape[1]), x.dtype)
    for k in range(W.shape[0]):
        out += x[:, k : k + 1] * W[k : k + 1]
    return out if b is None else out + b


@bug("half-precision sums", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    out = np.zeros((len(x), W.shape[1]), np.float16)
    for k in range(W.shape[0]):
        out = out + (x[:, k : k + 1] * W[k : k + 1]).astype(np.float16)
    return (out + (0 if b is None else b)).astype(x.dtype)


@bug("weights in half precision", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    return dense_forward(x, W.astype(np.float16).astype(W.dtype), b)


@bug("inputs overwritten", ops, "dense_forward")
def _(x: Array, W: Array, b: Array | None) -> Array:
    out = dense_forward(x, W, b)
    if x.flags.writeable:
        x *= 0.5
    return out


@bug("stale input: the first batch is remembered for ever", layers.Dense, "forward")
def _(self: Any, x: Array) -> Array:
    if not hasattr(self, "x") or len(self.x) != len(x):
        self.x = x
    return self.activate(self.ops.dense_forward(x, self.params["W"], self.params.get("b")))


@bug("gradients added to those of the pass before", layers.Dense, "backward")
def _(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
    dz = dout if from_logits else self.activate_backward(dout)
    dx, dW, db = self.ops.dense_backward(dz, self.x, self.params["W"], need_dx)
    new = {"W": dW, "b": db} if self.use_bias else {"W": dW}
    self.grads = {key: grad + self.grads.get(key, 0) for key, grad in new.items()}
    return dx


@bug("activation of a Dense layer not differentiated", layers.Dense, "backward")
def _(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
    dx, dW, db = self.ops.dense_backward(dout, self.x, self.params["W"], need_dx)
    self.grads = {"W": dW, "b": db} if self.use_bias else {"W": dW}
    return dx


# --- activations --------------------------------------------------------------------------------------------------


@bug("ReLU lets the gradient through at negative values", ops, "relu_backward")
def _(dout: Array, out: Array) -> Array:
    return dout


@bug("ReLU lets the gradient through at zero", ops, "relu_backward")
def _(dout: Array, out: Array) -> Array:
    return np.where(out >= 0, dout, 0)


@bug("ReLU's backward edits dout in place", ops, "relu_backward")
def _(dout: Array, out: Array) -> Array:
    dout[out <= 0] = 0
    return dout


@bug("leaky ReLU", ops, "relu_forward")
def _(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


@bug("sigmoid's slope without (1 − out)", ops, "sigmoid_backward")
def _(dout: Array, out: Array) -> Array:
    return dout * out


@bug("tanh's slope without the square", ops, "tanh_backward")
def _(dout: Array, out: Array) -> Array:
    return dout * (1 - out)


@bug("sigmoid as exp(x) / (1 + exp(x)), which overflows", ops, "sigmoid_forward")
def _(x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / (1 + np.exp(x))


@bug("softmax over the batch", ops, "softmax_forward")
def _(x: Array) -> Array:
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@bug("softmax over everything at once", ops, "softmax_forward")
def _(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


@bug("softmax without subtracting the maximum", ops, "softmax_forward")
def _(x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x)
        return e / e.sum(axis=-1, keepdims=True)


@bug("a softmax between layers differentiated entry by entry", ops, "softmax_backward")
def _(dout: Array, out: Array) -> Array:
    return dout * out * (1 - out)


# --- losses -------------------------------------------------------------------------------------------------------


@bug("loss through log(p + 1e-7)", ops, "softmax_cross_entropy_forward")
def _(x: Array, t: Array) -> Array:
    return -(t * np.log(softmax_forward(x) + 1e-7)).sum(axis=-1)


@bug("loss gradient not divided by the batch", losses.Loss, "backward")
def _(self: Any) -> Array:
    return getattr(self.ops, f"{self.op}_backward")(self.y, self.t)


@bug("loss gradient divided by batch and classes", losses.Loss, "backward")
def _(self: Any) -> Array:
    return getattr(self.ops, f"{self.op}_backward")(self.y, self.t) / self.y.size


@bug("loss summed instead of averaged", losses.Loss, "forward")
def _(self: Any, y: Array, t: Array) -> Array:
    self.y, self.t = y, t
    return np.asarray(getattr(self.ops, f"{self.op}_forward")(y, t).sum(), y.dtype)


@bug("loss gradient with its sign turned", ops, "softmax_cross_entropy_backward")
def _(x: Array, t: Array) -> Array:
    return t - softmax_forward(x)


@bug("softmax differentiated twice: y·(y − t)", ops, "softmax_cross_entropy_backward")
def _(x: Array, t: Array) -> Array:
    y = softmax_forward(x)
    return y * (y - t)


@bug("probabilities not rescaled", ops, "categorical_crossentropy_forward")
def _(y: Array, t: Array) -> Array:
    return -(t * np.log(np.clip(y, 1e-7, 1 - 1e-7))).sum(axis=-1)


@bug("probabilities not clipped", ops, "categorical_crossentropy_forward")
def _(y: Array, t: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(t * np.log(y / y.sum(axis=-1, keepdims=True))).sum(axis=-1)


@bug("a trailing softmax trained through its probabilities", network.Network, "compute_loss")
def _(self: Any, loss: Any, y: Array, t: Array) -> Any:
    return loss, loss.forward(y, t)


@bug("label smoothing without the uniform part", losses.Loss, "forward")
def _(self: Any, y: Array, t: Array) -> Array:
    self.y, self.t = y, t * (1 - self.label_smoothing)
    values = getattr(self.ops, f"{self.op}_forward")(y, self.t)
    if self.reduction == "none":
        return values
    return np.asarray(values.sum() / (len(y) if self.reduction != "sum" else 1), values.dtype)


@bug("labels shifted by one", losses.SparseCategoricalCrossentropy, "targets")
def _(self: Any, y: Array, y_pred: Array) -> Array:
    return np.eye(y_pred.shape[-1], dtype=y_pred.dtype)[(y.reshape(-1) + 1) % y_pred.shape[-1]]


# --- the optimizer ------------------------------------------------------------------------------------------------


def update(rule: Callable[[Any, str, Array, Array], None]) -> Callable[..., None]:
    """An ``SGD.update`` that clips as it should and then follows a rule for each parameter."""

    def wrong(self: Any, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for key, g in self._clip(grads).items():
            rule(self, key, params[key], g)
        self.v = self.v if self.momentum else {}  # without momentum there is nothing to keep
        self.iterations += 1

    return wrong


def velocity(self: Any, key: str, W: Array) -> Array:
    """The velocity of a parameter."""
    return self.v.setdefault(key, np.zeros_like(W))


def decayed(self: Any, W: Array) -> None:
    """The weight decay that is right."""
    if self.weight_decay:
        W -= W * self.weight_decay * self.learning_rate


@bug("a step uphill", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    decayed(self, W)
    v = velocity(self, key, W)
    v[...] = self.momentum * v + self.learning_rate * g
    W += v


@bug("momentum with the sign turned", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    decayed(self, W)
    v = velocity(self, key, W)
    v[...] = -self.momentum * v - self.learning_rate * g
    W += self.momentum * v - self.learning_rate * g if self.nesterov else v


@bug("momentum dampened: v ← m·v − (1 − m)·lr·g", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    decayed(self, W)
    v = velocity(self, key, W)
    v[...] = self.momentum * v - (1 - self.momentum) * self.learning_rate * g
    W += self.momentum * v - self.learning_rate * g if self.nesterov else v


@bug("Nesterov without the look-ahead", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    decayed(self, W)
    v = velocity(self, key, W)
    v[...] = self.momentum * v - self.learning_rate * g
    W += v


@bug("velocity forgotten between steps", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    decayed(self, W)
    self.v[key] = -self.learning_rate * g
    W += self.v[key]


@bug("weight decay coupled to momentum, as an L2 penalty", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    g = g + (self.weight_decay or 0) * W
    v = velocity(self, key, W)
    v[...] = self.momentum * v - self.learning_rate * g
    W += self.momentum * v - self.learning_rate * g if self.nesterov else v


@bug("weight decay not scaled by the learning rate", optimizers.SGD, "update")
@update
def _(self: Any, key: str, W: Array, g: Array) -> None:
    W -= W * (self.weight_decay or 0)
    v = velocity(self, key, W)
    v[...] = self.momentum * v - self.learning_rate * g
    W += self.momentum * v - self.learning_rate * g if self.nesterov else v


def norm(*arrays: Array) -> float:
    """L2 norm of several arrays together."""
    return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays)))


@bug("clipping per tensor where it should be over all", optimizers.SGD, "_clip")
def _(self: Any, grads: dict[str, Array]) -> dict[str, Array]:
    limit = self.clipnorm or self.global_clipnorm
    if limit:
        return {key: g * (limit / max(norm(g), limit)) for key, g in grads.items()}
    return {k: np.clip(g, -self.clipvalue, self.clipvalue) for k, g in grads.items()} if self.clipvalue else grads


@bug("clipping over all tensors where it should be per tensor", optimizers.SGD, "_clip")
def _(self: Any, grads: dict[str, Array]) -> dict[str, Array]:
    limit = self.clipnorm or self.global_clipnorm
    if limit:
        return {key: g * (limit / max(norm(*grads.values()), limit)) for key, g in grads.items()}
    return {k: np.clip(g, -self.clipvalue, self.clipvalue) for k, g in grads.items()} if self.clipvalue else grads


@bug("clipping scales small gradients up", optimizers.SGD, "_clip")
def _(self: Any, grads: dict[str, Array]) -> dict[str, Array]:
    if self.clipnorm:
        return {key: g * (self.clipnorm / norm(g)) for key, g in grads.items()}
    if self.global_clipnorm:
        return {key: g * (self.global_clipnorm / norm(*grads.values())) for key, g in grads.items()}
    return {k: np.clip(g, -self.clipvalue, self.clipvalue) for k, g in grads.items()} if self.clipvalue else grads


@bug("values clipped from above only", optimizers.SGD, "_clip")
def _(self: Any, grads: dict[str, Array]) -> dict[str, Array]:
    if self.clipvalue:
        return {key: np.minimum(g, self.clipvalue) for key, g in grads.items()}
    if self.clipnorm:
        return {key: g * (self.clipnorm / max(norm(g), self.clipnorm)) for key, g in grads.items()}
    limit = self.global_clipnorm
    return {k: g * (limit / max(norm(*grads.values()), limit)) for k, g in grads.items()} if limit else grads


# --- training -----------------------------------------------------------------------------------------------------

batches = training.batches


@bug("short last batch dropped", training, "batches")
def _(n: int, batch_size: int, rng: Any = None) -> Any:
    yield from (rows for rows in batches(n, batch_size, rng) if len(np.arange(n)[rows]) == min(batch_size, n))


@bug("first batch dropped: off by one in the loop", training, "batches")
def _(n: int, batch_size: int, rng: Any = None) -> Any:
    yield from list(batches(n, batch_size, rng))[1:] or batches(n, batch_size, rng)


@bug("last sample of each batch dropped", training, "batches")
def _(n: int, batch_size: int, rng: Any = None) -> Any:
    for rows in batches(n, batch_size, rng):
        yield np.arange(n)[rows][: max(1, len(np.arange(n)[rows]) - 1)]


@bug("the same order in every epoch", training, "batches")
def _(n: int, batch_size: int, rng: Any = None) -> Any:
    yield from batches(n, batch_size, rng and np.random.default_rng(0))


@bug("batches shuffled instead of samples", training, "batches")
def _(n: int, batch_size: int, rng: Any = None) -> Any:
    whole = list(batches(n, batch_size))
    yield from whole if rng is None else [whole[i] for i in np.random.default_rng(0).permutation(len(whole))]


@bug("short last batch counts as much as a whole one", metrics.Mean, "add")
def _(self: Any, total: float, count: int) -> None:
    self.total, self.count = self.total + total / count, self.count + 1


@bug("metrics not reset between epochs", training.Trainer, "_reset_metrics")
def _(self: Any) -> None:
    self.mean_loss = getattr(self, "mean_loss", None) or metrics.Mean("loss")


@bug("accuracy taken after the update", training.Trainer, "train_step")
def _(self: Any, x: Array, y: Array, where: str = "") -> tuple[float, Array]:
    loss, optimizer = self._compiled("train_step")
    out = self.forward(x)
    criterion, value = self.compute_loss(loss, out, loss.targets(y, out))
    self.backward(criterion)
    optimizer.update(self.params, self.grads)
    return float(value), self.forward(x)


@bug("loss taken after the update", training.Trainer, "train_step")
def _(self: Any, x: Array, y: Array, where: str = "") -> tuple[float, Array]:
    loss, optimizer = self._compiled("train_step")
    out = self.forward(x)
    self.backward(self.compute_loss(loss, out, loss.targets(y, out))[0])
    optimizer.update(self.params, self.grads)
    return float(self.compute_loss(loss, self.forward(x), loss.targets(y, out))[1]), out


@bug("evaluation trains", training.Trainer, "_evaluate")
def _(self: Any, x: Array, y: Array, batch_size: int, tell: Any, where: str = "") -> Any:
    self._reset_metrics()
    tell.on_test_begin({})
    for rows in batches(len(x), batch_size):
        loss, out = self.train_step(x[rows], y[rows])
        self._update_metrics([loss], y[rows], out, len(out))
        logs = self._logs()
        tell.on_test_batch_end(0, logs)
    tell.on_test_end(logs)
    return logs


hold_out = training.Trainer._hold_out


@bug("validation on the first samples instead of the last", training.Trainer, "_hold_out")
def _(self: Any, x: Array, y: Array, split: float, data: Any) -> Any:
    return hold_out(self, x[::-1], y[::-1], split, data)


@bug("validation samples trained on as well", training.Trainer, "_hold_out")
def _(self: Any, x: Array, y: Array, split: float, data: Any) -> Any:
    return x, y, hold_out(self, x, y, split, data)[2]


@bug("shuffle that separates x from y", training.Trainer, "_hold_out")
def _(self: Any, x: Array, y: Array, split: float, data: Any) -> Any:
    x, y, validation = hold_out(self, x, y, split, data)
    return x, y[np.random.default_rng(0).permutation(len(y))], validation


@bug("validation on the training samples", training.Trainer, "_hold_out")
def _(self: Any, x: Array, y: Array, split: float, data: Any) -> Any:
    x, y, validation = hold_out(self, x, y, split, data)
    return x, y, validation and (x, y)


@bug("history of the first epoch only", callbacks.History, "on_epoch_end")
def _(self: Any, epoch: int, logs: Any = None) -> None:
    self.epoch.append(epoch)
    for name, value in logs.items():
        self.history.setdefault(name, [value])


@bug("label smoothing lost after a softmax", losses.CategoricalCrossentropy, "for_logits")
def _(self: Any) -> Any:
    return losses.SoftmaxCrossEntropy(self.reduction)


@bug("Flatten unrolls column by column", layers.Flatten, "forward")
def _(self: Any, x: Array) -> Array:
    self.x_shape = x.shape
    return self.activate(x.reshape(len(x), -1, order="F"))


@bug("gradient of probabilities not sent back", ops, "categorical_crossentropy_backward")
def _(y: Array, t: Array) -> Array:
    return np.zeros_like(y)


@bug("gradient of rescaled probabilities: −t/y", ops, "categorical_crossentropy_backward")
def _(y: Array, t: Array) -> Array:
    return -t / y


@bug("sparse accuracy compares with the smallest output", metrics.SparseCategoricalAccuracy, "update_state")
def _(self: Any, y_true: Array, y_pred: Array) -> None:
    self.add(float(np.sum(y_true.reshape(-1) == y_pred.argmin(axis=1))), len(y_pred))


@bug("accuracy compares with the smallest output", metrics.CategoricalAccuracy, "update_state")
def _(self: Any, y_true: Array, y_pred: Array) -> None:
    self.add(float(np.sum(y_true.argmax(axis=1) == y_pred.argmin(axis=1))), len(y_pred))


right_backward = network.Network.backward


@bug("all layers updated but the first", network.Network, "backward")
def _(self: Any, criterion: Any, trace: Any = None) -> None:
    right_backward(self, criterion, trace)
    if trace is None:
        first = next(layer for layer in self.layers if layer.params)
        first.grads = {key: np.zeros_like(grad) for key, grad in first.grads.items()}


# --- initial weights and labels -----------------------------------------------------------------------------------


@bug("Glorot with the fan of the inputs alone", initializers, "_fans")
def _(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], shape[0]


@bug("fans exchanged", initializers, "_fans")
def _(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[-1], shape[0]


@bug("truncated normal without the correction of its deviation", initializers, "_truncated_normal")
def _(shape: tuple[int, ...], stddev: float, rng: Any) -> Array:
    return np.clip(rng.normal(size=shape), -2, 2) * stddev


@bug("kernel as (units, inputs)", layers.Dense, "weight_shapes")
def _(self: Any, input_shape: Any) -> Any:
    return {"W": ((self.units, input_shape[1]), self.kernel_initializer), "b": ((self.units,), self.bias_initializer)}


@bug("names counted from 1, as Keras 2 did", layers, "auto_name")
def _(class_name: str) -> str:
    utils._names[class_name] += 1
    return f"{class_name.lower()}_{utils._names[class_name]}"
