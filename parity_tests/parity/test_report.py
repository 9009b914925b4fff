"""``python -m parity_tests``: its tables, its page, its exit status."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests.checks import accuracy, registry
from parity_tests.cli import discard_stderr, main
from parity_tests.conftest import save_some
from parity_tests.report import results
from parity_tests.report.page import write_page
from scratch.datasets import mnist
from scratch.files import FileError
from scratch.ops import BACKENDS, numpy_ops


@pytest.fixture
def small(digits: mnist.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with a few digits; the report runs two checks only, and takes a second."""
    few = {name: registry.CHECKS[name] for name in ("trace", "to_categorical")}
    monkeypatch.setattr(registry, "CHECKS", few)
    monkeypatch.setattr(results, "CHECKS", few)
    monkeypatch.setattr(accuracy, "SEEDS", 2)
    for cached in (accuracy.keras_rms_errors, results.tensor_results, results.gradient_results):
        cached.cache_clear()
    return save_some(digits, tmp_path / "small.npz", train=500, test=200)


def test_report_of_agreement(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "parity.html"
    assert main(["--data", small, "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"They agree: [\d,]+ comparisons, each within its bound\.", out)
    for text in ("to_categorical", "shared", "fused step", "dense_0/dW", "automatic", "5 epochs", f"Page: {page}"):
        assert text in out
    shared = [line for line in out.splitlines() if "to_categorical" in line]
    assert len(shared) == 1  # code that both backends share has one row
    assert "shared code" in shared[0]
    content = page.read_text(encoding="utf-8")
    assert content.count("data:image/png;base64,") == 2
    assert "http" not in content  # self-contained
    assert "They agree" in content

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        FileError, match=r"parity\.html can't be written: No space left on device; the previous file is"
    ):
        write_page(str(page), results.Report())
    assert page.read_text(encoding="utf-8") == content


def test_report_of_a_difference(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in BACKENDS:
        list(registry.run("trace", backend))  # Keras's results are cached from here on
    monkeypatch.setattr(numpy_ops, "relu_backward", lambda dout, out: np.where(out >= 0, dout, 0))
    page = tmp_path / "parity.html"
    assert main(["--data", small, "--report", str(page)]) == 1
    out = capsys.readouterr().out
    message = re.search(r"They differ\. First divergence: trace \(numpy\): 20-8 relu.*: dense_0/dx\[0, \d\]: got", out)
    assert message
    assert message.group() in page.read_text(encoding="utf-8")
    assert "exceeded" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slow"], "--slow needs all 70,000 digits; set MNIST_PATH or --data."),
        (
            ["--report", "no/such/page.html"],
            "no/such/page.html can't be written: No such file or directory; name a file in an existing folder that you "
            "can write to.",
        ),
        (
            ["--report", "."],
            ". can't be written: it is a folder; name a file in an existing folder that you can write to.",
        ),
    ],
)
def test_rejected_options(options: list[str], message: str, small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", small, *options]) == 2
    assert capsys.readouterr().err == f"python -m parity_tests: {message}\n"


@pytest.mark.slow
def test_log_lines_of_the_framework_are_silenced() -> None:
    program = "from parity_tests.cli import load_keras; load_keras()"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_discard_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with discard_stderr():
        os.write(2, b"discarded\n")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"
