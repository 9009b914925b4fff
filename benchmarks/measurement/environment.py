"""Record what a result was measured on and with: processor, load, versions, BLAS, environment variables, commit."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy  # noqa: F401  loads the BLAS that threadpool_info reports
import scipy.linalg  # noqa: F401  loads SciPy's BLAS
from threadpoolctl import threadpool_info

PACKAGES = ("numpy", "scipy", "numba", "keras", "tensorflow", "jax", "torch", "scikit-learn", "scratch-keras")
VARIABLES = ("OPENBLAS_", "OMP_", "NUMBA_", "MKL_", "XLA_", "TF_NUM", "TF_ENABLE", "KERAS_")


def record() -> dict[str, Any]:
    """Return the environment as a dictionary for JSON."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cores": cores(),
        "load": os.getloadavg()[0],
        "blas": sorted(_blas(pool) for pool in threadpool_info() if pool["user_api"] == "blas"),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
    }


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """Return the commit of this code, followed by + if files have changed since; empty outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _blas(pool: dict[str, Any]) -> str:
    owner = Path(pool["filepath"]).parent.name.removesuffix(".libs")
    kernel = f", {pool['architecture']}" if "architecture" in pool else ""
    return f"{pool['internal_api']} {pool['version']} of {owner}{kernel}, {pool['num_threads']} threads"
