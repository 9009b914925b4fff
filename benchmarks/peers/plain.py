"""The peers beside Keras, each as its own users would write it, and the floor: the bare matrix products.

They take the same steps as ``fit`` does: an order drawn anew, batches gathered, loss and accuracy summed up.  Only the
products do nothing but multiply.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measurement.tasks import LEARNING_RATE, Array, Task
from benchmarks.peers.base import Peer, Scratch


def orders(samples: int, batch: int, shuffle: bool) -> Array:
    """Row numbers of each batch: (steps, batch)."""
    order = np.random.default_rng().permutation(samples) if shuffle else np.arange(samples)
    return order.reshape(-1, batch)


class Torch(Peer):
    """PyTorch without anything around it."""

    def __init__(self, task: Task) -> None:
        import torch
        from torch import nn

        super().__init__(task)
        self.torch = torch
        widths = [task.x.shape[1], *task.hidden]
        layers = [part for a, b in zip(widths, task.hidden, strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
        self.model = nn.Sequential(*layers, nn.Linear(widths[-1], len(task.weights[-1])))
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE)
        self.x, self.labels = torch.from_numpy(task.x), torch.from_numpy(task.labels)

    def set_weights(self, weights: Sequence[Array]) -> None:
        with self.torch.no_grad():
            for parameter, W in zip(self.model.parameters(), weights, strict=True):
                parameter.copy_(self.torch.from_numpy(W.T))

    def get_weights(self) -> list[Array]:
        return [parameter.detach().numpy().T.copy() for parameter in self.model.parameters()]

    def train(self, samples: int, shuffle: bool) -> None:
        total, hits = self.torch.zeros(()), self.torch.zeros((), dtype=self.torch.int64)
        for rows in self.torch.from_numpy(orders(samples, self.task.batch, shuffle)):
            x, labels = self.x[rows], self.labels[rows]
            self.optimizer.zero_grad()
            logits = self.model(x)
            loss = self.loss(logits, labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
            hits += (logits.argmax(1) == labels).sum()

    def predict(self, x: Array) -> Array:
        with self.torch.inference_mode():
            return self.model(self.torch.from_numpy(x)).softmax(1).numpy()


class JaxScan(Peer):
    """JAX at its best: a whole epoch is one compiled ``lax.scan`` over a hand-written step."""

    def __init__(self, task: Task) -> None:
        import jax

        super().__init__(task)
        self.jax = jax
        self.x, self.labels = jax.numpy.asarray(task.x), jax.numpy.asarray(task.labels)
        self.epoch, self.probabilities = _jitted()

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = [self.jax.numpy.array(W) for W in weights]

    def get_weights(self) -> list[Array]:
        return [np.array(W) for W in self.weights]

    def train(self, samples: int, shuffle: bool) -> None:
        order = orders(samples, self.task.batch, shuffle)
        self.weights, _, _ = self.jax.block_until_ready(self.epoch(self.weights, self.x, self.labels, order))

    def predict(self, x: Array) -> Array:
        return np.asarray(self.probabilities(self.weights, x))


def _jitted() -> tuple[Any, Any]:
    """The compiled epoch and the compiled prediction."""
    import jax
    from jax import numpy as jnp

    def logits(weights: Any, x: Any) -> Any:
        for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            x = jax.nn.relu(x @ W + b)
        return x @ weights[-2] + weights[-1]

    def loss(weights: Any, x: Any, labels: Any) -> Any:
        out = logits(weights, x)
        picked = jnp.take_along_axis(jax.nn.log_softmax(out), labels[:, None], axis=1)
        return -picked.mean(), (out.argmax(1) == labels).sum()

    def epoch(weights: Any, x: Any, labels: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            weights, total, hits = state
            (value, right), grads = jax.value_and_grad(loss, has_aux=True)(weights, x[rows], labels[rows])
            weights = [W - LEARNING_RATE * dW for W, dW in zip(weights, grads, strict=True)]
            return (weights, total + value, hits + right), None

        return jax.lax.scan(step, (weights, 0.0, 0), order)[0]

    return jax.jit(epoch), jax.jit(lambda weights, x: jax.nn.softmax(logits(weights, x)))


class ScikitLearn(Peer):
    """MLPClassifier, whose ``partial_fit`` is one epoch."""

    def __init__(self, task: Task) -> None:
        from sklearn.neural_network import MLPClassifier

        super().__init__(task)
        self.model = MLPClassifier(
            tuple(task.hidden),
            solver="sgd",
            alpha=0.0,
            batch_size=task.batch,
            learning_rate_init=LEARNING_RATE,
            momentum=0.0,
            nesterovs_momentum=False,
        )
        classes = np.arange(len(task.weights[-1]))
        self.model.partial_fit(task.x[: task.batch], task.labels[: task.batch], classes=classes)  # makes its arrays

    def set_weights(self, weights: Sequence[Array]) -> None:
        for mine, W in zip(self._arrays(), weights, strict=True):
            mine[...] = W

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self._arrays()]

    def _arrays(self) -> list[Array]:
        return [W for pair in zip(self.model.coefs_, self.model.intercepts_, strict=True) for W in pair]

    def train(self, samples: int, shuffle: bool) -> None:
        self.model.shuffle = shuffle
        self.model.partial_fit(self.task.x[:samples], self.task.labels[:samples])

    def predict(self, x: Array) -> Array:
        return self.model.predict_proba(x)


class InPlace(Peer):
    """Straightforward NumPy, into arrays that are made once."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.x = np.empty((task.batch, task.x.shape[1]), np.float32)
        self.out = [np.empty((task.batch, len(b)), np.float32) for b in task.weights[1::2]]
        self.grads = [np.empty_like(W) for W in task.weights]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = [W.copy() for W in weights]

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self.weights]

    def train(self, samples: int, shuffle: bool) -> None:
        total, hits, each = 0.0, 0, np.arange(self.task.batch)
        for rows in orders(samples, self.task.batch, shuffle):
            np.take(self.task.x, rows, axis=0, out=self.x, mode="clip")
            labels = self.task.labels[rows]
            p = self._forward(self.x, self.out)
            total -= np.log(np.maximum(p[each, labels], np.float32(1e-30))).sum()
            hits += np.count_nonzero(p.argmax(axis=1) == labels)
            p[each, labels] -= 1
            p /= self.task.batch
            self._backward(p)
            for W, dW in zip(self.weights, self.grads, strict=True):
                dW *= np.float32(LEARNING_RATE)
                W -= dW

    def _forward(self, x: Array, outs: list[Array]) -> Array:
        for i, out in enumerate(outs):
            np.dot(x, self.weights[2 * i], out=out)
            out += self.weights[2 * i + 1]
            if i < len(outs) - 1:
                np.maximum(out, 0, out=out)
            x = out
        x -= x.max(axis=1, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis=1, keepdims=True)
        return x

    def _backward(self, dout: Array) -> None:
        for i in reversed(range(len(self.out))):
            below = self.out[i - 1] if i else self.x
            np.dot(below.T, dout, out=self.grads[2 * i])
            dout.sum(axis=0, out=self.grads[2 * i + 1])
            if i:
                on = below > 0
                dout = np.dot(dout, self.weights[2 * i].T, out=below)  # the output below is not needed any more
                dout *= on

    def predict(self, x: Array) -> Array:
        return self._forward(x, [np.empty((len(x), out.shape[1]), np.float32) for out in self.out])


