"""The report on a network of the user's own: as a page, as a fragment for notebooks, as JSON, and its reproductions."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests import checking
from parity_tests.conftest import slow_except
from parity_tests.checking import numerical_checks
from parity_tests.checks.networks import OwnNetworks, tensors
from parity_tests.checks.registry import Check
from parity_tests.comparison import compare, equal, first_failure
from parity_tests.diagnosis import search
from parity_tests.diagnosis.digits import DigitsResult
from parity_tests.diagnosis.examine import examine
from parity_tests.diagnosis.own_gradient import check_own_gradient
from parity_tests.diagnosis.report import Report, make_report, with_checks
from parity_tests.diagnosis.reproduction import source_of
from parity_tests.implementations.adapters import adapt
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.protocol import NotOffered
from parity_tests.parity.html_pages import check_page
from parity_tests.reference.cases import Case
from parity_tests.report.network_page import write_network_page

SIZES = (6, 5, 3)
Array = np.ndarray


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Net:
    """A network without a mistake; what it offers is what its subclasses inherit."""

    def __init__(self, inputs: int, hidden: int, classes: int):
        self.weights = [np.zeros((inputs, hidden)), np.zeros(hidden), np.zeros((hidden, classes)), np.zeros(classes)]

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self.weights]

    def set_weights(self, weights: list[Array]) -> None:
        self.weights = [np.array(W) for W in weights]

    def outputs(self, x: Array) -> Array:
        W1, b1, W2, b2 = self.weights
        self.x, self.h = x, np.maximum(x @ W1 + b1, 0)
        return self.h @ W2 + b2

    def loss(self, x: Array, t: Array) -> Any:
        z = self.outputs(x)
        z = z - z.max(axis=1, keepdims=True)
        return np.mean(t.sum(axis=1) * np.log(np.exp(z).sum(axis=1)) - (t * z).sum(axis=1))

    def gradients(self, x: Array, t: Array) -> list[Array]:
        dz = (softmax(self.outputs(x)) - t) / len(x)
        dh = (dz @ self.weights[2].T) * (self.h > 0)
        return [x.T @ dh, dh.sum(axis=0), self.h.T @ dz, dz.sum(axis=0)]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        for W, dW in zip(self.weights, self.gradients(x, t), strict=True):
            W -= W.dtype.type(learning_rate) * dW


class WrongNet(Net):
    """Its loss is summed, its step ascends, it modifies its input, and it fails for one sample."""

    def loss(self, x: Array, t: Array) -> Any:
        return super().loss(x, t) * len(x)

    def gradients(self, x: Array, t: Array) -> list[Array]:
        if len(x) == 1:
            raise ValueError("<b>one</b> sample & more")
        found = super().gradients(x, t)
        x *= 2
        return found

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        super().step(x, t, -learning_rate)


class OnlyStep(Net):
    """It offers no gradients; those of one step are not divided by the batch size."""

    gradients = None  # type: ignore[assignment]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        for W, dW in zip(self.weights, Net.gradients(self, x, t), strict=True):
            W -= learning_rate * len(x) * dW


class Keeping(Net):
    """It adds the gradients of earlier calls, and returns float64 for float32."""

    def gradients(self, x: Array, t: Array) -> list[Array]:
        found = [dW.astype(np.float64) for dW in super().gradients(x, t)]
        self.total = [a + b for a, b in zip(getattr(self, "total", [0.0] * 4), found, strict=True)]
        return self.total


class OnlyInPlace(Net):
    """Its only training method modifies the batch, and raises for one sample; outputs change the weights."""

    gradients = None  # type: ignore[assignment]

    def outputs(self, x: Array) -> Array:
        z = super().outputs(x)
        self.weights[3] = self.weights[3] + 1
        return z

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        if len(x) == 1:
            raise ValueError("<b>one</b> sample & more")
        weights = self.weights
        dW = Net.gradients(self, x, t)
        self.weights = [W - learning_rate * d for W, d in zip(weights, dW, strict=True)]
        t -= 1


class Float32(Net):
    """It computes in float32, and returns float64 for float64."""

    def outputs(self, x: Array) -> Array:
        W1, b1, W2, b2 = (W.astype("float32") for W in self.weights)
        self.x, self.h = x, np.maximum(x.astype("float32") @ W1 + b1, 0)
        return (self.h @ W2 + b2).astype(x.dtype)


class Dropout(Net):
    """Its dropout is always on."""

    def outputs(self, x: Array) -> Array:
        W1, b1, W2, b2 = self.weights
        self.x, h = x, np.maximum(x @ W1 + b1, 0)
        self.h = h * (np.random.default_rng().random(h.shape) > 0.5)
        return self.h @ W2 + b2


class StepOnDropout(Dropout):
    """It only trains, with dropout; its outputs are without."""

    gradients = loss = None  # type: ignore[assignment]

    def outputs(self, x: Array) -> Array:
        return Net.outputs(self, x)

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        z = Dropout.outputs(self, x)
        h, e = self.h, np.exp(z - z.max(axis=1, keepdims=True))
        dz = (e / e.sum(axis=1, keepdims=True) - t) / len(x)
        self.weights[2] = self.weights[2] - learning_rate * h.T @ dz


class NoTraining(Net):
    """Its methods say that it offers neither gradients nor steps."""

    def gradients(self, x: Array, t: Array) -> list[Array]:
        raise NotOffered("it does not differentiate")

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        raise NotOffered("it does not train")


class LossOfSamples(Net):
    """Its loss is one number for each sample: the mean is forgotten."""

    def loss(self, x: Array, t: Array) -> Any:
        return np.array([super(LossOfSamples, self).loss(x[[i]], t[[i]]) for i in range(len(x))])


class LossInArray(Net):
    """Its loss is an array with one number."""

    def loss(self, x: Array, t: Array) -> Any:
        return np.array([super().loss(x, t)])


class LossInList(Net):
    """Its loss is a list with one number."""

    def loss(self, x: Array, t: Array) -> Any:
        return [super().loss(x, t)]


class OnlyOnce(Net):
    """Its loss can be called only once."""

    def loss(self, x: Array, t: Array) -> Any:
        if hasattr(self, "called"):
            raise SystemExit("bye")
        self.called = True
        return super().loss(x, t)


class TwoMistakes(Net):
    """The logarithm of its loss has p + 1e-7, and its last db is one number."""

    def loss(self, x: Array, t: Array) -> Any:
        return -np.sum(t * np.log(softmax(self.outputs(x)) + 1e-7)) / len(x)

    def gradients(self, x: Array, t: Array) -> list[Array]:
        *found, db = super().gradients(x, t)
        return [*found, np.full_like(db, db.sum())]


class Undefined(Net):
    """The gradient of its last bias is NaN in one entry."""

    def gradients(self, x: Array, t: Array) -> list[Array]:
        *found, db = super().gradients(x, t)
        return [2 * found[0], *found[1:], np.where(np.arange(len(db)) == 1, np.nan, db)]


class Tracing(Net):
    """It offers its gradients in a trace, that of W doubled."""

    gradients = step = None  # type: ignore[assignment]

    def trace(self, x: Array, t: Array) -> dict[str, Array]:
        return {"dense_0/dW": 2 * Net.gradients(self, x, t)[0]}


class OnlyBackward(Net):
    """Only backward; it doubles the first dW, modifies its input, and fails for one sample."""

    gradients = loss = step = None  # type: ignore[assignment]

    def backward(self, x: Array, dout: Array) -> list[Array]:
        if len(x) == 1:
            raise ValueError("<b>one</b> sample & more")
        self.outputs(x)
        dh = (dout @ self.weights[2].T) * (self.h > 0)
        found = [2 * x.T @ dh, dh.sum(axis=0), self.h.T @ dout, dout.sum(axis=0)]
        x *= 2
        return found


@cache
def report_on(network: type) -> Report:
    """Return the report on a network, without the checks of the suite."""
    factory = adapt(network, SIZES)
    examination = examine(factory)
    own = check_own_gradient(factory, examination.observations[0].situation, examination.architecture.dtype)
    return make_report(network.__name__, examination, own, source_of(network, SIZES), 0, keras="3")


NETWORKS = [Net, WrongNet, OnlyStep, Keeping, OnlyInPlace, Float32, Tracing, OnlyBackward]


@pytest.mark.parametrize(
    "network", slow_except(NETWORKS, "Net", "WrongNet", "OnlyStep", name=lambda network: network.__name__)
)
def test_reproductions_run_as_pasted(network: type, capsys: pytest.CaptureFixture[str]) -> None:
    report = report_on(network)
    assert report.agrees == (network is Net)
    for finding in report.findings:
        program = report.reproduction(finding)
        assert len(program.splitlines()) <= 10
        assert max(map(len, program.splitlines())) <= 140
        if finding.name == "exception":
            with pytest.raises(ValueError, match="<b>one</b> sample & more"):
                exec(program, {})
            continue
        exec(program, {})
        out = capsys.readouterr().out
        check_numbers(finding, out)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "methods"), [(Dropout, "outputs, loss, gradients"), (StepOnDropout, "step")])
def test_random_results_come_first(
    network: type, methods: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAIR_SECONDS", 0.25)  # no pair of mistakes explains random results
    report = report_on(network)
    assert report.findings[0].name == "random results"
    assert report.findings[0].what.startswith(f"Results are random: {methods} of two fresh networks")
    program = report.reproduction(report.findings[0])
    assert max(map(len, program.splitlines())) <= 140
    exec(program, {})
    assert capsys.readouterr().out == "the same twice: False\n"


def check_numbers(finding: Any, out: str) -> None:
    """Check that a reproduction prints what the finding says."""
    if finding.name in ("inputs modified", "weights modified"):
        assert out == "unchanged: False\n"
    elif finding.name == "float64 leaks":
        assert out == "expected: float32; yours: float64\n"
    elif finding.name == "float32 sums":
        theirs, ours = (float(line.split()[1]) for line in out.splitlines())
        assert 0 < abs(ours - theirs) < 1e-6
    else:
        theirs, ours = (float(line.split()[1]) for line in out.splitlines())
        got, expected = re.search(r"got (.*), Keras (.*)\.$", finding.evidence).groups()
        assert (ours, theirs) == pytest.approx((float(got), float(expected)), rel=1e-9)


def test_reproduction_of_another_shape(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_on(OnlyStep)
    exec(report.reproduction(replace(report.findings[0], index=None)), {})
    assert capsys.readouterr().out in ("Keras: (6, 5)\nyours: (6, 5)\n", "Keras: (5,)\nyours: (5,)\n")


def test_no_reproduction_without_a_situation() -> None:
    report = report_on(WrongNet)
    assert report.reproduction(replace(report.findings[0], scene="")) == ""


def test_a_method_that_raises_is_not_called_not_offered() -> None:
    report = report_on(WrongNet)
    cell = report.cells["one sample"]["gradients"]
    assert cell.agrees is False
    assert [report.findings[i].name for i in cell.causes] == ["exception"]
    assert report_on(Tracing).cells["one sample"]["gradients"].agrees is False


def test_methods_that_are_not_offered_are_listed_with_the_reason() -> None:
    report = report_on(NoTraining)
    assert report.agrees
    assert set(report.not_offered) == {
        "gradients: it does not differentiate", "step: it does not train", "trace: there is no such method",
    }  # fmt: skip
    assert report.cells["a usual batch"]["gradients"].agrees is None
    assert report.own_gradient.text == "not offered: it does not differentiate"


@pytest.mark.parametrize(("network", "samples"), [(LossOfSamples, 32), (LossInArray, 1), (LossInList, 1)])
def test_a_loss_that_is_not_one_number_is_a_finding(network: type, samples: int) -> None:
    report = report_on(network)
    text = f"can't be said: loss(x, t) must return one number; got shape ({samples},)"
    assert report.own_gradient == (None, text)
    assert [finding.evidence for finding in report.findings] == [
        f"a usual batch: loss: got float64 ({samples},), Keras float64 ()."
    ]


def test_a_loss_that_raises_when_it_is_called_again_is_a_finding() -> None:
    report = report_on(OnlyOnce)
    assert report.own_gradient == (None, "can't be said: loss or gradients raise SystemExit")
    assert [(finding.what, finding.remedy) for finding in report.findings] == [
        ("loss raises SystemExit: bye", "It must work for this batch as well: a second call.")
    ]


def test_the_entry_of_a_gradient_that_differs_most_is_named() -> None:
    observation, right = report_on(TwoMistakes).examination.observations[0], Net(*SIZES)
    right.set_weights(observation.situation.weights)
    right_db = right.gradients(observation.situation.x, observation.situation.t)[3]
    differences = np.abs(right_db - observation.tensors["dense_1/db"])
    own = report_on(TwoMistakes).own_gradient
    assert own.agrees is False
    assert own.text.startswith(f"no. db[{differences.argmax()}] of layer 2 differs most: it is ")


def test_a_gradient_that_is_nan_differs_most() -> None:
    own = report_on(Undefined).own_gradient
    assert own.agrees is False
    assert own.text.startswith("no. db[1] of layer 2 differs most: it is nan, and the derivative of the loss is ")


def test_the_table_refers_to_the_findings_by_their_place() -> None:
    """A side effect that comes first moves the others."""
    report = report_on(WrongNet)
    cells = report.cells
    assert [report.findings[i].name for i in cells["a usual batch"]["loss"].causes] == ["loss_summed"]
    assert [report.findings[i].name for i in cells["1 step"]["steps"].causes] == ["update_negated"]
    assert report.findings[0].name == "inputs modified"


def test_a_difference_from_keras_alone_is_a_finding() -> None:
    """The reference reproduces the network, and Keras does not: the table and the findings say the same."""
    examination = examine(adapt(Net, SIZES))
    row = examination.rows[0]
    examination.rows[0] = replace(
        row, comparisons=row.comparisons | {"loss": compare("loss", np.ones(()), np.zeros(()), 0)}
    )
    report = make_report(
        "Net", examination, check_own_gradient(adapt(Net, SIZES), examination.observations[0].situation, "float64")
    )
    assert not report.agrees
    assert [finding.what for finding in report.findings] == ["The loss differs from Keras's."]


@pytest.mark.slow
def test_findings_have_their_methods() -> None:
    assert {f.method for f in report_on(WrongNet).findings} == {"loss", "gradients", "step"}
    assert {f.method for f in report_on(OnlyStep).findings} == {"step"}
    assert {f.method for f in report_on(Tracing).findings} == {"trace"}
    assert {f.scene for f in report_on(Keeping).findings if f.stage == "gradients"} >= {"a second call"}
    effects = {f.name for f in report_on(WrongNet).findings}
    assert {"inputs modified", "exception"} <= effects
    assert {f.method for f in report_on(OnlyBackward).findings} == {"backward"}
    assert {f.name for f in report_on(OnlyBackward).findings} >= {"inputs modified", "exception"}
    in_place = report_on(OnlyInPlace)
    methods = {(f.name, f.method) for f in in_place.findings}
    assert methods >= {("inputs modified", "step"), ("exception", "step"), ("weights modified", "outputs")}
    assert "float32 sums" in {f.name for f in report_on(Float32).findings}


@pytest.mark.parametrize("network", [Net, WrongNet])
def test_page(network: type, tmp_path: Path) -> None:
    report, path = report_on(network), tmp_path / "mine.html"
    write_network_page(str(path), report)
    content = path.read_text(encoding="utf-8")
    page = check_page(content)
    assert 'name="viewport" content="width=device-width' in content
    assert {"situations", "situation-a-usual-batch", "glossary-bound", "environment-date"} <= set(page.ids)
    assert ("findings" in page.ids) == (network is WrongNet)
    for finding in report.findings:
        for text in (finding.what, finding.remedy, finding.evidence, report.reproduction(finding)):
            assert text in page.text
    assert "✗" in page.text if network is WrongNet else "✓ All that it offers agrees with Keras." in page.text
    assert "<b>" not in content
    links = {link for link in page.links if "finding-" in link}
    assert links <= {f"#finding-{i + 1}" for i in range(len(report.findings))}
    assert bool(links) == (network is WrongNet)


def test_page_with_checks_and_digits(tmp_path: Path) -> None:
    good, bad = compare("W", np.float64(3e-9), np.float64(0), 1e-7), equal("<i>", "<u>", 2)
    report = with_checks(report_on(Net), {"trace": [good], "state": [good, bad]}, DigitsResult(0.9, 0.95, 20_000))
    write_network_page(str(tmp_path / "mine.html"), report)
    content = (tmp_path / "mine.html").read_text(encoding="utf-8")
    page = check_page(content)
    assert {"checks-of-the-suite", "check-trace", "check-state"} <= set(page.ids)
    for text in ("3 % of 1e-07", "<i>: got '<u>', expected 2", f"Real digits: {report.digits}.", "The check 'state'"):
        assert text in page.text
    assert "<u>" not in content


def test_a_network_that_modifies_its_input_runs_through_the_checks_of_the_suite() -> None:
    networks = OwnNetworks(lambda sizes: adapt(WrongNet, sizes)(), ("relu", "linear"), ("float64",))
    case = Case((5, 3), ("relu", "linear"), features=6, dtype="float64")
    found = tensors(networks.build(case), case)
    assert {"dense_1/out", "loss", "dense_0/dW"} <= set(found)


def test_an_exception_in_a_check_of_the_suite_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(networks: OwnNetworks) -> list[Any]:
        network = networks.build(Case((5, 3), ("relu", "linear"), features=6, batch=1))
        return list(network.gradients(np.ones((1, 6), "float32"), np.eye(3, dtype="float32")[:1]))

    monkeypatch.setattr(checking, "NUMERICAL", {"trace": ()})
    monkeypatch.setitem(checking.CHECKS_OF_THE_SUITE, "trace", Check(check, numerical=True))
    found = numerical_checks(WrongNet, Conventions(), report_on(WrongNet).examination)
    assert "ValueError: <b>one</b> sample & more" in str(first_failure(found["trace"]))


def test_fragments_of_a_notebook_do_not_share_anchors() -> None:
    right, wrong = (report_on(network)._repr_html_() for network in (Net, WrongNet))
    check_page(f"{right}{wrong}")
    assert "<html" not in right
    style = right[right.index("<style>") + 7 : right.index("</style>")]
    for selectors in re.findall(r"([^{}]+)\{", style):  # no rule reaches what is around the fragment
        assert all(s.strip().startswith((".parity", "@media")) for s in selectors.split(","))


def test_json_has_the_same_keys_whatever_is_found() -> None:
    found = [json.loads(json.dumps(report_on(network).to_json())) for network in (Net, WrongNet)]
    keys = "implementation agrees sizes activations dtype seed findings own_gradient table comparisons checks digits"
    assert list(found[0]) == list(found[1]) == [*keys.split(), "not_offered", "environment"]
    finding = "name what remedy stage evidence scene tensor index method reproduction"
    assert all(list(entry) == finding.split() for entry in found[1]["findings"])
    assert found[0]["table"]["a usual batch"]["loss"] == {"agrees": True, "causes": [], "follows": False}
    assert found[1]["table"]["a usual batch"]["loss"] == {"agrees": False, "causes": [1], "follows": False}


@pytest.mark.parametrize(
    ("implementation", "conventions", "lines"),
    [
        (Net, None, [f"from {__name__} import Net", "adapt(Net, (6, 5, 3))"]),
        (Net(6, 5, 3), None, ["adapt(network, (6, 5, 3))"]),
        (
            Net,
            Conventions(loss="sum"),
            ["from parity_tests.implementations.conventions import Conventions", 'Conventions(loss="sum"))'],
        ),
    ],
)
def test_source(implementation: Any, conventions: Conventions | None, lines: list[str]) -> None:
    source = source_of(implementation, SIZES, conventions)
    text = "\n".join([*source.imports, source.factory])
    assert all(line in text for line in lines)
    assert text.count("Conventions") == (0 if conventions is None else 2)


def test_source_of_a_file(tmp_path: Path) -> None:
    from parity_tests.implementations.loading import load

    path = tmp_path / "my net.py"
    path.write_text("class Net:\n    class Inner:\n        pass\n")
    source = source_of(load(f"{path}:Net.Inner"), SIZES)
    assert "from parity_tests.implementations.loading import load" in source.imports
    assert source.factory == f'adapt(load("{path}:Net.Inner"), (6, 5, 3))'
