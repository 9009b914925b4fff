"""``python -m parity_tests``: its tables, its page, its exit status."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from parity_tests.checks import accuracy, full_runs, registry
from parity_tests.cli import discard_stderr, main
from parity_tests.comparison import Comparison, compare, equal
from parity_tests.conftest import save_some
from parity_tests.parity.html_pages import check_page
from parity_tests.report import environment, results, tables
from parity_tests.report.page import page, write_page
from parity_tests.report.tables import Row, summary_table
from scratch import __version__
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


@pytest.mark.slow
def test_report_of_agreement(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, numbers = tmp_path / "parity.html", tmp_path / "parity.json"
    monkeypatch.setattr(sys, "argv", ["parity_tests/__main__.py", "--report", "parity.html"])
    assert main(["--data", small, "--report", str(path), "--json", str(numbers)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"They agree: [\d,]+ comparisons, each within its bound\.", out)
    for text in ("to_categorical", "shared", "fused step", "dense_0/dW", "automatic", "5 epochs", f"Page: {path}"):
        assert text in out
    for row, texts in {"trace": ["layer by layer"], "to_categorical": ["same code", "shared code"]}.items():
        (line,) = [line for line in out.splitlines() if line.startswith(f"│ {row} ")]  # both backends side by side
        assert all(text in line for text in texts)
    assert re.search(r"│ trace +│ ok +│ +[\d.]+ % of [\de.-]+ │ +[\d.]+ % of [\de.-]+ │", out)
    content = path.read_text(encoding="utf-8")
    found = check_page(content)
    assert 'name="viewport" content="width=device-width' in content
    assert found.tags.count("svg") == 2
    expected = {"checks", "check-trace", "check-5-epochs", "tensor-dense-0-dw", "glossary-ulp", "environment-commit"}
    assert expected <= set(found.ids)
    assert "failures" not in found.ids
    for text in (
        "✓ They agree",
        "RMS distance from float64",
        np.__version__,
        environment.commit(),
        "--report parity.html",
    ):
        assert text in found.text
    check_json(json.loads(numbers.read_text(encoding="utf-8")), agrees=True)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        FileError, match=r"parity\.html can't be written: No space left on device; the previous file is"
    ):
        write_page(str(path), results.Report())
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.slow
def test_report_of_a_difference(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in BACKENDS:
        list(registry.run("trace", backend))  # Keras's results are cached from here on
    monkeypatch.setattr(numpy_ops, "relu_backward", lambda dout, out: np.where(out >= 0, dout, 0))
    path, numbers = tmp_path / "parity.html", tmp_path / "parity.json"
    monkeypatch.setattr(sys, "argv", ["parity_tests/__main__.py", "--report", "parity.html"])
    assert main(["--data", small, "--report", str(path), "--json", str(numbers)]) == 1
    out = capsys.readouterr().out
    message = re.search(r"They differ\. First divergence: trace \(numpy\): 20-8 relu.*: dense_0/dx\[0, \d\]: got", out)
    assert message
    alone = "python -m parity_tests --only trace --backend numpy --seed 0"
    assert alone in out
    content = path.read_text(encoding="utf-8")
    found = check_page(content)
    assert message.group() in found.text
    assert alone in found.text[found.text.rindex("Failures") : found.text.index("code on numba")]
    assert {"failure-trace-numpy", "failures"} <= set(found.ids)
    first = content[content.index("<tbody>") :].partition("</tr>")[0]  # failures come first
    assert 'id="check-trace" class="bad"' in first
    check_json(json.loads(numbers.read_text(encoding="utf-8")), agrees=False)


def check_json(found: dict[str, Any], agrees: bool) -> None:
    """Check the keys, which are the same whatever is found, and that failures are complete."""
    keys = "agrees verdict environment checks tensors gradients histories accuracies p_values"
    assert list(found) == keys.split()
    assert found["agrees"] == agrees
    trace, *_ = found["checks"]
    assert list(trace) == ["check", "backend", "code", "seed", "command", "comparisons", "worst", "failures"]
    assert (trace["check"], trace["backend"], trace["code"]) == ("trace", "numpy", "layer by layer")
    assert list(trace["worst"]) == ["name", "difference", "bound", "ratio", "failure"]
    assert bool(trace["failures"]) == (not agrees)
    assert list(found["tensors"][0])[:2] == ["backend", "tensor"]
    assert {row["backend"] for row in found["gradients"]} == set(BACKENDS)


def test_summary_has_both_backends_in_one_row_and_failures_first() -> None:
    def result(check: str, backend: str, difference: float) -> results.CheckResult:
        code = "shared code" if backend == "shared" else "fused step" if backend == "numba" else "layer by layer"
        return results.CheckResult(
            check, backend, code, [compare("W", np.float64(difference), np.float64(0), bound=1e-7)]
        )

    found = [result("right", b, 3e-9) for b in BACKENDS] + [result("shared", "shared", 0)]
    table = summary_table([*found, result("wrong", "numpy", 0), result("wrong", "numba", 2e-6)])
    assert table.head[2:4] == list(BACKENDS) == ["numpy", "numba"]
    assert table.rows == [
        Row(["wrong", "differs", "equal", "20 × 1e-07", "fused step", "1"], failed=True),
        Row(["right", "ok", "3 % of 1e-07", "3 % of 1e-07", "fused step", "1"]),
        Row(["shared", "ok", "equal", "same code", "shared code", "1"]),
    ]


def test_a_tensor_that_differs_on_one_backend_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = {"numpy": (3e-9, 0.0), "numba": (2e-6, 0.0)}

    def tensor_results(backend: str) -> list[tuple[Comparison, float, float]]:
        names = zip(("dense_0/dW", "dense_0/db"), differences[backend], strict=True)
        return [(compare(name, np.float64(d), np.float64(0), bound=1e-7), 1.0, 2.0) for name, d in names]

    monkeypatch.setattr(tables, "tensor_results", tensor_results)
    assert tables.tensor_table().rows == [
        Row(["dense_0/dW", "3 % of 1e-07", "20 × 1e-07", "2", "50 %", "50 %"], failed=True),
        Row(["dense_0/db", "equal", "equal", "2", "50 %", "50 %"]),
    ]


def test_command_of_a_check() -> None:
    result = results.CheckResult("epoch reports", "numba", "layer by layer", [])
    assert result.command == "python -m parity_tests --only 'epoch reports' --backend numba --seed 0"
    shared = results.CheckResult("updates", "shared", "shared code", [])
    assert shared.command == "python -m parity_tests --only updates --seed 0"
    assert results.CheckResult("5 epochs", "numpy", "", []).command == "python -m parity_tests --backend numpy --seed 0"


@pytest.mark.parametrize("slow", [False, True])
def test_command_of_a_training_has_its_options(
    slow: bool, digits: mnist.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = compare("loss", np.float64(0), np.float64(0), 1)
    monkeypatch.setattr(full_runs, "check_every_step", lambda *_: [row])
    monkeypatch.setattr(full_runs, "check_epochs", lambda *_: ([row], {"scratch": {}, "Keras": {}}))
    monkeypatch.setattr(full_runs, "check_accuracies", lambda *_: ([row], {}, {}))
    report = results.Report()
    for _, step in results.plan(report, digits, slow, [], "numba", "my digits.npz"):
        step()
    names = {True: ["every step of an epoch", "10 epochs", "final accuracies"], False: ["5 epochs"]}[slow]
    options = " --slow" * slow + " --data 'my digits.npz'"
    assert {result.check: result.command for result in report.results} == dict.fromkeys(
        names, f"python -m parity_tests --backend numba --seed 0{options}"
    )


@pytest.mark.slow
def test_trajectories_are_those_of_the_training_that_was_checked(
    digits: mnist.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, trained = full_runs.train, []

    def recorded(backend: str, digits: mnist.Dataset, epochs: int) -> Any:
        trained.append((backend, train(backend, digits, epochs)))
        return trained[-1][1]

    monkeypatch.setattr(full_runs, "train", recorded)
    monkeypatch.setattr(results, "FEWER_TRAIN", 200)
    monkeypatch.setattr(results, "FEWER_TEST", 100)
    report = results.Report()
    for _, step in results.plan(report, digits, False, [], "numba"):
        step()
    ((backend, (history, _)),) = trained
    assert (backend, report.histories["scratch"]) == ("numba", history)


def test_a_report_on_some_checks_computes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    report = results.Report()
    assert [name for name, _ in results.plan(report, None, only=["to_categorical"])] == ["to_categorical, shared"]
    for module in (results, sys.modules["parity_tests.report.page"], sys.modules["parity_tests.report.tables"]):
        monkeypatch.setattr(module, "tensor_results", pytest.fail)
    numbers = results.to_json(report)
    assert (numbers["tensors"], numbers["gradients"]) == ([], [])
    assert "differences-and-their-bounds" not in check_page(page(report)).ids


@pytest.mark.usefixtures("small")
def test_final_accuracies_have_a_picture() -> None:
    accuracies = {"scratch": [0.97, 0.98], "Keras": [0.98, 0.97]}
    histories = {program: {"loss": [2.0, 1.0]} for program in accuracies}
    report = results.Report(histories=histories, accuracies=accuracies, p_values={"Mann–Whitney": 0.5})
    found = check_page(page(report))
    assert found.tags.count("svg") == 3
    assert "Mann–Whitney: p = 0.500" in found.text


@pytest.mark.usefixtures("small")
def test_texts_are_escaped_on_the_page() -> None:
    failure = equal("<b>&amp;", "<script>", "<i>")
    report = results.Report([results.CheckResult("<trace>", "numpy", "<u>", [failure])])
    content = page(report)
    assert "<script>" in check_page(content).text
    assert "<b>" not in content


def test_commit_of_a_checkout_or_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert environment.commit() == f"scratch-keras {__version__}"
    (tmp_path / ".git").mkdir()  # no checkout of git, which fails
    assert environment.commit() == f"scratch-keras {__version__}"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="v1-2-gabc\n"))
    assert environment.commit() == "v1-2-gabc"


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
