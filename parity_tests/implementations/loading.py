"""Load the network that a command line names: ``FILE.py:NAME`` or ``package.module:NAME``."""

import difflib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from parity_tests.implementations.protocol import CannotRunError

LOADED = "under_test_"  # prefix of the names of modules from files: no other module has such a name
PACKAGE = Path(__file__).resolve().parents[1]
NOT_THE_USERS = [str(PACKAGE), "<frozen", *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]


def load(target: str) -> Any:
    """Import a file or a module, and return what has a name in it.

    The file's folder and the folder above it are on ``sys.path`` during the import: a file of the book's repository
    finds ``common`` wherever the command is run.

    Args:
        target: ``FILE.py:NAME`` or ``package.module:NAME``; a name may have dots.

    Raises:
        CannotRunError: if there is no such file, module or name, or if importing it raises; one sentence that shows the
            user's line.
    """
    source, separator, name = target.rpartition(":")
    if not separator or not source or not name:
        raise CannotRunError(f"--implementation must be FILE.py:NAME or package.module:NAME; got {target!r}.")
    is_file = source.endswith(".py") or "/" in source or "\\" in source
    found: Any = import_file(Path(source)) if is_file else import_module(source)
    for part in name.split("."):
        if not hasattr(found, part):
            raise CannotRunError(_no_such_name(source, found, part))
        found = getattr(found, part)
    return found


def import_file(path: Path) -> ModuleType:
    """Return the module of a file, which is executed as an import executes it."""
    if not path.is_file():
        near = difflib.get_close_matches(
            path.name, [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        )
        hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
        raise CannotRunError(f"There is no file {path}.{hint}")
    path = path.resolve()
    name = LOADED + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CannotRunError(f"{path} is not a Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    with _search_path(str(path.parent), str(path.parent.parent)), _import_errors(str(path)):
        spec.loader.exec_module(module)
    return module


def import_module(name: str) -> ModuleType:
    """Return a module by its name; the current folder is searched, too."""
    with _search_path(str(Path.cwd())), _import_errors(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise CannotRunError(
                    f"There is no module {name}: {error.name} was not found; a file is given as FILE.py:NAME."
                ) from None
            raise


def users_line(error: BaseException) -> str:
    """Return where an exception was raised in the user's code: file, line number and text, or "" if it was not."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {(error.text or '').strip()}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(tuple(NOT_THE_USERS))]
    return f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}" if own else ""


def raised(method: str, situation: str, error: BaseException) -> str:
    """Return a sentence: which method raises what, in which situation, and at which of the user's lines."""
    line = users_line(error)
    message = str(error).strip().removesuffix(".")
    return f"{method} raises {type(error).__name__} for {situation}: {message}" + (f" ({line})." if line else ".")


@contextmanager
def _search_path(*folders: str) -> Iterator[None]:
    """Put folders in front of ``sys.path``."""
    before = list(sys.path)
    sys.path[:0] = folders
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _import_errors(source: str) -> Iterator[None]:
    """Turn whatever an import raises into one sentence with the user's line."""
    try:
        yield
    except CannotRunError:
        raise
    except (Exception, SystemExit) as error:
        line = users_line(error)
        message = getattr(error, "msg", None) if isinstance(error, SyntaxError) else str(error)
        raise CannotRunError(
            f"Importing {source} raised {type(error).__name__}: {message}" + (f" ({line})" if line else "")
        ) from error


def _no_such_name(source: str, owner: Any, name: str) -> str:
    """Return a sentence that lists the names that are near, or the classes and functions that there are."""
    defined = [
        key
        for key, value in vars(owner).items()
        if not key.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == getattr(owner, "__name__", 0)
    ]
    near = difflib.get_close_matches(name, defined, n=3) or difflib.get_close_matches(name, vars(owner), n=3) or defined
    return f"{source} has no {name}; it has {', '.join(near[:10]) or 'no classes or functions'}."
