"""How long does a training step take (forward, backward and update), for every peer?"""

from collections.abc import Callable

import pytest

from benchmarks.peers.registry import PEERS
from benchmarks.tasks import Task


@pytest.mark.parametrize("kind", PEERS)
def test_training_step(compare: Callable, article: Task, kind: str) -> None:
    compare(kind, article, "step", rounds=20)
