"""Who is compared: each peer trains the same network from the same weights on the same batches.

``PEERS`` lists them.  A peer is made from a ``Task`` and has six verbs: ``set_weights``, ``get_weights``, ``train``
(an epoch), ``step`` (one batch), ``predict`` and ``call``.  Here are ours and Keras; the others are in
``plain_peers.py``.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.measurement.tasks import LEARNING_RATE, Array, Task
from scratch.article import build_model, compile_model


class Peer(ABC):
    """One program, with a task."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def set_weights(self, weights: Sequence[Array]) -> None:
        """Start again from those weights, W and b of each layer in turn."""

    @abstractmethod
    def get_weights(self) -> list[Array]:
        """The weights as they are."""

    @abstractmethod
    def train(self, samples: int, shuffle: bool) -> None:
        """Train once through the first so many samples, in order or in an order drawn anew."""

    @abstractmethod
    def predict(self, x: Array) -> Array:
        """Probabilities for samples, of any number."""

    def step(self) -> None:
        """Train on the first batch."""
        self.train(self.task.batch, shuffle=False)

    def call(self, x: Array) -> Array:
        """Probabilities for one batch, the shortest way."""
        return self.predict(x)

    def evidence(self) -> dict[str, Array]:
        """What can be compared: the first batch's probabilities, then the weights after a few steps in order."""
        self.set_weights(self.task.weights)
        x = self.task.x[: self.task.batch]
        found = {"the output of model(x)": self.call(x), "the output of predict": self.predict(x)}
        self.train(self.task.proof_samples, shuffle=False)
        return found | {f"weight array {i} after training": W for i, W in enumerate(self.get_weights())}


class Scratch(Peer):
    """Ours, with one of its backends; images stay bytes, as in its program, or are float32 as for everybody else."""

    def __init__(self, task: Task, backend: str, images: str = "bytes") -> None:
        super().__init__(task)
        self.samples: Any = task.x if task.pixels is None or images == "float32" else task.pixels
        self.model = build_model(task.hidden, task.x.shape[1], len(task.weights[-1]), backend)
        compile_model(self.model, LEARNING_RATE)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.model.set_weights(weights)

    def get_weights(self) -> list[Array]:
        return self.model.get_weights()

    def train(self, samples: int, shuffle: bool) -> None:
        x, t = self.samples[:samples], self.task.t[:samples]
        self.model.fit(x, t, batch_size=self.task.batch, epochs=1, verbose=0, shuffle=shuffle)

    def step(self) -> None:
        self.model.train_on_batch(self.samples[: self.task.batch], self.task.t[: self.task.batch])

    def predict(self, x: Array) -> Array:
        return self.model.predict(x, verbose=0)

    def call(self, x: Array) -> Array:
        return self.model(x)


class Keras(Scratch):
    """Keras, on the framework that KERAS_BACKEND names; its model has the methods of ours."""

    def __init__(self, task: Task, framework: str) -> None:
        import keras

        from keras_impl import build_model as build_keras

        if keras.config.backend() != framework:
            raise ValueError(f"Keras runs on {keras.config.backend()} in this process, not on {framework}.")
        keras.utils.clear_session()
        Peer.__init__(self, task)
        self.samples = task.x
        self.model: Any = build_keras(tuple(task.hidden), task.x.shape[1], len(task.weights[-1]))
        self.model.compile(keras.optimizers.SGD(LEARNING_RATE), "categorical_crossentropy", metrics=["accuracy"])

    def call(self, x: Array) -> Array:
        import keras

        return keras.ops.convert_to_numpy(self.model(x))  # waits for the result, and costs nothing else


@dataclass(frozen=True)
class Entry:
    """A line of the list of peers.

    Attributes:
        title: for people.
        home: module and class.
        arguments: that the class takes after the task.
        needs: packages, as they are imported.
        environment: variables that its process must have from the start.
    """

    title: str
    home: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def _keras(framework: str, title: str) -> Entry:
    needs = ("keras", framework)
    variables = {"KERAS_BACKEND": framework}
    return Entry(f"Keras on {title}", "benchmarks.peers.base:Keras", (framework,), needs, variables)


PEERS = {
    "numba": Entry("scratch, numba", "benchmarks.peers.base:Scratch", ("numba",)),
    "numba-float32": Entry("scratch, numba, float32 images", "benchmarks.peers.base:Scratch", ("numba", "float32")),
    "numpy": Entry("scratch, numpy", "benchmarks.peers.base:Scratch", ("numpy",)),
    "keras-tensorflow": _keras("tensorflow", "TensorFlow"),
    "keras-jax": _keras("jax", "JAX"),
    "keras-torch": _keras("torch", "torch"),
    "torch": Entry("plain PyTorch", "benchmarks.peers.plain:Torch", needs=("torch",)),
    "jax-scan": Entry("JAX, jitted scan", "benchmarks.peers.plain:JaxScan", needs=("jax",)),
    "scikit-learn": Entry("scikit-learn", "benchmarks.peers.plain:ScikitLearn", needs=("sklearn",)),
    "in-place": Entry("in-place NumPy", "benchmarks.peers.plain:InPlace"),
    "products": Entry("bare matrix products", "benchmarks.peers.plain:Products"),
}
OURS = "numba"


def missing(kind: str) -> str | None:
    """One line that says what is not installed and how to mend it, or None."""
    absent = [name for name in PEERS[kind].needs if find_spec(name) is None]
    if not absent:
        return None
    extra = "keras" if set(absent) <= {"keras", "tensorflow"} else "peers"
    what = " and ".join(absent).replace("sklearn", "scikit-learn")
    return f"{PEERS[kind].title} is left out, without {what}: python -m pip install -e '.[{extra}]'"


def elsewhere(kind: str) -> str | None:
    """Why the peer can't be in this process, if Keras is on another framework here, or None."""
    here = os.environ.get("KERAS_BACKEND", "tensorflow")
    if PEERS[kind].environment.get("KERAS_BACKEND", here) == here:
        return None
    return f"{PEERS[kind].title} needs a process of its own: in this one Keras is on {here}"


def make(kind: str, task: Task) -> Peer:
    """The peer of that name, with the task."""
    module, name = PEERS[kind].home.split(":")
    peer = getattr(import_module(module), name)(task, *PEERS[kind].arguments)
    peer.set_weights(task.weights)
    return peer
