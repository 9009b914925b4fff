"""The comparisons themselves, as functions that return rows: the tests assert them, the report prints them.

Each takes a backend of scratch and returns one ``Comparison`` for each quantity.  What Keras and the error model say is
computed once and kept, so that the suite's own test can run every check against dozens of broken versions of scratch.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from keras_impl.frameworks import FRAMEWORK, floatx, to_numpy, value_and_gradients
from parity_tests.checks.compare import Comparison, compare, compare_traces, equal, same
from parity_tests.reference.cases import ARTICLE, CASES, Case, keras_trace
from parity_tests.reference.error_model import Known, Rounding, Settings, exact
from scratch import gradient_check, initializers, losses
from scratch.gradient_check import numerical_gradient
from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed, to_categorical

Rows = list[Comparison]
BACKENDS = ("numpy", "numba")
SMALL = Case((8, 5), ("relu", "softmax"), batch=57, separate=True)
U32 = Rounding("float32").u
NUMERICAL = 1e-7  # relative error of a numerical gradient in float64: see scratch.gradient_check


# --- 1. structure -------------------------------------------------------------------------------------------------


def article_model(module: Any, **options: Any) -> Any:
    """The article's network in scratch or Keras, named from the start."""
    module.utils.clear_session()
    model = module.models.Sequential(**options)
    layers = module.layers
    for units, kind in ((256, "relu"), (100, "relu"), (10, "softmax")):
        if module is keras:
            if not model.layers:
                model.add(keras.Input((784,)))
            model.add(layers.Dense(units=units))
        else:
            model.add(layers.Dense(units=units, input_shape=None if model.layers else (784,)))
        model.add(layers.Activation(kind))
    model.add(layers.Flatten())
    model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    return model


def structure(model: Any) -> dict[str, object]:
    """Names, shapes, dtypes and counts, and the summary at three widths."""
    texts: list[str] = []
    for width in (60, 76, 88):
        model.summary(print_fn=texts.append, line_length=width)
    return {
        "layer names": [model.name, *(layer.name for layer in model.layers)],
        "layer kinds": [type(layer).__name__ for layer in model.layers],
        "parameters of each layer": [layer.count_params() for layer in model.layers],
        "parameters": model.count_params(),
        "weight shapes": [W.shape for W in model.get_weights()],
        "weight dtypes": [str(W.dtype) for W in model.get_weights()],
        "input and output shape": (model.input_shape, model.output_shape),
        "summary": "\n".join(texts),
    }


X_SHAPE = (7, 784)


@lru_cache
def keras_structure() -> tuple[dict[str, object], dict[str, object]]:
    """That of Keras, before and after a step."""
    model = article_model(keras)
    before = structure(model)
    model.train_on_batch(np.zeros(X_SHAPE, "float32"), np.eye(10, dtype="float32")[:7])
    return before, structure(model)


def check_structure(backend: str) -> Rows:
    """Names, shapes, dtypes, counts and the text of ``summary()``, before and after training."""
    import scratch

    model = article_model(scratch, backend=backend)
    rows = [equal(f"{name} before training", v, keras_structure()[0][name]) for name, v in structure(model).items()]
    model.train_on_batch(np.zeros(X_SHAPE), np.eye(10)[:7])
    after = structure(model)
    if FRAMEWORK != "tensorflow":  # elsewhere Keras counts its iterations in 4 bytes instead of 8
        after["summary"] = str(after["summary"]).replace("(12.00 B)", "(8.00 B)").replace("(889.35 KB)", "(889.34 KB)")
    return rows + [equal(f"{name} after training", after[name], v) for name, v in keras_structure()[1].items()]


@lru_cache
def keras_initial_ranges() -> dict[str, tuple[float, float, float]]:
    """Largest weight, mean and standard deviation of Keras's initializers for a kernel of 784 × 256."""
    found = {}
    for name in initializers.INITIALIZERS:
        keras.utils.set_random_seed(0)
        W = to_numpy(keras.initializers.get(name)((784, 256))).astype(np.float64)
        found[name] = float(np.abs(W).max()), float(W.mean()), float(W.std())
    return found


