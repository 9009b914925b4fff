"""Run Python programs one after another in one process: TensorFlow is imported once instead of once per program."""

import contextlib
import io
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

PACKAGES = {file.parent.name for file in Path(__file__).parents[2].glob("*/__init__.py")}


def run_program(arguments: Sequence[str], folder: Path, variables: dict[str, str]) -> tuple[int, str]:
    """Do what ``python ARGUMENTS`` does in a folder, and return the exit status and everything that was printed.

    A program imports the packages of this repository anew, as in a new process; only pytest keeps what it imported.

    Args:
        arguments: the path of a script, or ``-m`` and a module; then the arguments of the program.
        folder: working directory.
        variables: environment variables to set meanwhile.
    """
    is_module = arguments[0] == "-m"
    sys.argv = list(arguments[is_module:])
    if sys.argv[0] != "pytest":
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
    status, printed = 0, io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, variables))
        os.environ.pop("PYTEST_XDIST_WORKER", None)  # the program is no part of the suite that runs it
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        try:
            if is_module:
                runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            status = 1
    return status, printed.getvalue()
