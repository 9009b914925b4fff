"""``python -m parity_tests`` as a person uses it: its tables, its page, its exit status."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import re
from pathlib import Path

import numpy as np
import pytest

from parity_tests.checks import checks
from parity_tests.report import page as report
from parity_tests.checks import training_checks
from parity_tests.__main__ import main
from scratch.datasets import mnist
from scratch.ops import numpy_ops


@pytest.fixture
def small(digits: mnist.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A few digits, and few checks, so that a report takes a second."""
    few = {name: training_checks.FAST[name] for name in ("trace", "to_categorical")}
    monkeypatch.setattr(training_checks, "FAST", few)
    monkeypatch.setattr(checks, "RMS_SEEDS", 2)
    checks.keras_rms.cache_clear()
    report.tensor_rows.cache_clear()
    report.triangle_cells.cache_clear()
    (x_train, y_train), (x_test, y_test), _ = digits
    path = tmp_path / "small.npz"
    np.savez(path, x_train=x_train[:500], y_train=y_train[:500], x_test=x_test[:200], y_test=y_test[:200])
    return str(path)


def test_a_report_of_agreement(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "parity.html"
    assert main(["--data", small, "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"They agree: [\d,]+ comparisons, none beyond its bound; there is no divergence\.", out)
    for text in ("to_categorical", "dense_0/dW", "autodiff", "5 epochs", f"Page: {page}"):
        assert text in out
    content = page.read_text(encoding="utf-8")
    assert content.count("data:image/png;base64,") == 2
    assert "http" not in content  # self-contained
    assert "They agree" in content


def test_a_report_of_a_difference(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in checks.BACKENDS:
        training_checks.run("trace", backend)  # what Keras says is kept from here on
    monkeypatch.setattr(numpy_ops, "relu_backward", lambda dout, out: np.where(out >= 0, dout, 0))
    page = tmp_path / "parity.html"
    assert main(["--data", small, "--report", str(page)]) == 1
    out = capsys.readouterr().out
    message = re.search(r"They part\. First divergence: trace \(numpy\): dense_0/dx\[0, \d\]: got", out)
    assert message
    assert message.group() in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slow"], "--slow needs all 70,000 digits; set MNIST_PATH or --data."),
        (["--report", "no/such/folder.html"], "no/such/folder.html can't be written; name a file in a folder"),
    ],
)
def test_what_it_cannot_do(options: list[str], message: str, small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", small, *options]) == 2
    assert capsys.readouterr().err.startswith(f"python -m parity_tests: {message}")