def check_initial_weights(backend: str) -> Rows:
    """The distribution of initial weights: its width, mean and deviation, and that a model uses it."""
    rows, n = [], 784 * 256
    for name, (largest, mean, std) in keras_initial_ranges().items():
        set_random_seed(1)
        model = Sequential([Dense(256, kernel_initializer=name, input_shape=(784,))], backend=backend)
        W, b = (array.astype(np.float64) for array in model.get_weights())
        # Two samples of n values: five standard deviations of the difference of means and deviations: √(2/n) and,
        # for a normal distribution, √(1/n).  Of n uniform values the largest is within 1/n of the edge.
        rows.append(compare(f"initial {name}, mean", W.mean(), np.float64(mean), 5 * std * np.sqrt(2 / n)))
        rows.append(compare(f"initial {name}, deviation", W.std(), np.float64(std), 5 * std * np.sqrt(1 / n)))
        # A normal distribution has no largest value, and Keras on torch cuts its truncated one off elsewhere.
        if name != "random_normal" and not (FRAMEWORK == "torch" and "normal" in name):
            rows.append(compare(f"initial {name}, largest", np.abs(W).max(), np.float64(largest), 0.001 * largest))
        rows.append(equal(f"initial bias beside {name}", bool(b.any()), False))
    default = Sequential([Dense(256, input_shape=(784,))], backend=backend).get_weights()[0]
    rows.append(compare("default initializer, largest", np.float64(np.abs(default).max()), np.sqrt(6 / 1040), 1e-4))
    return rows


# --- 2. the trace -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def bounds(case: Case) -> dict[str, Known]:
    """The trace in float64 and how far a computed one may be from it."""
    return case.shadow().trace(case.x.astype(np.float64), case.targets)


def check_trace(backend: str, case: Case) -> Rows:
    """Every tensor of one pass: dtype, agreement with Keras, and distance from the float64 value."""
    model = case.scratch(backend)
    trace = model.trace(case.x, case.y)
    rows = compare_traces(trace, keras_trace(case), bounds(case))
    factor = 2 if case.dtype == "float64" else 1  # where the error model itself rounds as much
    for name, (value, error) in bounds(case).items():
        rows.append(compare(f"{name} against float64", trace[name].astype(np.float64), value, factor * error))
    loss, grads = model.gradients(case.x, case.y)
    named = [f"{layer.name}/d{key}" for layer in model.layers for key in layer.params]
    rows += [
        equal(f"gradients(): {n}", bool(np.array_equal(g, trace[n])), True) for n, g in zip(named, grads, strict=True)
    ]
    return [*rows, equal("gradients(): loss", loss, float(trace["loss"]))]


def check_traces(backend: str) -> Rows:
    """The trace of every case."""
    return [row for case in CASES for row in check_trace(backend, case)]


def check_state(backend: str) -> Rows:
    """What a pass must leave alone: its inputs, the weights, an earlier trace, another batch's result."""
    case = SMALL
    model = case.scratch(backend)
    x, y, weights = case.x.copy(), case.y.copy(), model.get_weights()
    first = model.trace(x, y)
    kept = {name: tensor.copy() for name, tensor in first.items()}
    other = model.trace(x[:3], y[:3])
    model.predict(x[:5], verbose=0)
    again = model.trace(x, y)
    rows = [
        equal("x after a pass", x.tobytes(), case.x.tobytes()),
        equal("y after a pass", y.tobytes(), case.y.tobytes()),
    ]
    rows += [equal(f"{n} of an earlier trace", bool(np.array_equal(first[n], kept[n])), True) for n in kept]
    rows += [equal(f"{n} after other batches", bool(np.array_equal(again[n], kept[n])), True) for n in kept]
    rows += [equal("weights after a pass", [W.tobytes() for W in model.get_weights()], [W.tobytes() for W in weights])]
    layer, dout = model.layers[1], np.ones_like(model.layers[1].out)
    layer.backward(dout)
    rows.append(same("dout after backward", dout, np.ones_like(dout)))
    return [*rows, equal("rows of a smaller batch", other["dense_0/out"].shape, (3, 8))]


RMS_NETWORKS = (ARTICLE, Case((300, 50, 10), ("tanh", "sigmoid", "softmax"), features=400, batch=128))
RMS_SEEDS = 20


