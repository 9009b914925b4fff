"""The output files of the benchmarks: refused before the measurements, written atomically, and printed first."""

import errno
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from benchmarks import cli
from benchmarks.measurement.results import Results
from scratch import files
from scratch.datasets import mnist

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "name", ["results.json", "table.md", "epoch.png", "variants.png", "scaling.png", "grid.png", "products.png"]
)
def test_outputs_are_refused_before_the_measurements(
    name: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "load", lambda: pytest.fail("refused too late"))
    (tmp_path / name).mkdir()
    assert cli.main(["--output", str(tmp_path)]) == 2
    assert f"{name} can't be written: it is a folder" in capsys.readouterr().err


def test_results_are_printed_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def ask(session: Any) -> None:
        monkeypatch.setattr(files.os, "fsync", full)
        session.results.remark("measured for twenty minutes")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "QUESTIONS", {"first": ask, "second": lambda session: None})
    assert cli.main(["--output", ".", "--only", "first,second"]) == 2
    out, err = capsys.readouterr()
    assert "measured for twenty minutes" in out
    assert err == "python -m benchmarks: results.json can't be written: No space left on device.\n"


def test_pictures_are_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*arguments: Any, **named: Any) -> None:
        Path(arguments[1]).write_bytes(b"half")
        raise MemoryError

    results = Results(raw={"epoch": {"numba": [1.0, 2.0]}}, environment={"cpu": "", "cores": 2})
    (tmp_path / "epoch.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", cut_off)
    with pytest.raises(MemoryError):
        cli.draw(tmp_path, results)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"epoch.png": b"old"}
