"""The packages of the extra ``lab``."""

import importlib.util

PACKAGES = ("starlette", "uvicorn", "websockets")


def check_packages(what: str) -> None:
    """Raise a ``ModuleNotFoundError`` that says how to install a package that is missing.

    Args:
        what: what needs the packages.
    """
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"{what} needs {name}: python -m pip install 'scratch-keras[lab]'.", name=name)