@lru_cache
def keras_rms() -> dict[tuple[int, str], float]:
    """RMS distance of Keras's tensors from float64, over many batches and weights of each network."""
    return {
        (i, name): value
        for i, network in enumerate(RMS_NETWORKS)
        for name, value in rms_errors(network, keras_trace).items()
    }


def rms_errors(network: Case, trace: Callable[[Case], dict[str, np.ndarray]]) -> dict[str, float]:
    """RMS distance from float64 of each tensor that ``trace`` returns, over many batches and weights."""
    squares: dict[str, float] = {}
    for seed in range(RMS_SEEDS):
        case = Case(**{**vars_of(network), "seed": seed})
        for name, tensor in trace(case).items():
            squares[name] = squares.get(name, 0.0) + float(np.mean((tensor - bounds(case)[name].value) ** 2))
    return {name: float(np.sqrt(total / RMS_SEEDS)) for name, total in squares.items()}


def check_rms(backend: str) -> Rows:
    """Accuracy: scratch's RMS distance from float64 is at most 1.1 times Keras's, for every tensor."""
    rows = []
    for i, network in enumerate(RMS_NETWORKS):
        for name, ours in rms_errors(network, lambda case: case.scratch(backend).trace(case.x, case.y)).items():
            allowed = 1.1 * keras_rms()[i, name]
            rows.append(compare(f"{name}, RMS distance from float64", np.float64(ours), np.float64(0), allowed))
    return rows


# --- 3. the triangle of gradients ---------------------------------------------------------------------------------


def check_triangle(backend: str) -> Rows:
    """Central differences ↔ backward ↔ automatic differentiation, in float64 where Keras has it."""
    rows = []
    for case in CASES:
        # There is no derivative at a kink, and a large network has too many entries to differentiate one by one.
        if case.inputs in ("kink", "dead", "large", "extreme", "saturated") or case.batch * case.features > 1000:
            continue
        precise = Case(**{**vars_of(case), "dtype": "float64"})
        errors = gradient_check(precise.scratch(backend), precise.x, precise.y)
        for key, error in errors.items():
            rows.append(compare(f"{key} numerical ↔ backward", np.float64(error), np.float64(0), NUMERICAL))
        other = precise if precise.comparable else case
        backward, automatic, known = other.scratch(backend).trace(other.x, other.y), keras_trace(other), bounds(other)
        for name in automatic:
            if "/d" in name:
                error = 2 * known[name].error
                rows.append(compare(f"{name} backward ↔ automatic", backward[name], automatic[name], error))
    return rows


def vars_of(case: Case) -> dict[str, Any]:
    """The fields of a case."""
    return {name: getattr(case, name) for name in case.__dataclass_fields__}


# --- 4. updates ---------------------------------------------------------------------------------------------------

SETTINGS = (
    Settings(0.0625),
    Settings(0.0625, momentum=0.875),
    Settings(0.0625, momentum=0.875, nesterov=True),
    Settings(0.0625, weight_decay=0.125),
    Settings(0.0625, momentum=0.875, weight_decay=0.125),
    Settings(0.0625, clipnorm=0.75),
    Settings(0.0625, clipvalue=0.25),
    Settings(0.0625, global_clipnorm=0.75),
    Settings(0.0625, momentum=0.875, nesterov=True, weight_decay=0.03125, global_clipnorm=2.5),
)
SHAPES = {"W": (7, 5), "b": (5,)}


def gradients_of(step: int) -> dict[str, np.ndarray]:
    """The gradients that both optimizers are given at that step."""
    rng = np.random.default_rng(step)
    return {key: rng.normal(size=shape).astype("float32") for key, shape in SHAPES.items()}


@lru_cache
def keras_updates(settings: Settings, steps: int) -> list[dict[str, np.ndarray]]:
    """Weights after each step of Keras's SGD."""
    variables = {key: keras.Variable(value) for key, value in gradients_of(2**32 - 1).items()}
    optimizer = keras.optimizers.SGD(**settings._asdict())
    optimizer.build(list(variables.values()))
    found = []
    for step in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients_of(step).values()])
        found.append({key: to_numpy(keras.ops.stop_gradient(v)) for key, v in variables.items()})
    return found


