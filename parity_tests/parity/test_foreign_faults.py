"""The diagnosis finds the mistakes that are planted into networks that are not ours, and names them.

``python -m parity_tests.parity.confusion --all`` prints a table of faults and diagnoses. The slow tests print
it, and one of the pairs, with ``python -m pytest -n 0 -m slow parity_tests/parity/test_foreign_faults.py``.
"""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from parity_tests.conftest import slow_except
from parity_tests.implementations.protocol import CannotRunError
from parity_tests.parity.confusion import (
    DTYPES,
    FAULTS,
    REFUSED,
    Result,
    confusion_table,
    found_in,
    results_of,
    summary,
)
from parity_tests.parity.foreign_faults import (
    NETWORKS,
    Fault,
    diagnosis_of,
    edited,
    factory,
)
from parity_tests.parity.networks import book_faults, torch_faults

BOOK = {fault.name: fault for fault in book_faults.FAULTS}
NAMED = [
    "bias_not_added",
    "softmax_over_samples",
    "logarithm_shifted",
    "argmax_of_soft_labels_in_loss",
    "gradient_summed",
    "short_batch_averaged_wrongly",
    "relu_gradient_where_input_is_zero",
    "bias_gradient_one_number",
    "first_batch_kept",
    "updated_before_backward",
    "nesterov_ignored",
    "inputs_overwritten",
    "gradients_clipped",
]
NAMED_PAIRS = [
    ("bias_not_added", "loss_summed"),
    ("gradient_summed", "weights_decay"),
    ("logarithm_shifted", "bias_gradient_averaged"),
    ("relu_gradient_everywhere", "bias_not_updated"),
]
PAIRS = 100


def both(first: Fault, second: Fault) -> Fault:
    """Return the fault that is both."""
    hidden = first.hidden if second.hidden == "Relu" else second.hidden
    return Fault(
        f"{first.name} + {second.name}", first.edits + second.edits, (), hidden, first.settings | second.settings
    )


def compatible(first: Fault, second: Fault) -> bool:
    """Return whether both faults can be planted together: in other lines, and with the same settings."""
    hidden = {fault.hidden for fault in (first, second)} - {"Relu"}
    relu = any("self.mask" in old + new for fault in (first, second) for old, new in fault.edits)
    if first.settings != second.settings or len(hidden) > 1 or (hidden and relu):
        return False
    source = (NETWORKS / "book_style.py").read_text("utf-8")
    try:
        edited(source, first.edits + second.edits)
        edited(source, second.edits + first.edits)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("hidden", slow_except(["Relu", "Sigmoid", "Tanh"], "Relu"))
def test_right_network(hidden: str) -> None:
    report = diagnosis_of(factory("book_style", hidden=hidden))
    assert report.agrees, report


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "weight_decay": 0.01}]
)
def test_right_network_with_settings_of_sgd(settings: dict[str, Any]) -> None:
    """Keras uses the declared settings in float64 as well: no training step differs."""
    report = diagnosis_of(factory("book_style", **settings), **settings)
    assert report.agrees, report
    assert [str(row["steps"]) for row in report.cells.values() if "steps" in row] == ["✓", "✓", "✓"]


@pytest.mark.parametrize("name", slow_except(NAMED, "logarithm_shifted", "gradient_summed", "bias_gradient_one_number"))
def test_fault_is_named(name: str) -> None:
    fault = BOOK[name]
    found = found_in(fault, "book_style", None)
    assert found, f"{name} is not detected"
    assert found[0] in fault.mistakes


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), NAMED_PAIRS)
def test_pair_of_faults_is_named(first: str, second: str) -> None:
    found = found_in(both(BOOK[first], BOOK[second]), "book_style", None)
    for name in (first, second):
        assert set(BOOK[name].mistakes) & set(found), found


@pytest.mark.parametrize("network", FAULTS)
def test_texts_of_faults_occur(network: str) -> None:
    source = (NETWORKS / f"{network}.py").read_text("utf-8")
    assert len({fault.name for fault in FAULTS[network]}) == len(FAULTS[network])
    for fault in FAULTS[network]:
        assert edited(source, fault.edits) != source


def test_summary_of_the_confusion_table() -> None:
    right = Result("bias_not_added", ("bias_missing",), ["bias_missing", "float64 leaks"])
    wrong = Result("output_in_float64", ("float64 leaks",), ["unexplained"])
    missed = Result("bias_added_twice", ("bias_twice",), [])
    lines = list(summary({"first": [right, wrong], "second": [missed]}))
    assert "| forward | 1 of 1 | 0 of 1 |" in lines
    assert "| side effects | 0 of 1 | - |" in lines
    assert "| all | 1 of 2 | 0 of 1 |" in lines
    assert lines[-2:] == [
        "| first | output_in_float64 | float64 leaks | unexplained |",
        "| second | bias_added_twice | bias_twice | not detected |",
    ]
    assert list(confusion_table([right]))[-1] == (
        "| bias_not_added | bias_missing | bias_missing, float64 leaks | right |"
    )


def test_text_that_does_not_occur() -> None:
    with pytest.raises(ValueError, match="occurs 0 times: out = x"):
        edited("def forward(x): return x", [("out = x", "out = 2 * x")])


def test_autograd_refuses_overwritten_activations() -> None:
    """Exactly one fault of the PyTorch module cannot be run, and the exception names the user's method."""
    pytest.importorskip("torch")
    refused = [fault for fault in torch_faults.FAULTS if fault.refused]
    assert [fault.name for fault in refused] == ["inputs_overwritten"]
    for dtype in refused[0].dtypes:
        assert found_in(refused[0], "torch_style", dtype) == [REFUSED]
    with pytest.raises(CannotRunError, match=r"outputs modifies x in place\."):  # a float32 network has a copy of x
        diagnosis_of(refused[0].factory("torch_style", "float64"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("network", FAULTS)
def test_every_fault(network: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault is detected, and the first finding is right in at least 90 % of them."""
    if network == "torch_style":
        pytest.importorskip("torch")
    results = results_of(network, dtype)
    with capsys.disabled():
        print(f"\n{network}, {dtype}\n")
        print("\n".join(confusion_table(results)))
    assert not [result.fault for result in results if result.verdict == "MISSED"]
    wrong = [result.fault for result in results if result.verdict == "WRONG"]
    assert len(wrong) <= 0.1 * len(results), wrong


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_random_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """Both faults are named in at least 70 % of 100 random pairs."""
    possible = [pair for pair in combinations(book_faults.FAULTS, 2) if compatible(*pair)]
    results: list[tuple[str, str, list[str], bool]] = []
    for i in np.random.default_rng(0).permutation(len(possible)):
        first, second = possible[i]
        try:
            found = found_in(both(first, second), "book_style", None)
        except CannotRunError:  # one needs a line that the other has replaced
            continue
        results.append((first.name, second.name, found, all(set(f.mistakes) & set(found) for f in (first, second))))
        if len(results) == PAIRS:
            break
    named = sum(right for *_, right in results)
    with capsys.disabled():
        print(f"\n{named} of {PAIRS} pairs: both faults are named\n")
        for first, second, found, right in results:
            print(f"| {first} | {second} | {', '.join(found) or '-'} | {'both' if right else 'NOT BOTH'} |")
    assert named >= 0.7 * PAIRS
