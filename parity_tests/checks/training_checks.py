"""Comparisons of training: step by step, and what an epoch reports; see ``checks`` for the others."""

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from parity_tests.checks import checks
from parity_tests.checks.checks import U32, Rows, vars_of
from parity_tests.checks.compare import compare, equal
from parity_tests.reference.cases import ARTICLE, Case
from parity_tests.reference.error_model import LAMBDA, Known, Rounding, Settings, exact
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import clear_session, set_random_seed

# --- 5. lock-step training ----------------------------------------------------------------------------------------


def lock_step(
    backend: str, case: Case, x: np.ndarray, labels: np.ndarray, steps: Iterable[Any], twin: Any = None
) -> Iterator[Rows]:
    """Train both from the same weights on the same batches and compare after every step.

    The steps are what to index the samples with; the twin is Keras's model, or one that replays what Keras did.

    Neither is set back, so differences add up.  Each step is held to what it may add: the error model starts from the
    weights as they differ before the step (LAMBDA times that, since a measured difference is no bound), so that a unit
    whose sign is uncertain between the two is known to be.
    """
    model, twin = case.scratch(backend), twin or case.twin()
    one_hot = np.eye(case.widths[-1])
    for step, rows in enumerate(steps):
        xb, yb = x[rows].astype(np.float32), one_hot[labels[rows]]
        theirs_before = dict(zip(model.params, twin.get_weights(), strict=True))
        apart = {key: np.abs(W - theirs_before[key]).astype(np.float64) for key, W in model.params.items()}
        shadow = case.shadow().at(model.params, {key: LAMBDA * d for key, d in apart.items()})
        known = shadow.step(xb.astype(np.float64), yb)
        ours, theirs = model.train_on_batch(xb, yb), twin.train_on_batch(xb, yb.astype(np.float32))
        bound = 2 * known["loss"].error + U32
        found = [compare(f"step {step + 1}: loss", np.float64(ours[0]), np.float64(theirs[0]), bound)]
        # A digit that one of them finds and the other does not is a near tie; one in a batch of 100 may be.
        right, expected = (np.round(values[1] * len(xb)) for values in (ours, theirs))
        found.append(compare(f"step {step + 1}: digits right", right, expected, 1.0))
        for (key, W), theirs_W in zip(model.params.items(), twin.get_weights(), strict=True):
            added = shadow.parameters()[key].error - LAMBDA * apart[key]
            found.append(compare(f"step {step + 1}: {key}", W, theirs_W, apart[key] + 2 * added))
        yield found


def check_lock_step(backend: str) -> Rows:
    """Ten steps of the article's network."""
    x = np.concatenate([Case(**{**vars_of(ARTICLE), "seed": seed}).x for seed in range(4)])
    labels = np.random.default_rng(5).integers(10, size=len(x))
    steps = np.arange(10 * ARTICLE.batch).reshape(10, ARTICLE.batch) % len(x)
    return [row for rows in lock_step(backend, ARTICLE, x, labels, steps) for row in rows]


# --- 6. what an epoch reports -------------------------------------------------------------------------------------

FIT = {"batch_size": 10, "epochs": 2, "shuffle": False, "validation_split": 0.25}
REPORTS = (
    Case((8, 5), ("relu", "softmax"), batch=57, separate=True, seed=3),
    Case((8, 5), ("tanh", "softmax"), batch=57, sparse=True, seed=4),
    Case((8, 5), ("relu", "softmax"), batch=57, classes=True, smoothing=0.25, seed=5),
)
TRAINING = Settings(0.0625, momentum=0.875)


