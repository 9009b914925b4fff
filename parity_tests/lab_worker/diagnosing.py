"""``diagnose``: the diagnosis of ``parity_tests`` on a learner's own file."""

import inspect
from pathlib import Path
from typing import Any

from parity_tests.checking import check_implementation
from parity_tests.implementations.loading import import_file, load

TEXTS = ("what", "remedy", "evidence")


def diagnose(fields: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs from Keras.

    Args:
        fields: ``file``: ``FILE.py:NAME``, or ``FILE.py`` if the file defines one class, or else one function.
        arrays: not used.

    Raises:
        ValueError: if there is no such file or name, or the network cannot be run.
    """
    report = check_implementation(_target(str(fields["file"])))
    result = report.to_json()
    kept = ("implementation", "agrees", "sizes", "activations", "dtype", "not_offered", "own_gradient")
    found = {name: result[name] for name in kept}
    found["findings"] = [{name: finding[name] for name in (*TEXTS, "reproduction")} for finding in result["findings"]]
    found["table"] = {scene: {stage: str(cell) for stage, cell in row.items()} for scene, row in report.cells.items()}
    return found, {}


def _target(file: str) -> Any:
    if ".py:" in file:
        return load(file)
    module = import_file(Path(file).expanduser())
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    for kind in (inspect.isclass, inspect.isfunction):
        found = [value for value in own if kind(value)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{file}:{value.__name__}" for value in found)
            raise ValueError(f"{file} defines several networks; name one of them: {names}.")
    raise ValueError(f"{file} defines neither a class nor a function.")
