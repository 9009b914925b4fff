"""``execution``: two models, one trained as ``fit`` chooses and one layer by layer, keep the same bits under any use.

Hypothesis draws sequences of trainings, and between and during them changes of everything that a training reads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from parity_tests.unit.test_execution_steps import CHANGES, EVENTS, Change, WorstBatch
from parity_tests.unit.trainings import X, Y
from scratch.callbacks import LambdaCallback
from scratch.layers import ACTIVATIONS, Activation, Dense, Dropout, Flatten
from scratch.losses import CategoricalCrossentropy
from scratch.metrics import CategoricalAccuracy
from scratch.models import Sequential
from scratch.optimizers import SGD, Adagrad, Adam, Optimizer, RMSprop
from scratch.utils import set_random_seed

OPTIMIZERS: tuple[Callable[[], Optimizer], ...] = (
    *[lambda: SGD(0.05)] * 3,
    lambda: SGD(0.05, momentum=0.9),
    lambda: SGD(0.05, momentum=0.5, nesterov=True),
    lambda: SGD(0.05, weight_decay=0.1),
    lambda: SGD(0.05, clipnorm=0.05),
    lambda: SGD(0.05, clipvalue=0.01),
    lambda: SGD(0.05, global_clipnorm=0.05),
    lambda: Adam(0.05),
    lambda: Adam(0.05, clipnorm=0.05, weight_decay=0.1),
    lambda: RMSprop(0.05),
    lambda: Adagrad(0.05),
)
RATES = (0.0, 0.2, 0.7, 1.0)  # of Dropout
VALUES = (
    *(("optimizer", "learning_rate", value) for value in (0.0, 0.01, 0.3)),
    *(("optimizer", "momentum", value) for value in (0.0, 0.9)),
    *(("optimizer", name, value) for name in ("clipnorm", "clipvalue", "weight_decay") for value in (None, 0.05)),
    *(("loss", "label_smoothing", value) for value in (0.0, 0.2)),
    *(("loss", "reduction", value) for value in ("sum", "sum_over_batch_size")),
)
COPIES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (np.copy, np.asfortranarray, np.negative, lambda W: W[::-1])
SAMPLES: dict[str, np.ndarray] = {
    "float32": X,
    "float64": X.astype(np.float64),
    "reversed": X[:, ::-1],
    "mostly zeros": np.where(X > 0.5, X, np.float32(0)),
    "bytes": np.abs(50 * X).astype(np.uint8),
}


def set_value(part: str, name: str, value: Any) -> Change:
    return lambda model: setattr(getattr(model, part), name, value)


def set_rate(index: int, rate: float) -> Change:
    def change(model: Sequential) -> None:
        for layer in [layer for layer in model.layers if isinstance(layer, Dropout)][index : index + 1]:
            layer.rate = rate

    return change


def set_activation(index: int, activation: str) -> Change:
    def change(model: Sequential) -> None:
        layers = [layer for layer in model.layers if isinstance(layer, Dense | Activation)]
        layers[index % len(layers)].activation = activation

    return change


def replace_parameters(index: int, copy: Callable[[np.ndarray], np.ndarray]) -> Change:
    def replace(model: Sequential) -> None:
        params = model.layers[index % len(model.layers)].params
        params.update({key: copy(W) for key, W in params.items()})

    return replace


def replace_last_layers(pops: int, activation: str) -> Change:
    def replace(model: Sequential) -> None:
        for _ in range(min(pops, len(model.layers) - 1)):
            model.pop()
        model.add(Dense(3, activation, name=f"layer_{len(model.layers)}"))

    return replace


def recompile(optimizer: Callable[[], Optimizer], smoothing: float) -> Change:
    def change(model: Sequential) -> None:
        loss = CategoricalCrossentropy(label_smoothing=smoothing)
        model.compile(optimizer(), loss, metrics=["accuracy"], run_eagerly=model.run_eagerly)

    return change


change_strategy = st.one_of(
    st.sampled_from([CHANGES[name] for name in sorted(CHANGES)]),
    st.builds(lambda value: set_value(*value), st.sampled_from(VALUES)),
    st.builds(set_activation, st.integers(0, 3), st.sampled_from(ACTIVATIONS)),
    st.builds(set_rate, st.integers(0, 2), st.sampled_from(RATES)),
    st.builds(replace_parameters, st.integers(0, 3), st.sampled_from(COPIES)),
    st.builds(recompile, st.sampled_from(OPTIMIZERS), st.sampled_from([0.0, 0.1])),
    st.builds(replace_last_layers, st.integers(0, 3), st.sampled_from(["softmax", "softmax", "tanh"])),
)


class SameBits(RuleBasedStateMachine):
    """Do the same to both models, and compare them bit for bit after every step."""

    models: tuple[Sequential, Sequential]

    def both(self, action: Callable[[Sequential], Any]) -> None:
        """Apply an action to both models; compare its results, or whether it raises an error."""
        found = []
        for model in self.models:
            try:
                found.append(action(model))
            except (ValueError, KeyError, AttributeError) as error:
                found.append(type(error))
        np.testing.assert_equal(*found)

    @initialize(
        hidden=st.lists(
            st.tuples(st.sampled_from([1, 8, 17]), st.sampled_from(ACTIVATIONS), st.booleans()), max_size=3
        ),
        rates=st.lists(st.none() | st.sampled_from(RATES), min_size=5, max_size=5),
        separate=st.booleans(),
        flatten=st.booleans(),
        dtype=st.sampled_from(["float32", "float64"]),
        metric=st.sampled_from([CategoricalAccuracy, WorstBatch]),
    )
    def build(self, hidden: list[Any], rates: Any, separate: bool, flatten: bool, dtype: str, metric: Any) -> None:
        def dropout(i: int) -> list[Any]:
            return [] if rates[i] is None else [Dropout(rates[i], name=f"dropout_{i}")]

        def model(run_eagerly: bool) -> Sequential:
            set_random_seed(0)
            layers: list[Any] = [*dropout(-1), Flatten()] if flatten else []
            for i, (units, activation, use_bias) in enumerate([*hidden, (3, "softmax", True)]):
                layers += dropout(i)
                layers.append(Dense(units, None if separate else activation, use_bias, name=f"dense_{i}"))
                layers += [Activation(activation, name=f"activation_{i}")] if separate else []
            model = Sequential(layers, dtype=dtype, name="model")
            model.compile(SGD(0.05), CategoricalCrossentropy(), metrics=[metric()], run_eagerly=run_eagerly)
            model.build(X.shape)
            return model

        self.models = model(False), model(True)

    @rule(
        samples=st.sampled_from(sorted(SAMPLES)),
        batch_size=st.sampled_from([1, 7, 16, 64]),
        epochs=st.integers(1, 2),
        shuffle=st.booleans(),
        change=st.none() | change_strategy,
        event=st.sampled_from(EVENTS),
    )
    def fit(self, samples: str, batch_size: int, epochs: int, shuffle: bool, change: Change | None, event: str) -> None:
        def fit(model: Sequential) -> dict[str, list[float]]:
            once = iter([change] if change else [])
            callback = LambdaCallback(**{event: lambda *_: next(once, lambda model: None)(model)})
            x, callbacks = SAMPLES[samples], [callback] if change else []
            history = model.fit(x, Y, batch_size, epochs, verbose=0, shuffle=shuffle, callbacks=callbacks)
            return history.history

        self.both(fit)

    @rule(n=st.integers(1, 40))
    def train_on_batch(self, n: int) -> None:
        self.both(lambda model: (model.train_on_batch(X[:n], Y[:n]), model.predict(X, verbose=0)))

    @rule(change=change_strategy)
    def change(self, change: Change) -> None:
        self.both(lambda model: change(model) and None)

    @invariant()
    def same_bits(self) -> None:
        default, eager = self.models
        assert eager.fused is None
        for (name, W), V in zip(default.params.items(), eager.params.values(), strict=True):
            np.testing.assert_array_equal(W, V, err_msg=name, strict=True)
        np.testing.assert_equal(default.state, eager.state)
        for model in self.models:
            assert model.optimizer is not None
        np.testing.assert_equal(default.optimizer.iterations, eager.optimizer.iterations)  # type: ignore[union-attr]
        np.testing.assert_equal(default.metric_values(), eager.metric_values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The loss is not finite")
def test_models_keep_the_same_bits() -> None:
    run_state_machine_as_test(SameBits, settings=settings(max_examples=150, stateful_step_count=5))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:The loss is not finite")
def test_models_keep_the_same_bits_in_many_sequences() -> None:
    run_state_machine_as_test(SameBits, settings=settings(max_examples=1000, stateful_step_count=8))
