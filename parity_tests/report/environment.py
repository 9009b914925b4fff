"""Where and how results were measured: date, commit, versions, platform and command line."""

import platform
import shlex
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from keras_impl.frameworks import FRAMEWORK
from scratch import __version__

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """Return what a reader needs to repeat the measurement, by name."""
    packages = {name: version(name) for name in ("numpy", "numba", "keras", FRAMEWORK)}
    return {
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "commit": commit(),
        **packages,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "command": command(),
    }


def commit() -> str:
    """Return what ``git describe`` says of the checkout, or the version if this is an installed package."""
    if (ROOT / ".git").exists():
        describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
        try:
            return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):  # git is not installed, or refuses a checkout of another user
            pass
    return f"scratch-keras {__version__}"


def command() -> str:
    """Return the command line of this process, as a shell takes it."""
    program = Path(sys.argv[0])
    names = ["-m", program.parent.name] if program.name == "__main__.py" else [program.name]
    return shlex.join(["python", *names, *sys.argv[1:]])
