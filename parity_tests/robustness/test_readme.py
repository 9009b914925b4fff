"""Every README: its code runs as written, its links have a target, its translation has the same code.

Python blocks of a file run in order as one program.  Commands in ``sh`` blocks run in order in one folder, with a few
hundred digits and a photo; those in ``NOT_RUN`` and those in the running text are checked against the help text of
the program.  Python programs, pytest among them, run in one process: see ``program_worker``.  A new README in a package
is found by its name.
"""

import ast
import multiprocessing
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import groupby, takewhile
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from packaging.requirements import Requirement

from parity_tests.conftest import save_some
from parity_tests.robustness.photos import photograph
from parity_tests.robustness.program_worker import run_program
from scratch import (
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    utils,
)
from scratch.datasets import mnist

ROOT = Path(__file__).parents[2]
PACKAGES = [file.parent for file in ROOT.glob("*/__init__.py")]
READMES = sorted(file for folder in (ROOT, *PACKAGES) for file in folder.glob("README*.md"))
EVERY_README = pytest.mark.parametrize("readme", READMES, ids=lambda file: str(file.relative_to(ROOT)))
MAX_LINES = 130  # of the README at the top, which a newcomer reads in three minutes

# Commands of sh blocks that are not executed, by a regular expression, with the reason.
NOT_RUN = {
    r"python -m benchmarks\b": "measures for minutes",
    r"python -m scratch lab\b": "serves a page until it is stopped",
    r"python -m parity_tests\b": "compares for a minute or more",
    r"python -m keras_impl .*--(devices|processes)\b": "needs JAX, or one process per host",
    r"\.ci/(check|run)\b": "runs this test",
    r"(rm -rf mutants|mutmut (run|results))$": "mutates the code for minutes",
}


class Block(NamedTuple):
    """A fenced code block: its language, its lines, and the line of the README above the first of them."""

    language: str
    lines: list[str]
    start: int


