"""List the peers, and create them by name.

The module of a peer is imported only when the peer is created, because it imports the peer's framework.
"""

import os
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from benchmarks.peers.base import Peer
from benchmarks.tasks import Task


@dataclass(frozen=True)
class PeerEntry:
    """An entry in the list of peers.

    Attributes:
        title: the peer's name in reports.
        module: the module of ``benchmarks.peers`` that defines the peer.
        class_name: the subclass of ``Peer`` in that module.
        arguments: arguments of the class after the task.
        packages: import names of the packages that must be installed.
        environment: environment variables that the peer's process must have when it starts.
        reference: the peer whose ``reference_outputs`` the outputs are compared with.
    """

    title: str
    module: str
    class_name: str
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    reference: str = "numpy"


def _keras(framework: str, title: str) -> PeerEntry:
    packages, environment = ("keras", framework), {"KERAS_BACKEND": framework}
    return PeerEntry(f"Keras on {title}", "keras", "KerasPeer", (framework,), packages, environment)


SCRATCH = "numba"  # every ratio is the time of a peer divided by the time of this one
KERAS = "keras-tensorflow"
KERAS_JAX = "keras-jax"
PRODUCTS, SCRATCH_PRODUCTS = "products", "scratch-products"
PEERS = {
    SCRATCH: PeerEntry("scratch, numba", "scratch", "ScratchPeer", ("numba",)),
    "numba-float32": PeerEntry("scratch, numba, float32 images", "scratch", "ScratchPeer", ("numba", "float32")),
    "numpy": PeerEntry("scratch, numpy", "scratch", "ScratchPeer", ("numpy",)),
    KERAS: _keras("tensorflow", "TensorFlow"),
    KERAS_JAX: _keras("jax", "JAX"),
    "keras-torch": _keras("torch", "torch"),
    "torch": PeerEntry("plain PyTorch", "torch", "TorchPeer", packages=("torch",)),
    "jax-scan": PeerEntry("JAX, jitted scan", "jax", "JaxScanPeer", packages=("jax",)),
    "scikit-learn": PeerEntry("scikit-learn", "sklearn", "ScikitLearnPeer", packages=("sklearn",)),
    "in-place": PeerEntry("in-place NumPy", "numpy", "InPlacePeer"),
    PRODUCTS: PeerEntry("bare matrix products", "products", "ProductsPeer", reference=PRODUCTS),
    SCRATCH_PRODUCTS: PeerEntry("scratch, matrix products", "products", "ScratchProductsPeer", reference=PRODUCTS),
}


def peer_class(kind: str) -> type[Peer]:
    """Import the peer's module, and with it the peer's framework, and return the peer's class."""
    return getattr(import_module(f"benchmarks.peers.{PEERS[kind].module}"), PEERS[kind].class_name)


def create_peer(kind: str, task: Task) -> Peer:
    """Return the peer of that name for a task, with the task's initial weights."""
    peer = peer_class(kind)(task, *PEERS[kind].arguments)
    peer.set_weights(task.weights)
    return peer


def missing_packages(kind: str) -> str | None:
    """Return one sentence that says which packages are not installed and how to install them, or None."""
    absent = [name for name in PEERS[kind].packages if find_spec(name) is None]
    if not absent:
        return None
    extras = ",".join(sorted({"keras" if name in ("keras", "tensorflow") else "peers" for name in absent}))
    names = " and ".join(absent).replace("sklearn", "scikit-learn")
    return f"{PEERS[kind].title} is skipped: {names} not installed (python -m pip install -e '.[{extras}]')."


def other_framework(kind: str) -> str | None:
    """Return one sentence if the peer needs Keras on another framework than this process has, or None."""
    framework = os.environ.get("KERAS_BACKEND", "tensorflow")
    if PEERS[kind].environment.get("KERAS_BACKEND", framework) == framework:
        return None
    return f"{PEERS[kind].title} needs a process of its own: Keras runs on {framework} in this process."
