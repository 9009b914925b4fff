"""Programs in the style of public tutorials run on Keras and, with their imports replaced, on scratch, and end alike.

Both begin with the same weights, apply the same masks, and take the samples in their order, since their random
generators differ.  After each training step every weight, and every state of the optimizer, is within the bound that
the error model derives for what the step may add to the difference before it (``program_steps``; Keras on TensorFlow).

The results at the end, such as losses, scores and predictions, have a bound that is measured: scratch also runs
the program in float64, and δ, the largest relative deviation of its float32 weights from these, is what rounding does
to this program.  Keras may be 7 δ away from float64: λ = 7 of the error model, as for a sum of independent errors, or
16 roundings.  That is relative to the largest number of an array, or to 1 if all are smaller: losses and outputs come
from logits of order 1.
"""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import scratch
from parity_tests.conftest import slow_except
from keras_impl.frameworks import FRAMEWORK, to_numpy
from parity_tests.parity.program_steps import KerasSteps, ScratchSteps, step_differences
from parity_tests.reference.error_model import LAMBDA
from parity_tests.reference.layers import masks_for_keras
from scratch.datasets import fashion_mnist, mnist
from scratch.layer_stack import LayerStack
from scratch.ops import BACKENDS, numpy_ops
from scratch.optimizers import Adam

PROGRAMS = sorted((Path(__file__).parents[1] / "programs").glob("*.py"))
EACH_PROGRAM = slow_except(PROGRAMS, "early_stopping", "own_loop", name=lambda path: path.stem)
RESULTS = ("score", "predictions", "codes", "batch_losses", "rates", "rate", "all_scores", "rounded")
ONE_SAMPLE = 0.02  # of an accuracy over 100 samples, one of which may count twice: outputs may be nearly equal
Results = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def _small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the data sets of both programs by 500 + 100 noisy pictures, and work in a folder of the test."""
    rng = np.random.default_rng(0)
    patterns = rng.uniform(0, 255, (10, 28, 28)) * (rng.uniform(size=(10, 28, 28)) < 0.2)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(10, size=n).astype("uint8")
        return np.clip(patterns[labels] + rng.normal(scale=40, size=(n, 28, 28)), 0, 255).astype("uint8"), labels

    data = draw(500), draw(100)
    for module in (mnist, fashion_mnist, keras.datasets.mnist, keras.datasets.fashion_mnist):
        monkeypatch.setattr(module, "load_data", lambda: data)
    monkeypatch.chdir(tmp_path)


def dropouts(model: Any) -> Iterator[Any]:
    """Yield the Dropout layers of a model of either program, also those of models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from dropouts(layer)
        elif type(layer).__name__ == "Dropout":
            yield layer


class Start:
    """The initial weights and the seeds of the masks: recorded from Keras, given to scratch."""

    def __init__(self) -> None:
        self.recorded: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
        self.given = 0

    def record(self, model: Any) -> None:
        seeds = [to_numpy(layer.seed_generator.state.value) for layer in dropouts(model)]
        self.recorded.append((model.get_weights(), seeds))

    def give(self, model: Any) -> None:
        weights, seeds = self.recorded[self.given]
        self.given += 1
        model.set_weights(weights)
        for layer, seed in zip(dropouts(model), seeds, strict=True):
            layer.state["masks"][:] = seed


def hook(monkeypatch: pytest.MonkeyPatch, model_class: type, start: Callable[[Any], None]) -> None:
    """Call ``start`` before the first training of each model, and let ``fit`` keep the order of the samples."""
    seen: list[Any] = []

    def begin(model: Any) -> None:
        if not any(model is other for other in seen) and int(model.optimizer.iterations) == 0:
            start(model)
        if model_class is keras.Sequential:
            model.run_eagerly = True  # masks_for_keras needs it, and small data are faster without a graph
        seen.append(model)

    def fit(original: Any, self: Any, *arguments: Any, **named: Any) -> Any:
        begin(self)
        return original(self, *arguments, **named | {"shuffle": False})

    def train_on_batch(original: Any, self: Any, *arguments: Any, **named: Any) -> Any:
        begin(self)
        return original(self, *arguments, **named)

    for wrapper in (fit, train_on_batch):
        original = getattr(model_class, wrapper.__name__)
        monkeypatch.setattr(model_class, wrapper.__name__, partialmethod_of(wrapper, original), raising=False)


def partialmethod_of(wrapper: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *arguments, **named: partial(wrapper, original)(self, *arguments, **named)


def results(text: str, name: str) -> Results:
    """Run a program; return its results and the final weights of its model as arrays by name."""
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), variables)
    model = variables["model"]
    found = {f"weights {i}": W for i, W in enumerate(model.get_weights())}
    for variable in RESULTS:
        if variable in variables:
            value = variables[variable]
            found[variable] = np.asarray(list(value.values()) if isinstance(value, dict) else value, np.float64)
    for variable, value in variables.items():
        if isinstance(getattr(value, "history", None), dict):
            found |= {f"{variable} {key}": np.asarray(values) for key, values in value.history.items()}
    return found