def code_blocks(readme: Path) -> list[Block]:
    blocks: list[Block] = []
    is_open = False
    indent = 0  # of a block in a list
    for number, line in enumerate(readme.read_text("utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_open = not is_open
            if is_open:
                indent = len(line) - len(line.lstrip())
                blocks.append(Block(line.strip()[3:], [], number))
        elif is_open:
            blocks[-1].lines.append(line[indent:])
    assert not is_open, f"{readme} has a code block without an end"
    return blocks


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a shell script that consists of simple commands joined by ``&&``."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for is_separator, words in groupby(lexer, lambda word: word == "&&"):
            if not is_separator:
                found.append(list(words))
    return found


Python = Callable[..., str]


@pytest.fixture(scope="module")
def python(digits: mnist.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Python]:
    """Return a function that runs ``python`` with arguments, where MNIST is a few digits, and returns what it prints.

    The program must succeed.  A call with the same arguments in the same folder returns the output of the first call:
    the READMEs name many options of few programs, and each is read in the program's help text.
    """
    data = save_some(digits, tmp_path_factory.mktemp("digits") / "few.npz", train=600, test=100)

    def run(*arguments: str, folder: Path = ROOT, **variables: str) -> str:
        program = pool.submit(run_program, arguments, folder, {"MNIST_PATH": data, **variables})
        status, printed = program.result()
        assert status == 0, f"python {shlex.join(arguments)}\n{printed}"
        return printed

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield cache(run)


def check_syntax(script: str) -> None:
    """Raise an ``AssertionError`` if a shell script cannot be parsed."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{script}\n{done.stderr}"


@pytest.mark.slow
@EVERY_README
def test_python_blocks_run(readme: Path, python: Python, tmp_path: Path) -> None:
    lines = [""] * len(readme.read_text("utf-8").splitlines())
    for block in code_blocks(readme):
        if block.language == "python":
            lines[block.start : block.start + len(block.lines)] = block.lines
    if any(lines):
        script = tmp_path / f"{readme.name}.py"  # a traceback names the line of the README
        script.write_text("\n".join(lines), "utf-8")
        python(str(script), folder=tmp_path)


@pytest.mark.slow
@EVERY_README
def test_shell_blocks_run(readme: Path, python: Python, digits: mnist.Dataset, tmp_path: Path) -> None:
    photograph(digits.test[0][0], np.random.default_rng(0)).save(tmp_path / "photo.jpg")
    for block in code_blocks(readme):
        if block.language != "sh":
            continue
        text = "\n".join(block.lines)
        check_syntax(text)
        for words in commands(text):
            if any(re.match(pattern, shlex.join(words)) for pattern in NOT_RUN) or is_installation(words):
                check_without_running(words, python)
            else:
                execute(words, python, tmp_path)


@EVERY_README
def test_commands_in_the_text_exist(readme: Path, python: Python) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", readme.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for command in re.findall(r"`((?:[A-Z_]+=\S+ )*(?:python|pytest) [^`]*)`", text):
        for words in commands(command.replace("\n", " ")):
            check_without_running(split_variables(words)[1], python)


def execute(words: list[str], python: Python, folder: Path) -> None:
    """Run one command; tests are collected only."""
    variables, words = split_variables(words)
    if is_pytest(words):
        collect(words, python)
    else:
        assert words[:2] == ["python", "-m"], f"add a rule or a reason in NOT_RUN for: {shlex.join(words)}"
        python(*words[1:], folder=folder, **variables)


def split_variables(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment variables that a command sets, and the command."""
    settings = list(takewhile(re.compile(r"[A-Z_]+=").match, words))
    return dict(word.split("=", 1) for word in settings), words[len(settings) :]


def check_without_running(words: list[str], python: Python) -> None:
    """Raise an ``AssertionError`` if a command names a program, an option, an extra or a test that does not exist."""
    if words[:4] == ["python", "-m", "pip", "install"]:
        check_requirements(words[4:])
    elif is_pytest(words):
        collect(words, python)
    elif words[:2] == ["python", "-m"] and not is_installation(words):
        options = {word.partition("=")[0] for word in words if word.startswith("-")} - {"-m"}
        program = [word for word in words[2:4] if not word.startswith("-")]  # a module and perhaps a command
        unknown = options - set(re.findall(r"--?\w[\w-]*", python("-m", *program, "--help")))
        assert not unknown, f"{shlex.join(words)}: no such option: {unknown}"
    elif words[0].startswith(".ci/"):
        assert os.access(ROOT / words[0], os.X_OK), f"{words[0]} is not executable"
        check_syntax((ROOT / words[0]).read_text("utf-8"))
    else:
        known = ["python3", "-m", "venv", ".venv"], [".", ".venv/bin/activate"], ["rm", "-rf", "mutants"]
        assert words in known or words in (["mutmut", "run"], ["mutmut", "results"]), shlex.join(words)


def is_installation(words: list[str]) -> bool:
    """Return whether a command changes what is installed."""
    return words[:3] in (["python", "-m", "pip"], ["python3", "-m", "venv"]) or words[0] == "."


def is_pytest(words: list[str]) -> bool:
    return words[0] == "pytest" or words[:3] == ["python", "-m", "pytest"]


def check_requirements(words: list[str]) -> None:
    """Raise unless each word is a valid requirement, and each extra of this project exists."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for word in words:
        here = re.fullmatch(r"\.(?:\[([\w,]+)\])?", word)
        if here:
            assert set(filter(None, (here[1] or "").split(","))) <= set(extras), word
        elif not word.startswith("-"):
            Requirement(word)


def collect(words: list[str], python: Python) -> None:
    """Collect the tests that a pytest command selects by name or file; pytest fails if there are none."""
    options = words[1:] if words[0] == "pytest" else words[3:]
    if set(options) - {"-m", "slow"}:
        omitted = "no:cacheprovider", "-p", "no:unraisableexception"  # which collects garbage for half a second
        python("-m", "pytest", "--collect-only", "--assert=plain", "-q", "-p", *omitted, *options)


@EVERY_README
def test_every_block_has_a_known_language(readme: Path) -> None:
    assert {block.language for block in code_blocks(readme)} <= {"python", "sh", "text"}


@EVERY_README
def test_links_have_a_target(readme: Path) -> None:
    text = readme.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = readme.parent / path if path else readme
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a file."""
    headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_translation_has_the_same_code() -> None:
    assert code("README.ja.md") == code("README.md")


def code(name: str) -> list[object]:
    """Return the code of each block without its comments."""
    read = {"python": lambda text: ast.dump(ast.parse(text)), "sh": commands}
    return [(block.language, read[block.language]("\n".join(block.lines))) for block in code_blocks(ROOT / name)]


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_it_is_read_in_three_minutes(name: str) -> None:
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= MAX_LINES


def classes(module: ModuleType) -> set[str]:
    """Return the names of the classes that a module exports."""
    return {name for name in module.__all__ if isinstance(getattr(module, name), type)}


def names(found: Iterable[type]) -> set[str]:
    return {part.__name__ for part in found}


def test_the_table_of_parts_is_complete() -> None:
    section = (ROOT / "scratch" / "README.md").read_text("utf-8").partition("### What there is of Keras")[2]
    table = re.findall(r"^\| `?([\w.]+)`? \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE)
    parts = {name: set(re.findall(r"`(\w+)`", row)) for name, row in table[1:]}
    utilities = parts.pop("utils")
    assert parts == {
        "layers": classes(layers) - {"Common", "Layer"},
        "activations": set(layers.ACTIVATIONS),
        "initializers": names(initializers.CLASSES),
        "regularizers": names(regularizers.REGULARIZERS.values()),
        "losses": names(losses.LOSSES.values()),
        "metrics": names(metrics.METRICS.values()) | {"MeanMetricWrapper"},
        "optimizers": names(optimizers.CLASSES),
        "optimizers.schedules": set(optimizers.schedules.SCHEDULES),
        "callbacks": classes(callbacks) - {"CallbackList"},
        "datasets": set(datasets.__all__),
    }
    assert all(hasattr(utils, name) for name in utilities)