class Products(Peer):
    """The dense matrix products of a training step and nothing else, in NumPy's BLAS: three forward, five back.

    Their operands are the reference's own, from the first batch; only x goes on from batch to batch.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.reference = Scratch(task, "numpy")
        self.set_weights(task.weights)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.reference.set_weights(weights)
        model, batch = self.reference.model, self.task.batch
        self.tensors = model.trace(self.task.x[:batch], self.task.t[:batch])
        names = [layer.name for layer in model.layers]
        self.dense, activations = names[::2], names[1:-1:2]
        self.weights = [W.copy() for W in weights[::2]]
        self.below = [self.tensors[f"{name}/out"] for name in activations]
        self.douts = [*(self.tensors[f"{name}/dx"] for name in activations), self.tensors["loss/dx"]]
        like = self.douts, self.weights, self.below
        self.outs, self.dW, self.dx = ([np.empty_like(array) for array in arrays] for arrays in like)

    def get_weights(self) -> list[Array]:
        return self.reference.get_weights()

    def train(self, samples: int, shuffle: bool) -> None:
        for start in range(0, samples, self.task.batch):
            self._multiply(self.task.x[start : start + self.task.batch])

    def _multiply(self, x: Array) -> None:
        for i, (W, dout) in enumerate(zip(self.weights, self.douts, strict=True)):
            below = self.below[i - 1] if i else x
            np.dot(below, W, out=self.outs[i])
            np.dot(below.T, dout, out=self.dW[i])
            if i:
                np.dot(dout, W.T, out=self.dx[i - 1])

    def predict(self, x: Array) -> Array:
        raise NotImplementedError("The bare products predict nothing.")

    def evidence(self) -> dict[str, Array]:
        """The products of the first batch."""
        self.set_weights(self.task.weights)
        self._multiply(self.task.x[: self.task.batch])
        found = {f"product {i} forward": out for i, out in enumerate(self.outs)}
        found |= {f"product {i} for dW": dW for i, dW in enumerate(self.dW)}
        return found | {f"product {i + 1} for dx": dx for i, dx in enumerate(self.dx)}

    def expected(self) -> dict[str, Array]:
        """The same, as the reference has them: the biases are still zero, so that a layer's output is a product."""
        found = {f"product {i} forward": self.tensors[f"{name}/out"] for i, name in enumerate(self.dense)}
        found |= {f"product {i} for dW": self.tensors[f"{name}/dW"] for i, name in enumerate(self.dense)}
        return found | {f"product {i} for dx": self.tensors[f"{name}/dx"] for i, name in enumerate(self.dense) if i}