def printed(work: Callable[[], Any]) -> tuple[str, Any]:
    """What a person sees of some work, with times taken out: of a line drawn over, the last state."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = work()
    lines = [re.split(r"[\r\b]", line)[-1].rstrip() for line in out.getvalue().split("\n")]
    text = re.sub(r"\x1b\[\d+m", "", "\n".join(lines))
    return re.sub(r"\d+(s|ms|us)\b", "TIME", text), result


def reports(model: Any, case: Case) -> dict[str, Any]:
    """Everything that training, evaluation and prediction return and print."""
    x, y = case.x, case.y
    untrained = model.evaluate(x, y, batch_size=10, verbose=0)
    text2, history = printed(lambda: model.fit(x, y, verbose=2, **FIT))
    weights = model.get_weights()
    data = {"validation_data": (x[:9], y[:9])}
    text1, third = printed(lambda: model.fit(x, y, verbose=1, batch_size=10, shuffle=False, epochs=1, **data))
    return {
        "evaluate": untrained,
        "validation data": third.history,
        "history": history.history,
        "epochs": history.epoch,
        "text of verbose=2": text2,
        "text of verbose=1": text1,
        "weights after fit": weights,
        "evaluate afterwards": printed(lambda: model.evaluate(x, y, batch_size=10, verbose=2)),
        "as a dict": model.evaluate(x, y, batch_size=10, verbose=0, return_dict=True),
        "predict": model.predict(x, batch_size=10, verbose=0),
        "test_on_batch": model.test_on_batch(x, y),
        "train_on_batch": model.train_on_batch(x, y),
        "predict_on_batch": model.predict_on_batch(x),
        "weights in the end": model.get_weights(),
    }


@lru_cache
def keras_reports(case: Case) -> dict[str, Any]:
    """Those of Keras."""
    return reports(case.twin(TRAINING), case)


@lru_cache
def known_reports(case: Case) -> dict[str, Any]:
    """Those of the error model: the same training in float64, its errors carried along from step to step."""
    shadow = case.shadow(TRAINING)
    x, t = case.x.astype(np.float64), case.targets.astype(np.float64)
    kept = int(len(x) * 0.75)

    def mean(parts: list[tuple[Known, int]]) -> Known:
        n = sum(count for _, count in parts)
        value = sum(k.value * count for k, count in parts) / n
        error = sum(k.error * count for k, count in parts) / n
        return Known(value, error + Rounding("float32").gamma(2 * len(parts) + 2) * abs(value))

    def over(x: np.ndarray, t: np.ndarray, work: Callable[..., dict[str, Known]]) -> Known:
        parts = [(x[i : i + 10], t[i : i + 10]) for i in range(0, len(x), 10)]
        return mean([(work(xb, tb)["loss"], len(xb)) for xb, tb in parts])

    found: dict[str, Any] = {"evaluate": over(x, t, shadow.trace), "loss": [], "val_loss": []}
    for _ in range(2):
        found["loss"].append(over(x[:kept], t[:kept], shadow.step))
        found["val_loss"].append(over(x[kept:], t[kept:], shadow.trace))
    found["weights after fit"] = list(shadow.parameters().values())
    found["third loss"] = over(x, t, shadow.step)
    found["third val_loss"] = over(x[:9], t[:9], shadow.trace)
    found["evaluate afterwards"] = over(x, t, shadow.trace)
    out = shadow.outputs(exact(x))[case.names()[-1][0]][1]
    found["predict"] = out
    found["train_on_batch"] = shadow.step(x, t)["loss"]
    found["predict_on_batch"] = shadow.outputs(exact(x))[case.names()[-1][0]][1]
    found["weights in the end"] = list(shadow.parameters().values())
    return found


NUMBER = re.compile(r"\d+\.\d{4}(?:e[+-]\d+)?")


def same_text(name: str, ours: str, theirs: str, bound: float) -> Rows:
    """Two texts: the same words, and numbers that differ by no more than their bound and the last printed digit."""
    rows = [equal(name, NUMBER.sub("#", ours), NUMBER.sub("#", theirs))]
    for i, (a, b) in enumerate(zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=False)):
        digit = 1.01 * 10.0 ** (-4 + int(b.partition("e")[2] or 0))
        rows.append(compare(f"{name}, number {i}", np.float64(a), np.float64(b), bound + digit))
    return rows


def check_reports(backend: str) -> Rows:
    """History, ``evaluate``, ``predict``, the batch methods, and the text of the progress lines."""
    return [row for case in REPORTS for row in check_report(backend, case)]


def check_report(backend: str, case: Case) -> Rows:
    """Those of one network."""
    ours, theirs, known = reports(case.scratch(backend, TRAINING), case), keras_reports(case), known_reports(case)
    rows = [equal("history keys", list(ours["history"]), list(theirs["history"]))]
    rows += [equal("history types", {type(v) for vs in ours["history"].values() for v in vs}, {float})]
    rows += [equal("epochs", ours["epochs"], theirs["epochs"])]
    rows += [equal(f"epochs of {key}", len(ours["history"][key]), len(vs)) for key, vs in theirs["history"].items()]

    def number(name: str, a: float, b: float, bound: float) -> None:
        rows.append(compare(name, np.float64(a), np.float64(b), bound))

    for key in theirs["history"]:
        for i, (a, b) in enumerate(zip(ours["history"][key], theirs["history"][key], strict=False)):
            error = 2 * float(known[key][i].error) if "loss" in key else 2 * U32  # Keras rounds a count's quotient
            number(f"history: {key} of epoch {i + 1}", a, b, error)
    for name in ("loss", "val_loss"):
        a, b = (history["validation data"][name][0] for history in (ours, theirs))
        number(f"validation data: {name}", a, b, 2 * float(known[f"third {name}"].error))
    largest = 2 * float(known["third loss"].error)
    rows += same_text("text of verbose=2", ours["text of verbose=2"], theirs["text of verbose=2"], largest)
    rows += same_text("text of verbose=1", ours["text of verbose=1"], theirs["text of verbose=1"], largest)
    (text_a, values_a), (text_b, values_b) = ours["evaluate afterwards"], theirs["evaluate afterwards"]
    rows += same_text("text of evaluate", text_a, text_b, largest)
    for name, a, b in (("evaluate", ours["evaluate"], theirs["evaluate"]), ("evaluate afterwards", values_a, values_b)):
        number(f"{name}: loss", a[0], b[0], 2 * float(known[name].error))
        number(f"{name}: accuracy", a[1], b[1], 2 * U32)
    rows.append(equal("as a dict", list(ours["as a dict"]), list(theirs["as a dict"])))
    for name, key in (("test_on_batch", "evaluate afterwards"), ("train_on_batch", "train_on_batch")):
        number(f"{name}: loss", ours[name][0], theirs[name][0], 2 * float(known[key].error))
        number(f"{name}: accuracy", ours[name][1], theirs[name][1], 2 * U32)
    for name in ("predict", "predict_on_batch"):
        rows.append(compare(name, ours[name], theirs[name], 2 * known[name].error))
    for name in ("weights after fit", "weights in the end"):
        for i, (a, b, k) in enumerate(zip(ours[name], theirs[name], known[name], strict=True)):
            rows.append(compare(f"{name}: array {i}", a, b, 2 * k.error))
    return rows


def check_shuffling(backend: str) -> Rows:
    """Each epoch sees every sample once, in a new order, with its own target."""
    seen: list[tuple[int, int]] = []

    class Spy(Sequential):
        def train_step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
            seen.extend(zip(x[:, 0].astype(int), y.argmax(axis=1), strict=True))
            return super().train_step(x, y)

    set_random_seed(0)
    model = Spy([Dense(23, "softmax")], backend=backend)
    model.compile("sgd", "categorical_crossentropy")
    model.fit(np.arange(23.0)[:, None], np.eye(23), batch_size=5, epochs=2, verbose=0)
    first, second = seen[:23], seen[23:]
    rows = [equal("samples with their targets", [a for a, _ in seen], [b for _, b in seen])]
    rows += [equal("samples of an epoch", sorted(a for a, _ in epoch), list(range(23))) for epoch in (first, second)]
    return [*rows, equal("orders differ", first != second and first != sorted(first), True)]


FAST: dict[str, Callable[[str], Rows]] = {
    "structure and summary": checks.check_structure,
    "initial weights": checks.check_initial_weights,
    "trace": checks.check_traces,
    "RMS error, × 1.1 Keras's": checks.check_rms,
    "what a pass leaves alone": checks.check_state,
    "updates": checks.check_all_updates,
    "saturated softmax": checks.check_saturated_softmax,
    "losses on arrays": checks.check_array_losses,
    "to_categorical": checks.check_to_categorical,
    "shuffling": check_shuffling,
    "reports of an epoch": check_reports,
    "lock-step, 10 steps": check_lock_step,
    "gradient triangle": checks.check_triangle,
    "numerical gradient": checks.check_numerical_gradient,
}


def run(check: str, backend: str) -> Rows:
    """The rows of a check, with scratch's names and seeds from the start."""
    clear_session()
    set_random_seed(0)
    return FAST[check](backend)
