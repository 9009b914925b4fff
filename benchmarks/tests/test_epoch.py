"""How long is an epoch of ``fit``, for every peer?"""

from collections.abc import Callable

import pytest

from benchmarks.measurement.tasks import Task
from benchmarks.peers.base import PEERS


@pytest.mark.parametrize("kind", PEERS)
def test_epoch(compare: Callable, article: Task, kind: str) -> None:
    compare(kind, article, "epoch", rounds=10)
