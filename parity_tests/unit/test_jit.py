"""``scratch.kernels.jit``: the disk cache of compiled kernels, its warnings, and what an import must not do."""

import gc
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from numba import njit
from numba.core.errors import TypingError

from parity_tests.unit.forked_numba import run_forked
from parity_tests.unit.kernels import ROOT, output
from scratch.kernels.jit import source_digest

TWO_KERNELS = """
import numpy as np
from scratch.kernels.arrays import column_sums
from scratch.kernels.jit import compile_time
from scratch.ops.numba_ops import softmax_forward
x, sums = np.array([[-1, 2], [3, 4]], np.float32), np.empty(2, np.float32)
column_sums(x, np.empty(2), sums)
assert (sums == [2, 6]).all()
assert (softmax_forward(x[:, :1]) == 1).all()
print("compiled" if compile_time.seconds else "from the cache")
"""
COMPILING = re.compile(
    r"Compiling the numerical kernels for this processor \(4 to 6 seconds\): "
    r"(.* has no machine code for them yet|they are not stored on disk)\."
)
HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA")


def two_kernels(cwd: Path = ROOT, **environment: str | None) -> tuple[str, list[str]]:
    """Call two small kernels in a new process.

    Returns:
        "compiled" or "from the cache"; the lines on standard error besides the message before compiling, which must
        appear once if the kernels were compiled, and not otherwise.
    """
    changed = {**os.environ, **environment}
    variables = {name: value for name, value in changed.items() if value is not None}
    done = run_forked(TWO_KERNELS, cwd, variables)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    others = [line for line in lines if not COMPILING.fullmatch(line)]
    assert len(lines) - len(others) == (done.stdout == "compiled\n")
    return done.stdout.strip(), others


def copy_of_scratch(folder: Path) -> Path:
    """Copy the package ``scratch`` into the folder, and return the folder."""
    shutil.copytree(ROOT / "scratch", folder / "scratch", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def read_only_installation(folder: Path) -> Path:
    """Copy the package ``scratch`` like ``copy_of_scratch``, without a place for kernels beside its sources."""
    copy_of_scratch(folder)
    (folder / "scratch" / "kernels" / "__pycache__").write_text("a file, so that the folder cannot be created")
    return folder


# --- damaged and stale entries ---


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder with two kernels."""
    folder = tmp_path_factory.mktemp("cache")
    assert two_kernels(NUMBA_CACHE_DIR=str(folder)) == ("compiled", [])
    assert two_kernels(NUMBA_CACHE_DIR=str(folder)) == ("from the cache", [])
    return folder


def damaged(data: bytes, how: str) -> bytes:
    """Return the contents of a file after damage."""
    if how == "one bit":
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return {"garbage": b"no kernel" * 100, "empty": b"", "half": data[: len(data) // 2]}[how]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["garbage", "empty", "half", "one bit"])
def test_damaged_entries_cause_one_warning_and_are_replaced(tmp_path: Path, filled_cache: Path, how: str) -> None:
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 2
    for file in files:
        file.write_bytes(damaged(file.read_bytes(), how))
    state, warnings = two_kernels(NUMBA_CACHE_DIR=str(tmp_path))
    assert state == "compiled"
    assert len(warnings) == 1
    assert "cannot be read" in warnings[0]
    assert two_kernels(NUMBA_CACHE_DIR=str(tmp_path)) == ("from the cache", [])


@pytest.mark.slow
def test_entries_that_cannot_be_read_or_written_cause_one_warning_each(tmp_path: Path, filled_cache: Path) -> None:
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        file.unlink()
        file.mkdir()
    state, warnings = two_kernels(NUMBA_CACHE_DIR=str(tmp_path))
    assert state == "compiled"
    assert len(warnings) == 2
    assert "cannot be read" in warnings[0]
    assert "cannot be stored" in warnings[1]


@pytest.mark.slow
def test_an_edit_of_a_source_file_replaces_the_entries(tmp_path: Path) -> None:
    package, cache = copy_of_scratch(tmp_path / "here"), str(tmp_path / "cache")
    assert two_kernels(package, NUMBA_CACHE_DIR=cache) == ("compiled", [])
    with (package / "scratch" / "ops" / "numpy_ops.py").open("a") as source:  # a file that has neither kernel
        source.write("# edited\n")
    files = sorted((tmp_path / "cache").rglob("*.nbc"))
    assert two_kernels(package, NUMBA_CACHE_DIR=cache) == ("compiled", [])
    assert two_kernels(package, NUMBA_CACHE_DIR=cache) == ("from the cache", [])
    assert len(files) == 2
    assert files == sorted((tmp_path / "cache").rglob("*.nbc"))  # stale entries do not accumulate on the disk


RACE = """
import time
from pathlib import Path
import numpy as np
from scratch.kernels.arrays import column_sums
from scratch.kernels.jit import _Cache
save = _Cache.save_overload
def wait(self, sig, data):  # until both processes have compiled the kernel
    Path(folder, dtype).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.0001)
    save(self, sig, data)
