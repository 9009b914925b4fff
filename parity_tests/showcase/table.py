"""A table of what the suite finds in well-known implementations, from checkouts that the user provides."""

import importlib.metadata
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.checking import check_implementation
from parity_tests.diagnosis.formulas import STAGES
from parity_tests.diagnosis.report import Report
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.loading import load
from parity_tests.implementations.protocol import CannotRunError
from parity_tests.showcase import adapters

LABELS = Conventions(targets="labels")
NESTEROV = {"momentum": 0.9, "nesterov": True}


@dataclass(frozen=True)
class Entry:
    """An implementation.

    Attributes:
        name: what the table calls it.
        source: the folder of its checkout, which is the repository's name, or the package's name.
        url: where it comes from.
        network: ``FILE:NAME`` in the checkout if inspection is enough, otherwise an adapter.
        version: the commit or version with which the table in the README was measured.
        conventions: what it does otherwise than Keras on purpose.
        settings: settings of SGD that its steps use, and Keras's as well.
    """

    name: str
    source: str
    url: str
    network: str | Callable[..., Any]
    version: str
    conventions: Conventions = field(default_factory=Conventions)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_package(self) -> bool:
        """Whether it is installed, instead of a checkout in the user's folder."""
        return self.url.startswith("https://pypi.org/")


def github(name: str, repository: str, version: str, network: Any, **options: Any) -> Entry:
    """Return an entry for a repository on GitHub."""
    return Entry(name, repository.split("/")[1], f"https://github.com/{repository}", network, version, **options)


def package(name: str, distribution: str, version: str, network: Any, **options: Any) -> Entry:
    """Return an entry for an installed package."""
    return Entry(name, distribution, f"https://pypi.org/project/{distribution}/", network, version, **options)


BOOK = "oreilly-japan/deep-learning-from-scratch"
ENTRIES = (
    package("PyTorch, `nn.Sequential`", "torch", "2.13.0", adapters.torch_sequential),
    package("JAX, `jax.nn.relu`", "jax", "0.10.2", adapters.jax_logits),
    package("tinygrad", "tinygrad", "0.14.0", adapters.Tinygrad),
    package("scikit-learn, `alpha=0, momentum=0`", "scikit-learn", "1.9.1", adapters.sklearn_plain),
    package("scikit-learn, defaults of SGD", "scikit-learn", "1.9.1", adapters.sklearn_defaults, settings=NESTEROV),
    github("Deep Learning from Scratch, chapter 4", BOOK, "07b1161", "ch04/two_layer_net.py:TwoLayerNet"),
    github("Deep Learning from Scratch, chapter 5", BOOK, "07b1161", "ch05/two_layer_net.py:TwoLayerNet"),
    github("Deep Learning from Scratch, `MultiLayerNet`", BOOK, "07b1161", adapters.multi_layer_net),
    github("DeZero", f"{BOOK}-3", "b5f3cf1", adapters.DeZero, conventions=LABELS),
    github("Neural Networks from Scratch", "Sentdex/nnfs_book", "9cf2fc4", adapters.NeuralNetworksFromScratch),
    github("micrograd", "karpathy/micrograd", "c911406", adapters.Micrograd),
    github("joelnet", "joelgrus/joelnet", "65cbc3f", adapters.Joelnet),
    github("numpy-ml", "ddbourgin/numpy-ml", "b0359af", adapters.NumpyMl),
    github("autograd's example", "HIPS/autograd", "bff107b", adapters.AutogradExample),
    github(
        "Neural Networks and Deep Learning", "MichalDanielDobrzanski/DeepLearningPython", "2da41b6",
        "network.py:Network",
    ),
)  # fmt: skip


def rows(folder: Path, entries: Sequence[Entry] = ENTRIES) -> Iterator[tuple[Entry, Report | str]]:
    """Yield each implementation that is there, with its report, or the sentence that says why it can't be run."""
    for entry in entries:
        checkout = folder / entry.source
        if version_of(entry, folder) is None:
            continue
        with inside(folder if entry.is_package else checkout):
            try:
                network = load(entry.network) if isinstance(entry.network, str) else entry.network
                yield entry, check_implementation(network, conventions=entry.conventions, **entry.settings)
            except (CannotRunError, ImportError) as error:
                yield entry, str(error)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a checkout, whose modules can be imported meanwhile."""
    before, modules, path = Path.cwd(), set(sys.modules), list(sys.path)
    own = str(folder.resolve())
    os.chdir(own)
    sys.path.insert(0, own)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:  # other checkouts may have modules of the same name
            if str(getattr(sys.modules[name], "__file__", "")).startswith(own):
                del sys.modules[name]


def version_of(entry: Entry, folder: Path) -> str | None:
    """Return the installed version or the commit of the checkout, "unknown" without Git, or None if it is not there."""
    if entry.is_package:
        try:
            return importlib.metadata.version(entry.source)
        except importlib.metadata.PackageNotFoundError:
            return None
    checkout = folder / entry.source
    if not checkout.is_dir():
        return None
    if not (checkout / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def markdown_row(entry: Entry, version: str, result: Report | str) -> str:
    """Return the line of the table of an implementation."""
    cells = [f"[{entry.name}]({entry.url})", version, str(adapter_lines(entry.network))]
    if isinstance(result, str):
        return f"| {' | '.join([*cells, '', '', '', '', result])} |"
    cells += [marks(result.cells, stage) for stage in STAGES]
    texts = [f"{finding.what}" for finding in result.findings] or ["-"]
    return f"| {' | '.join([*cells, ' '.join(texts)])} |"


def marks(cells: Mapping[str, Mapping[str, Any]], stage: str) -> str:
    """Return ✓ if a stage agrees with Keras in every scene, in how many scenes it differs, or "not offered"."""
    agrees = [row[stage].agrees for row in cells.values() if stage in row and row[stage].agrees is not None]
    if not agrees:
        return "not offered"
    return "✓" if all(agrees) else f"✗ {agrees.count(False)} of {len(agrees)}"


def adapter_lines(network: str | Callable[..., Any]) -> int:
    """Return the number of lines of an adapter, without blank lines and docstrings."""
    if isinstance(network, str):
        return 0
    return sum(1 for line in inspect.getsource(network).splitlines() if line.strip() and '"""' not in line)


def table(folder: Path, entries: Sequence[Entry] = ENTRIES) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    folder = folder.resolve()  # each row is yielded while the checkout is the working directory
    yield "| implementation | version | adapter, lines | outputs | loss | gradients | steps | findings |"
    yield "|---|---|---|---|---|---|---|---|"
    for entry, result in rows(folder, entries):
        yield markdown_row(entry, str(version_of(entry, folder)), result)
