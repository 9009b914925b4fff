"""What a result was measured on and with: without it, a time says nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy  # noqa: F401  so that its BLAS is loaded and can be asked
import scipy.linalg  # noqa: F401  likewise
from threadpoolctl import threadpool_info

PACKAGES = ("numpy", "scipy", "numba", "keras", "tensorflow", "jax", "torch", "scikit-learn", "scratch-keras")
VARIABLES = ("OPENBLAS_", "OMP_", "NUMBA_", "MKL_", "XLA_", "TF_NUM", "TF_ENABLE", "KERAS_")


def record() -> dict[str, Any]:
    """Versions, processor, threads, BLAS, variables, date and commit."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cores": cores(),
        "blas": sorted(_blas(pool) for pool in threadpool_info() if pool["user_api"] == "blas"),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
    }


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """The commit of this code, with a + if it has been changed since; empty if there is none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def remarks(found: dict[str, Any]) -> list[str]:
    """The record for people: a line of versions, one of the machine, and one for whatever slows a side down."""
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    lines = [
        f"Python {found['python']}, {packages}; commit {found['commit'] or 'unknown'}; {found['date']}.",
        f"{found['cpu']}, {found['cores']} cores, {found['system']}; BLAS: {'; '.join(found['blas'])}.",
    ]
    kept = {name: value for name, value in found["variables"].items() if name != "OPENBLAS_CORETYPE"}
    if kept:
        lines.append(f"Set: {', '.join(f'{name}={value}' for name, value in kept.items())}.")
    if kernel := found["variables"].get("OPENBLAS_CORETYPE"):
        lines.append(
            f"OPENBLAS_CORETYPE={kernel} holds NumPy's and SciPy's BLAS to the kernels of that processor: where this "
            "one is newer, every side that multiplies in NumPy, the bare products too, is slower than it could be."
        )
    return lines


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _blas(pool: dict[str, Any]) -> str:
    owner = Path(pool["filepath"]).parent.name.removesuffix(".libs")
    kernel = f", {pool['architecture']}" if "architecture" in pool else ""
    return f"{pool['internal_api']} {pool['version']} of {owner}{kernel}, {pool['num_threads']} threads"
