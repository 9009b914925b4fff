"""scikit-learn's ``MLPClassifier``."""

from collections.abc import Sequence

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.peers.base import Peer
from benchmarks.tasks import LEARNING_RATE, Array, Task


class ScikitLearnPeer(Peer):
    """``MLPClassifier`` with plain SGD; its ``partial_fit`` trains for one epoch."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.model = MLPClassifier(
            tuple(task.hidden),
            solver="sgd",
            alpha=0.0,
            batch_size=task.batch_size,
            learning_rate_init=LEARNING_RATE,
            momentum=0.0,
            nesterovs_momentum=False,
        )
        # The weight arrays exist only after a first call.
        first = slice(task.batch_size)
        self.model.partial_fit(task.x[first], task.labels[first], classes=np.arange(task.classes))

    def set_weights(self, weights: Sequence[Array]) -> None:
        for array, W in zip(self._arrays(), weights, strict=True):
            array[...] = W

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self._arrays()]

    def _arrays(self) -> list[Array]:
        return [array for pair in zip(self.model.coefs_, self.model.intercepts_, strict=True) for array in pair]

    def train(self, samples: int, shuffle: bool) -> None:
        self.model.shuffle = shuffle
        self.model.partial_fit(self.task.x[:samples], self.task.labels[:samples])

    def predict(self, x: Array) -> Array:
        return self.model.predict_proba(x)