_Cache.save_overload = wait
column_sums(np.ones((3, 1), dtype), np.empty(1), np.empty(1, dtype))
"""
READ_BOTH = """
import numpy as np
from scratch.kernels.arrays import column_sums
from scratch.kernels.jit import compile_time
for sums in np.empty(2, "f4"), np.empty(2, "f8"):
    column_sums(np.array([[1, 2], [3, 4]], sums.dtype), np.empty(2), sums)
    print(*sums)
print(compile_time.seconds)
"""


@pytest.mark.slow
def test_two_processes_can_fill_the_cache_at_the_same_time(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    programs = [f"dtype, folder = {dtype!r}, {str(compiled)!r}\n{RACE}" for dtype in ("float32", "float64")]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda program: run_forked(program, ROOT, environment), programs))
    assert [process.returncode for process in done] == [0, 0]
    assert run_forked(READ_BOTH, ROOT, environment).stdout == "4.0 6.0\n4.0 6.0\n0.0\n"


# --- folders that are not writable ---


def test_a_cache_folder_that_is_not_writable_causes_one_warning(tmp_path: Path) -> None:
    package, file = copy_of_scratch(tmp_path), tmp_path / "file"
    file.write_text("no folder")
    state, warnings = two_kernels(package, NUMBA_CACHE_DIR=str(file / "x"))
    assert state == "compiled"
    stored = tmp_path / "scratch" / "kernels" / "__pycache__"
    expected = f"NUMBA_CACHE_DIR={file / 'x'} is not writable; compiled kernels are stored in {stored}."
    assert warnings == [expected]
    assert two_kernels(package, NUMBA_CACHE_DIR=None) == ("from the cache", [])


@pytest.mark.slow
@pytest.mark.parametrize("has_cache_dir", [True, False])
def test_no_writable_folder_causes_one_warning(tmp_path: Path, has_cache_dir: bool) -> None:
    package = read_only_installation(tmp_path)
    nowhere = str(package / "scratch" / "kernels" / "__pycache__" / "x")
    homes = dict.fromkeys(HOMES, nowhere)
    state, warnings = two_kernels(package, NUMBA_CACHE_DIR=nowhere if has_cache_dir else None, **homes)
    assert state == "compiled"
    assert len(warnings) == 1
    assert "cannot be stored" in warnings[0]


def test_a_read_only_installation_stores_kernels_in_the_home_directory(tmp_path: Path) -> None:
    package = read_only_installation(tmp_path)
    homes = dict.fromkeys(HOMES, str(tmp_path / "home"))
    assert two_kernels(package, NUMBA_CACHE_DIR=None, **homes) == ("compiled", [])
    assert two_kernels(package, NUMBA_CACHE_DIR=None, **homes) == ("from the cache", [])


# --- imports ---


def test_importing_scratch_does_not_load_numba() -> None:
    program = "import sys, scratch, scratch.models; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    assert output(program) == "False False"


def test_importing_the_kernels_does_not_compile() -> None:
    program = "from scratch.kernels import jit, fused_step; print(jit.compile_time.seconds)"
    assert output(program) == "0.0"


@pytest.mark.slow
def test_a_cached_kernel_loads_nothing_that_only_a_compilation_needs(filled_cache: Path) -> None:
    program = """if True:
        import sys
        import numpy as np
        from scratch.kernels.arrays import column_sums
        from scratch.kernels.jit import compile_time
        column_sums(np.ones((3, 2), np.float32), np.empty(2), np.empty(2, np.float32))
        print(compile_time.seconds, "numba.np.arraymath" in sys.modules, "scipy.linalg" in sys.modules)"""
    assert output(program, NUMBA_CACHE_DIR=str(filled_cache)) == "0.0 False False"


@pytest.mark.parametrize("source", ["kernels/gemm.py", "ops/numba_ops.py", "pixels.py", "utils.py"])
def test_an_edit_of_what_kernels_compile_changes_the_digest(tmp_path: Path, source: str) -> None:
    """Also of a constant and a function outside the two folders of kernels: ``WHITE`` and ``aligned_empty``."""
    package = copy_of_scratch(tmp_path) / "scratch"
    before = source_digest(package)
    with (package / source).open("a") as file:
        file.write("# edited\n")
    assert source_digest(package) != before


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_as_before_after_compiling(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        assert njit(lambda x: x + 1)(1) == 2
        assert gc.isenabled() == enabled
        with pytest.raises(TypingError):
            njit(lambda x: x.no_such_attribute)(1)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