def on_keras(path: Path, start: Start, steps: KerasSteps) -> Results:
    with pytest.MonkeyPatch.context() as patch, masks_for_keras():
        if FRAMEWORK == "tensorflow":
            steps.record(patch)
        hook(patch, keras.Sequential, start.record)
        return results(path.read_text(), path.name)


def on_scratch(path: Path, start: Start, backend: str, dtype: str, steps: ScratchSteps | None = None) -> Results:
    text = path.read_text()
    text = re.sub(r"^import keras$", "import scratch as keras", text, flags=re.MULTILINE)
    text = re.sub(r"^from keras\b", "from scratch", text, flags=re.MULTILINE)
    create = LayerStack.__init__

    def init(self: LayerStack, layers: Any = None, name: Any = None, *rest: Any, **named: Any) -> None:
        create(self, layers, name, backend=backend, dtype=dtype)

    start.given = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LayerStack, "__init__", init)
        if steps is not None:
            steps.record(patch)
        hook(patch, scratch.Sequential, start.give)
        return results(text, path.name)


def differences(path: Path, backends: Sequence[str] = BACKENDS) -> Iterator[tuple[str, float, float]]:
    """Yield name, difference from Keras and bound of each result of a program."""
    start, keras_steps = Start(), KerasSteps()
    theirs = on_keras(path, start, keras_steps)
    exact = on_scratch(path, start, "numpy", "float64")
    for backend in backends:
        ours = on_scratch(path, start, backend, "float32")
        if FRAMEWORK == "tensorflow":
            steps = ScratchSteps()
            on_scratch(path, start, backend, "float32", steps)
            for name, difference, bound in step_differences(steps, keras_steps):
                yield f"{path.stem} on {backend}, {name}", difference, bound
        assert list(ours) == list(theirs) == list(exact)
        weights = [name for name in ours if name.startswith("weights")]
        delta = max(np.abs(ours[name] - exact[name]).max() / np.abs(exact[name]).max() for name in weights)
        delta = max(LAMBDA * delta, 16 * 2.0**-24)
        for name, values in theirs.items():
            reference, is_share = exact[name], "acc" in name or name in ("score", "rounded")
            bound = delta * max(1, np.abs(reference).max()) + (ONE_SAMPLE if is_share else 0)
            difference = np.abs(np.asarray(values, np.float64) - reference).max(initial=0)
            yield f"{path.stem} on {backend}, {name}", float(difference), float(bound)


@pytest.mark.parametrize("path", EACH_PROGRAM)
@pytest.mark.filterwarnings("ignore:Do not pass an `input_(shape|dim)`")  # Keras's advice, which tutorials ignore
def test_a_program_ends_alike(path: Path) -> None:
    for name, difference, bound in differences(path):
        assert difference <= bound, f"{name}: differs by {difference:.3g}, {bound:.3g} is allowed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Do not pass an `input_(shape|dim)`")
@pytest.mark.parametrize(
    ("program", "name", "mistake"),
    [
        ("xor", "tanh_backward", lambda dout, out: dout * (1 - out)),
        ("regression", "mean_squared_error_backward", lambda y, t: np.sign(y - t)),  # that of the absolute error
    ],
)
def test_a_mistake_is_noticed(program: str, name: str, mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_ops, name, mistake)
    path = next(path for path in PROGRAMS if path.stem == program)
    wrong = [name for name, difference, bound in differences(path, ["numpy"]) if difference > bound]
    assert [name for name in wrong if "step" not in name]
    assert FRAMEWORK != "tensorflow" or "after step 1, " in wrong[0]


@pytest.mark.slow
@pytest.mark.skipif(FRAMEWORK != "tensorflow", reason="the steps of Keras are recorded on TensorFlow")
@pytest.mark.filterwarnings("ignore:Do not pass an `input_(shape|dim)`")
def test_a_wrong_state_of_the_optimizer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the gradients is 0.1 % too small, which changes a weight by less than its bound."""
    update_step = Adam.update_step

    def shrinks(self: Adam, W: np.ndarray, dW: np.ndarray, rate: float, state: dict[str, np.ndarray]) -> None:
        update_step(self, W, dW, rate, state)
        state["momentum"] *= np.float32(0.999)

    monkeypatch.setattr(Adam, "update_step", shrinks)
    path = next(path for path in PROGRAMS if path.stem == "save_and_load")
    wrong = [name for name, difference, bound in differences(path, ["numpy"]) if difference > bound]
    assert any("after step 1, momentum of" in name for name in wrong)


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 12
