"""Loading the network that a command line names, and one clear sentence for whatever goes wrong."""

import sys
from pathlib import Path

import pytest

from parity_tests.implementations.loading import load, users_line
from parity_tests.implementations.protocol import CannotRunError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder that is laid out as the book's repository: a chapter imports from a folder beside it."""
    for name in ("common", "ch05"):
        (tmp_path / name).mkdir()
    (tmp_path / "common" / "layers_of_book.py").write_text("class Affine:\n    pass\n")
    (tmp_path / "ch05" / "helper_of_chapter.py").write_text("VALUE = 3\n")
    (tmp_path / "ch05" / "net.py").write_text(
        "import sys, os\nsys.path.append(os.pardir)\nfrom common.layers_of_book import *\n"
        "from helper_of_chapter import VALUE\n\n\nclass TwoLayerNet:\n    affine = Affine\n"
    )
    return tmp_path


@pytest.fixture(autouse=True)
def _modules_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("common", "common.layers_of_book", "helper_of_chapter"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_file_of_a_chapter(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.path)
    assert load(f"{repository}/ch05/net.py:TwoLayerNet").affine.__name__ == "Affine"
    assert sys.path == before
    monkeypatch.chdir(repository)
    assert load("ch05/net.py:TwoLayerNet").__name__ == "TwoLayerNet"
    monkeypatch.chdir("ch05")
    assert load("net.py:TwoLayerNet.affine").__name__ == "Affine"


def test_module() -> None:
    assert load("parity_tests.implementations.loading:load") is load


def test_main_block_is_not_executed(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net: pass\nif __name__ == '__main__':\n    raise SystemExit\n")
    assert load(f"{tmp_path}/net.py:Net").__name__ == "Net"


def test_file_does_not_replace_a_module_of_the_same_name(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("class Net: pass\n")
    load(f"{tmp_path}/json.py:Net")
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ch05/net.py", "must be FILE.py:NAME or package.module:NAME; got 'ch05/net.py'"),
        ("ch05/nett.py:TwoLayerNet", r"There is no file ch05/nett.py. Did you mean ch05/net.py\?"),
        ("ch06/net.py:TwoLayerNet", r"There is no file ch06/net.py\.$"),
        ("ch05/net.py:TwoLayersNet", "ch05/net.py has no TwoLayersNet; it has TwoLayerNet"),
        ("ch05/net.py:Other", "ch05/net.py has no Other; it has TwoLayerNet"),
        ("no_such_package.net:Net", "There is no module no_such_package.net: no_such_package was not found"),
        ("parity_tests.no_such:Net", "There is no module parity_tests.no_such: parity_tests.no_such was not found"),
    ],
)
def test_wrong_target(target: str, message: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    with pytest.raises(CannotRunError, match=message):
        load(target)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import numpy as np\n\nW = np.zeros((2, 3)) @ np.zeros(2)\n", r"ValueError: matmul.*line 3: W = np.zeros\("),
        ("def f(:\n    pass\n", r"SyntaxError: invalid syntax \(.*net.py, line 1: def f\(:\)"),
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'.*line 1: import no_such"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(.*net.py, line 2: sys.exit\(3\)\)"),
    ],
)
def test_exception_while_importing_shows_the_users_line(source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(CannotRunError, match=message):
        load(f"{tmp_path}/net.py:Net")


def test_users_line_is_empty_without_a_line_of_the_user() -> None:
    assert users_line(ValueError("never raised")) == ""