@lru_cache
def known_updates(settings: Settings, steps: int) -> list[dict[str, Known]]:
    """The same in float64, with bounds."""
    rounding = Rounding("float32")
    w = {key: exact(value) for key, value in gradients_of(2**32 - 1).items()}
    v = {key: exact(np.zeros(shape)) for key, shape in SHAPES.items()}
    found = []
    for step in range(steps):
        clipped = rounding.clip([exact(g) for g in gradients_of(step).values()], settings)
        for key, g in zip(SHAPES, clipped, strict=True):
            w[key], v[key] = rounding.sgd(w[key], g, v[key], settings)
        found.append(dict(w))
    return found


def check_updates(backend: str, settings: Settings, steps: int = 200) -> Rows:
    """Weights after every one of many steps with the same gradients."""
    del backend  # the optimizer is above the seam
    optimizer = SGD(**settings._asdict())
    w = gradients_of(2**32 - 1)
    rows = []
    for step in range(steps):
        g = gradients_of(step)
        optimizer.update(w, g)
        rows.append(
            equal(
                "gradients after an update",
                [a.tobytes() for a in g.values()],
                [a.tobytes() for a in gradients_of(step).values()],
            )
        )
        for key, known in known_updates(settings, steps)[step].items():
            name = f"step {step + 1}: {key} {_changed(settings)}"
            rows.append(compare(name, w[key], keras_updates(settings, steps)[step][key], 2 * known.error))
    return rows


def check_all_updates(backend: str) -> Rows:
    """Every setting of SGD."""
    return [row for settings in SETTINGS for row in check_updates(backend, settings)]


def _changed(settings: Settings) -> str:
    return ", ".join(f"{k}={v}" for k, v in settings._asdict().items() if v and v != Settings._field_defaults[k])


# --- 10. losses on arrays -----------------------------------------------------------------------------------------

ARRAY_LOSSES: dict[str, tuple[bool, dict[str, Any]]] = {
    "categorical": (False, {}),
    "categorical, unreduced": (False, {"reduction": None}),
    "categorical, sum": (False, {"reduction": "sum"}),
    "categorical, smoothed": (False, {"label_smoothing": 0.25}),
    "categorical, logits": (False, {"from_logits": True}),
    "categorical, logits, smoothed, unreduced": (
        False,
        {"from_logits": True, "label_smoothing": 0.25, "reduction": None},
    ),
    "sparse": (True, {}),
    "sparse, unreduced": (True, {"reduction": None}),
    "sparse, logits": (True, {"from_logits": True}),
}


