"""The showcase: its table, from a folder with checkouts."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests.diagnosis.formula_network import FormulaNetwork
from parity_tests.diagnosis.formulas import Formulas
from parity_tests.diagnosis.mistakes import MISTAKES
from parity_tests.implementations.adapters import adapt
from parity_tests.parity.networks import book
from parity_tests.showcase import accuracy
from parity_tests.showcase.__main__ import main
from parity_tests.showcase.table import ENTRIES, adapter_lines, github, table

NETWORK = """
import helper_of_checkout as np

class Net:
    def __init__(self, inputs, hidden, classes):
        self.params = {"W1": np.zeros((inputs, hidden)), "b1": np.zeros(hidden)}
        self.params |= {"W2": np.zeros((hidden, classes)), "b2": np.zeros(classes)}

    def predict(self, x):
        z = np.maximum(x @ self.params["W1"] + self.params["b1"], 0) @ self.params["W2"] + self.params["b2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7)) / len(x)
"""


@pytest.fixture
def checkouts(tmp_path: Path) -> Path:
    for name, text in (("own", NETWORK), ("broken", "import no_such_package")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(text)
        (tmp_path / name / "helper_of_checkout.py").write_text("from numpy import *")
    return tmp_path


@pytest.mark.parametrize("is_relative", [False, True])
def test_table_has_a_line_for_each_checkout(
    is_relative: bool, checkouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkouts.parent)
    names = ("own", "absent", "broken")
    entries = [github(name, f"someone/{name}", "0" * 7, "net.py:Net") for name in names]
    before = Path.cwd(), list(sys.path)
    _, _, own, broken = table(Path(checkouts.name) if is_relative else checkouts, entries)
    cells = [cell.strip() for cell in own.strip("|").split("|")]
    assert cells[:5] == ["[own](https://github.com/someone/own)", "unknown", "0", "✓", "✗ 10 of 10"]
    assert cells[5:] == ["not offered", "not offered", "The loss's logarithm has p + 1e-07."]
    assert "no_such_package" in broken
    assert (Path.cwd(), sys.path) == before
    assert "helper_of_checkout" not in sys.modules  # the next checkout may have a module of this name


def test_command_needs_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "absent")]) == 2
    assert "FOLDER must be a folder" in capsys.readouterr().err
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ENTRIES) >= 8


def test_readme_shows_every_implementation() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    for entry in ENTRIES:
        cells = rf"\| \[{re.escape(entry.name)}\]\({entry.url}\) \| {re.escape(entry.version)}"
        assert re.search(rf"{cells}[^|]* \| {adapter_lines(entry.network)} \|", readme), entry.name


def test_network_of_formulas_trains_as_the_same_network_in_numpy() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8, 20)), np.eye(5)[rng.integers(5, size=8)]
    networks = FormulaNetwork(Formulas(), (20, 16, 5), accuracy.ACTIVATIONS), adapt(book.LayeredNet, (20, 16, 5))()
    weights = [rng.normal(size=W.shape) for W in networks[0].get_weights()]
    for network in networks:
        network.set_weights([W.copy() for W in weights])
        network.step(x, t, 0.1)
    np.testing.assert_allclose(networks[0].outputs(x).argmax(axis=1), networks[1].outputs(x).argmax(axis=1))
    for a, b in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_mistakes_of_the_accuracy_table_exist() -> None:
    assert set(accuracy.SHOWN) <= {mistake.name for mistake in MISTAKES}
