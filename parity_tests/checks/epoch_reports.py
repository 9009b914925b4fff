"""What training reports: history, ``evaluate``, ``predict``, the batch methods, and the text of the progress lines."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from parity_tests.comparison import Comparison, compare, compare_weights, equal, labelled
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import SPARSE, Case
from parity_tests.reference.error_model import Bounded, Rounding
from parity_tests.reference.sgd import SGDSettings

BATCH, EPOCHS, SPLIT = 10, 2, 0.25
FIT = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "validation_split": SPLIT}
VALIDATION = 9  # samples of the validation data in the second call of fit
CASES = (
    Case((8, 5), ("relu", "softmax"), batch=57, separate=True, seed=3),
    Case((8, 5), ("tanh", "softmax"), batch=57, loss=SPARSE, seed=4),
    Case((8, 5), ("relu", "softmax"), batch=57, classes=True, smoothing=0.25, seed=5),
)
SETTINGS = SGDSettings(0.0625, momentum=0.875)
ROUNDING = Rounding("float32")
ACCURACY_BOUND = 2 * ROUNDING.u  # the quotient of two integers, rounded by Keras
NUMBER = re.compile(r"\d+\.\d{4}(?:e[+-]\d+)?")


def check_reports(backend: str) -> Iterator[Comparison]:
    """Everything that training, evaluation and prediction return and print agrees with Keras."""
    for case in CASES:
        yield from check_report(backend, case)


def check_report(backend: str, case: Case) -> list[Comparison]:
    """``check_reports`` of one network."""
    ours, theirs = reports(case.scratch_model(backend, SETTINGS), case), keras_reports(case)
    reference = bounded_reports(case)
    rows = _compare_history(ours, theirs, reference)
    rows.append(equal("as a dict", list(ours["as a dict"]), list(theirs["as a dict"])))
    for name in ("evaluate", "evaluate afterwards", "test_on_batch", "train_on_batch"):
        (loss, accuracy), (keras_loss, keras_accuracy) = ours[name], theirs[name]
        rows.append(_compare_numbers(f"{name}: loss", loss, keras_loss, 2 * float(reference[name].bound)))
        rows.append(_compare_numbers(f"{name}: accuracy", accuracy, keras_accuracy, ACCURACY_BOUND))
    for name in ("predict", "predict_on_batch"):
        rows.append(compare(name, ours[name], theirs[name], 2 * reference[name].bound))
    for name in ("weights after fit", "weights at the end"):
        rows += compare_weights(name, ours[name], theirs[name], reference[name])
    for name in ("text of verbose=2", "text of verbose=1", "text of evaluate"):
        rows += compare_texts(name, ours[name], theirs[name], 2 * float(reference["loss of the second fit"].bound))
    return labelled(str(case), rows)


def reports(model: Any, case: Case) -> dict[str, Any]:
    """Return everything that training, evaluation and prediction return and print, of either program."""
    x, y = case.x.copy(), case.y  # writeable: the compiled core computes several batches per call
    untrained = model.evaluate(x, y, batch_size=BATCH, verbose=0)
    text2, history = printed(lambda: model.fit(x, y, verbose=2, **FIT))
    weights = model.get_weights()
    options = {"batch_size": BATCH, "shuffle": False, "validation_data": (x[:VALIDATION], y[:VALIDATION])}
    text1, second = printed(lambda: model.fit(x, y, verbose=1, **options))
    text, trained = printed(lambda: model.evaluate(x, y, batch_size=BATCH, verbose=2))
    return {
        "evaluate": untrained,
        "second history": second.history,
        "history": history.history,
        "epochs": history.epoch,
        "text of verbose=2": text2,
        "text of verbose=1": text1,
        "text of evaluate": text,
        "weights after fit": weights,
        "evaluate afterwards": trained,
        "as a dict": model.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True),
        "predict": model.predict(x, batch_size=BATCH, verbose=0),
        "test_on_batch": model.test_on_batch(x, y),
        "train_on_batch": model.train_on_batch(x, y),
        "predict_on_batch": model.predict_on_batch(x),
        "weights at the end": model.get_weights(),
    }


@lru_cache
def keras_reports(case: Case) -> dict[str, Any]:
    """Return the reports of Keras."""
    return reports(case.keras_model(SETTINGS), case)


@lru_cache
def bounded_reports(case: Case) -> dict[str, Any]:
    """Return the reports of the error model: the same training in float64, with bounds carried from step to step."""
    network = case.bounded_network(SETTINGS)
    x, t = case.x.astype(np.float64), case.targets.astype(np.float64)
    trained = int(len(x) * (1 - SPLIT))

    def over_batches(compute: Callable[..., dict[str, Bounded]], x: np.ndarray, t: np.ndarray) -> Bounded:
        batches = in_order(len(x), BATCH)
        return _weighted_mean([(compute(x[rows], t[rows])["loss"], len(x[rows])) for rows in batches])

    found: dict[str, Any] = {"evaluate": over_batches(network.trace, x, t), "loss": [], "val_loss": []}
    for _ in range(EPOCHS):
        found["loss"].append(over_batches(network.step, x[:trained], t[:trained]))
        found["val_loss"].append(over_batches(network.trace, x[trained:], t[trained:]))
    found["weights after fit"] = list(network.params.values())
    found["loss of the second fit"] = over_batches(network.step, x, t)
    found["val_loss of the second fit"] = over_batches(network.trace, x[:VALIDATION], t[:VALIDATION])
    found["evaluate afterwards"] = found["test_on_batch"] = over_batches(network.trace, x, t)
    found["predict"] = network.predict(x)
    found["train_on_batch"] = network.step(x, t)["loss"]
    found["predict_on_batch"] = network.predict(x)
    found["weights at the end"] = list(network.params.values())
    return found


def _weighted_mean(losses: list[tuple[Bounded, int]]) -> Bounded:
    """Return the mean of the losses of batches, weighted with their numbers of samples, as Keras accumulates it."""
    n = sum(count for _, count in losses)
    value = sum(loss.value * count for loss, count in losses) / n
    bound = sum(loss.bound * count for loss, count in losses) / n
    return Bounded(value, bound + ROUNDING.gamma(2 * len(losses) + 2) * abs(value))


def _compare_history(ours: dict[str, Any], theirs: dict[str, Any], reference: dict[str, Any]) -> list[Comparison]:
    """Compare ``history`` of both calls of ``fit``: keys, types, number of epochs, and values."""
    history, keras_history = ours["history"], theirs["history"]
    rows = [equal("history keys", list(history), list(keras_history))]
    rows += [equal("history types", {type(value) for values in history.values() for value in values}, {float})]
    rows += [equal("epochs", ours["epochs"], theirs["epochs"])]
    rows += [equal(f"epochs of {key}", len(history[key]), len(values)) for key, values in keras_history.items()]
    for key in keras_history:
        for i, (a, b) in enumerate(zip(history[key], keras_history[key], strict=False)):
            bound = 2 * float(reference[key][i].bound) if "loss" in key else ACCURACY_BOUND
            rows.append(_compare_numbers(f"history: {key} of epoch {i + 1}", a, b, bound))
    for key in ("loss", "val_loss"):
        name, bound = f"{key} of the second fit", 2 * float(reference[f"{key} of the second fit"].bound)
        rows.append(_compare_numbers(name, ours["second history"][key][0], theirs["second history"][key][0], bound))
    return rows


def _compare_numbers(name: str, ours: float, theirs: float, bound: float) -> Comparison:
    return compare(name, np.float64(ours), np.float64(theirs), bound)


def printed(work: Callable[[], Any]) -> tuple[str, Any]:
    """Call a function; return what a person sees of its output, without times and colours, and its result.

    Of a line that is drawn over, such as a progress bar, only the last state counts.
    """
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = work()
    lines = [re.split(r"[\r\b]", line)[-1].rstrip() for line in out.getvalue().split("\n")]
    text = re.sub(r"\x1b\[\d+m", "", "\n".join(lines))
    return re.sub(r"\d+(s|ms|us)\b", "TIME", text), result


def compare_texts(name: str, ours: str, theirs: str, bound: float) -> list[Comparison]:
    """Compare two texts: the same words, and numbers that differ by at most the bound and one printed digit."""
    rows = [equal(name, NUMBER.sub("#", ours), NUMBER.sub("#", theirs))]
    for i, (a, b) in enumerate(zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=False)):
        digit = 1.01 * 10.0 ** (-4 + int(b.partition("e")[2] or 0))
        rows.append(_compare_numbers(f"{name}, number {i}", float(a), float(b), bound + digit))
    return rows
