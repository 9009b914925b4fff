"""Training: ``fit`` beside Keras, as it runs by default, which on ``backend="numba"`` is the compiled core.

The trainings have what such a core can get wrong: a last batch with fewer samples, or with one, several steps per call
or one, shuffled samples, widths that are no multiple of a vector, mostly zeros, logits that overflow, chunks for two
cores, a learning rate that a callback changes, parameters that are replaced by other arrays, every option of SGD, every
optimizer, and masks of Dropout, which Keras is given.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from keras_impl.frameworks import FRAMEWORK
from parity_tests.comparison import Comparison, compare
from parity_tests.reference.adaptive import AdagradSettings, AdamSettings, RMSpropSettings
from parity_tests.reference.cases import SPARSE, Case
from parity_tests.reference.error_model import Bounded, Rounding
from parity_tests.reference.layers import masks_for_keras
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings
from scratch.batches import batches
from scratch.callbacks import LambdaCallback
from scratch.kernels import plan

RATES = (0.0625, 0.125, 0.03125)  # of each epoch; before the third epoch, the weights are halved
EPOCHS_BEFORE = 2
U = Rounding("float32").u


class Training(NamedTuple):
    """A network, how many samples its batches have, and whether its steps are partitioned for two cores."""

    case: Case
    batch_size: int
    two_cores: bool = False
    settings: OptimizerSettings = SGDSettings(RATES[0])

    def __str__(self) -> str:
        cores = ", two cores" if self.two_cores else ""
        optimizer = f", {self.settings.optimizer}({self.settings})"
        return f"{self.case}, batches of {self.batch_size}{cores}{optimizer}"

    def orders(self) -> list[list[Any]]:
        """Return the rows of each batch of each epoch."""
        rng = np.random.default_rng(self.case.seed)
        return [list(batches(self.case.batch, self.batch_size, rng)) for _ in RATES]

    def partitioned(self) -> AbstractContextManager[Any]:
        """Partition small steps too, and on a machine with one core as well."""
        if not self.two_cores:
            return nullcontext()
        return mock.patch.multiple(plan, MIN_PARALLEL_WORK=0, config=mock.Mock(NUMBA_NUM_THREADS=2))


SMALL = Case((18, 5), ("relu", "softmax"), features=20, batch=30, seed=6)
TRAININGS = (
    Training(Case((18, 21, 5), ("relu", "tanh", "softmax"), features=40, batch=75, separate=True, seed=1), 32),
    Training(Case((18, 5), ("relu", "softmax"), features=40, batch=75, inputs="pixels", loss=SPARSE, seed=2), 32, True),
    Training(Case((520, 5), ("relu", "softmax"), features=9, batch=27, seed=3), 10, True),
    Training(Case((37, 5), ("relu", "softmax"), features=530, batch=69, seed=8), 34, True),  # two sums for x W
    Training(Case((6, 4), ("relu", "softmax"), features=5, batch=13, use_bias=False, smoothing=0.25, seed=4), 6),
    Training(Case((5,), ("softmax",), inputs="dead", batch=8, seed=5), 8),  # logits of -100, whose exponentials are 0
    Training(SMALL, 12, True, SGDSettings(momentum=0.875)),
    Training(SMALL, 12, True, SGDSettings(momentum=0.875, nesterov=True, weight_decay=0.125)),
    Training(SMALL, 12, True, SGDSettings(clipvalue=0.0078125)),
    Training(SMALL, 12, True, SGDSettings(clipnorm=0.125)),
    Training(SMALL, 12, True, SGDSettings(global_clipnorm=0.125)),
    # A large ε limits how much an error of a small gradient grows in a step, which is divided by its size.
    Training(SMALL, 12, True, AdamSettings(epsilon=0.0625)),
    Training(SMALL, 12, True, AdamSettings(beta_2=0.9375, epsilon=0.0625, amsgrad=True, clipvalue=0.03125)),
    Training(SMALL, 12, True, RMSpropSettings(epsilon=0.0625, weight_decay=0.125)),
    Training(SMALL, 12, True, RMSpropSettings(momentum=0.5, epsilon=0.0625, centered=True, clipnorm=0.125)),
    Training(SMALL, 12, True, AdagradSettings(global_clipnorm=0.125)),
    Training(Case((18, 7, 5), ("relu", "tanh", "softmax"), features=20, batch=30, between="Dropout", seed=7), 12, True),
)
Results = dict[str, Any]


def check_training(backend: str) -> Iterator[Comparison]:
    """Loss and accuracy of each epoch, and the weights after the second and the last, agree with Keras."""
    for training in TRAININGS:
        if training.case.comparable:
            theirs, reference = keras_results(training), bounded_results(training)
            kinds = [(False, ""), (True, ", with a callback on each batch")]
            for each_batch, label in kinds if backend == "numba" else kinds[:1]:
                with training.partitioned():
                    ours = scratch_results(training, backend, each_batch)
                for name, bounded in reference.items():
                    bound = 2 * bounded.bound if isinstance(bounded, Bounded) else bounded
                    yield compare(f"{training}{label}: {name}", ours[name], theirs[name], bound)


def scratch_results(training: Training, backend: str, each_batch: bool) -> Results:
    """Return what ``fit`` of scratch gives, without or with a callback that is called for each batch."""
    case, found = training.case, {}
    x = case.x.copy()  # writeable, as the compiled core needs it for several steps per call
    model = case.scratch_model(backend, training.settings)
    model.rng = np.random.default_rng(case.seed)
    set_rate = LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(model.optimizer, "learning_rate", RATES[epoch]))
    callbacks = [set_rate, *([LambdaCallback(on_train_batch_end=lambda *_: None)] if each_batch else [])]
    options: dict[str, Any] = {"batch_size": training.batch_size, "callbacks": callbacks, "verbose": 0}
    for start, end in ((0, EPOCHS_BEFORE), (EPOCHS_BEFORE, len(RATES))):
        history = model.fit(x, case.y, epochs=end, initial_epoch=start, **options).history
        for i, epoch in enumerate(range(start + 1, end + 1)):
            found[f"epoch {epoch}: loss"] = np.float64(history["loss"][i])
            found[f"epoch {epoch}: correct"] = np.float64(history["accuracy"][i] * case.batch)
        found |= {f"epoch {end}: {name}": W.copy() for name, W in model.params.items()}
        for layer in model.layers:  # other arrays, at other addresses
            layer.params.update({key: W / 2 for key, W in layer.params.items()})
    return found


@lru_cache
def keras_results(training: Training) -> Results:
    """Return what Keras gives for the same batches."""
    case, found = training.case, {}
    model, names = case.keras_model(training.settings), list(case.bounded_network().params)
    # TensorFlow takes a second to compile a graph; JAX without one compiles each operation.  Masks rule a graph out.
    model.run_eagerly = FRAMEWORK == "tensorflow" or bool(case.between)
    for epoch, (rate, rows) in enumerate(zip(RATES, training.orders(), strict=True), 1):
        model.optimizer.learning_rate = rate
        sizes = [len(case.x[batch]) for batch in rows]
        with masks_for_keras():
            logs = np.array([model.train_on_batch(case.x[batch], case.y[batch]) for batch in rows], np.float64)
        loss, correct = np.array(sizes) @ logs
        found |= {f"epoch {epoch}: loss": loss / case.batch, f"epoch {epoch}: correct": correct}
        if epoch in (EPOCHS_BEFORE, len(RATES)):
            found |= {f"epoch {epoch}: {name}": W for name, W in zip(names, model.get_weights(), strict=True)}
            model.set_weights([W / 2 for W in model.get_weights()])
    return found


@lru_cache
def bounded_results(training: Training) -> dict[str, Bounded | float]:
    """Return the losses and the weights in float64 with bounds, and for correct predictions one near tie per epoch."""
    case, found = training.case, {}
    network = case.bounded_network(training.settings)
    x, t = case.x.astype(np.float64), case.targets
    for epoch, (rate, rows) in enumerate(zip(RATES, training.orders(), strict=True), 1):
        shares = [len(x[batch]) / len(x) for batch in rows]
        losses = list(zip(network.fit(x, t, rows, [rate] * len(rows)), shares, strict=True))
        value = sum(loss.value * share for loss, share in losses)
        bound = sum(loss.bound * share for loss, share in losses) + (len(losses) + 2) * U * abs(value)
        found |= {f"epoch {epoch}: loss": Bounded(value, bound), f"epoch {epoch}: correct": 1.0}
        if epoch in (EPOCHS_BEFORE, len(RATES)):
            found |= {f"epoch {epoch}: {name}": W for name, W in network.params.items()}
            network = network.with_weights(
                {name: W.value / 2 for name, W in network.params.items()},
                {name: W.bound / 2 for name, W in network.params.items()},
            )
    return found