def loss_inputs(options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Logits, or probabilities: proper ones, unscaled ones, and certain ones, right and wrong."""
    rng = np.random.default_rng(8)
    if options.get("from_logits"):
        return {"normal": rng.normal(size=(40, 6)), "large": 1e4 * rng.normal(size=(40, 6))}
    if options.get("sparse") and FRAMEWORK != "tensorflow":
        return {"proper": rng.dirichlet(np.ones(6), 40)}  # elsewhere Keras rescales before it clips
    return {
        "proper": rng.dirichlet(np.ones(6), 40),
        "unscaled": rng.uniform(0.01, 3, (40, 6)),
        "certain": np.eye(6)[rng.integers(6, size=40)],
    }


def positive_outputs() -> np.ndarray:
    """Outputs that no clip touches, unscaled."""
    return np.random.default_rng(10).uniform(0.01, 0.9, (40, 6)).astype("float32")


@lru_cache
def keras_loss_gradient(sparse: bool) -> np.ndarray:
    """Gradient of Keras's loss with respect to probabilities."""
    labels = np.random.default_rng(9).integers(6, size=40)
    kind = keras.losses.SparseCategoricalCrossentropy if sparse else keras.losses.CategoricalCrossentropy
    truth = labels if sparse else np.eye(6, dtype="float32")[labels]

    def loss(tensors: list[Any]) -> tuple[Any, list[Any]]:
        return kind()(keras.ops.convert_to_tensor(truth), tensors[0]), []

    return value_and_gradients(loss, [positive_outputs()])[1][0]


def check_loss_gradients(backend: str) -> Rows:
    """Gradients through probabilities that are rescaled, as Keras differentiates them."""
    labels, y, rows = np.random.default_rng(9).integers(6, size=40), positive_outputs(), []
    for sparse in (False, True) if FRAMEWORK == "tensorflow" else (False,):  # elsewhere the sparse rule is another
        loss = losses.SparseCategoricalCrossentropy() if sparse else losses.CategoricalCrossentropy()
        loss.backend = backend
        loss.forward(y, np.eye(6, dtype="float32")[labels])
        # A handful of roundings of terms up to 1/0.01, divided by the 40 samples.
        bound = 2 * 20 * Rounding("float32").u * 100 / 40
        expected = keras_loss_gradient(sparse)
        rows.append(compare(f"gradient of the loss, sparse={sparse}", loss.backward(), expected, bound))
    return rows


@lru_cache
def keras_losses() -> dict[tuple[str, str, str], np.ndarray]:
    """Those of Keras's classes."""
    labels, found = np.random.default_rng(9).integers(6, size=40), {}
    for name, (sparse, options) in ARRAY_LOSSES.items():
        kind = keras.losses.SparseCategoricalCrossentropy if sparse else keras.losses.CategoricalCrossentropy
        for inputs, y in loss_inputs({**options, "sparse": sparse}).items():
            for dtype in ("float32", "float64") if FRAMEWORK == "tensorflow" else ("float32",):
                with floatx(dtype):
                    truth = labels if sparse else np.eye(6, dtype=dtype)[labels]
                    value = kind(dtype=dtype, **options)(truth, y.astype(dtype))
                    found[name, inputs, dtype] = to_numpy(value)
    return found


def check_array_losses(backend: str) -> Rows:
    """Losses called on arrays: reduced and not, smoothed, from probabilities and from logits."""
    labels, rows = np.random.default_rng(9).integers(6, size=40), []
    for (name, inputs, dtype), expected in keras_losses().items():
        sparse, options = ARRAY_LOSSES[name]
        kind = losses.SparseCategoricalCrossentropy if sparse else losses.CategoricalCrossentropy
        y = loss_inputs(options)[inputs].astype(dtype)
        loss = kind(**options)
        loss.backend = backend
        got = loss(labels if sparse else np.eye(6)[labels], y)
        # A sum of 6 terms, a few elementary functions of arguments up to |log 1e-7| or the logits themselves, and the
        # 40 samples; 1 − 1e-7 itself is rounded in float32, which the logarithm shows as an error of u.
        rounding = Rounding(dtype)
        scale = float(np.abs(y).max()) if options.get("from_logits") else 17.0
        bound = 2 * (rounding.gamma(6) + 20 * rounding.u) * (scale + 1)
        if options.get("reduction", "mean") == "sum":
            bound *= 40
        if inputs == "certain":
            bound *= 2 if dtype == "float32" else 1
        rows.append(compare(f"{name} loss, {inputs} {dtype}", got, expected, bound))
    return rows + check_loss_gradients(backend)


def check_saturated_softmax(backend: str) -> Rows:
    """Logits of which one is far above the others: its probability is 1, as every framework has it."""
    rows = []
    for largest in (200.0, 1e4):
        x = np.float32(largest) * np.eye(3, dtype="float32")
        expected = to_numpy(keras.activations.softmax(keras.ops.convert_to_tensor(x)))
        layer = Activation("softmax")
        layer.bind(backend, "float32")
        rows.append(compare(f"softmax, a logit of {largest:g}", layer(x), expected, 2 * U32))
    return rows


# --- 9. the pipeline ----------------------------------------------------------------------------------------------


def check_to_categorical(backend: str) -> Rows:
    """One-hot rows, entry for entry and dtype for dtype."""
    del backend
    rows = []
    for x in (np.array([0, 2, 1, 9]), np.array([[1], [3]]), np.array([[1, 0], [2, 2]]), [3, 0], 2):
        rows.append(compare(f"to_categorical({x!r})", to_categorical(x), keras.utils.to_categorical(x), 0.0))
        rows.append(compare("to_categorical, 12", to_categorical(x, 12), keras.utils.to_categorical(x, 12), 0.0))
    return rows


def check_numerical_gradient(backend: str) -> Rows:
    """The measuring rod itself: the gradient of Σ x³ is 3x²."""
    del backend
    x = np.linspace(-2, 2, 9)
    return [compare("numerical gradient of x³", numerical_gradient(lambda: float((x**3).sum()), x), 3 * x**2, 1e-9)]
