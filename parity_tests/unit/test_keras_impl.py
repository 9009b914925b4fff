"""The public names of ``keras_impl``, and the errors where Keras or its framework is not installed."""

import re
import sys
from pathlib import Path

import pytest

import keras_impl


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("keras", "python -m pip install 'tensorflow>=2.18' 'keras>=3.12'"),
        ("tensorflow", "python -m pip install 'tensorflow>=2.18' 'keras>=3.12'"),
        ("jax", "python -m pip install 'jax>=0.8'"),
        ("torch", "python -m pip install 'torch>=2.4'"),
    ],
)
def test_missing_package(name: str, command: str) -> None:
    error = ModuleNotFoundError(f"No module named {name!r}", name=name)
    assert keras_impl.missing(error) == f"{name} is not installed. Install it with: {command}"


def test_lower_bounds_are_those_of_the_project() -> None:
    project = (Path(keras_impl.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    for command in keras_impl.INSTALL.values():
        assert all(re.search(rf'"{package}[",]', project) for package in re.findall("'(.*?)'", command))


def test_names_without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    for module in set(keras_impl.MODULES.values()) | {"keras_impl.frameworks"}:
        monkeypatch.delitem(sys.modules, module, raising=False)
    for name in keras_impl.__all__:
        with pytest.raises(ImportError, match=r"^keras is not installed\. Install it with: python -m pip install"):
            getattr(keras_impl, name)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'convert_model'; it has build_model, copy_weights"):
        _ = keras_impl.convert_model
