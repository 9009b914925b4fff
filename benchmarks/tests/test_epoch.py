"""How long does an epoch of ``fit`` take, for every peer?"""

from collections.abc import Callable

import pytest

from benchmarks.peers.registry import PEERS
from benchmarks.tasks import Task


@pytest.mark.parametrize("kind", PEERS)
def test_epoch(compare: Callable, article: Task, kind: str) -> None:
    compare(kind, article, "epoch", rounds=10)
