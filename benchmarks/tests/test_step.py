"""How long is one training step, forward, backward and update, for every peer?"""

from collections.abc import Callable

import pytest

from benchmarks.measurement.tasks import Task
from benchmarks.peers.base import PEERS


@pytest.mark.parametrize("kind", PEERS)
def test_training_step(compare: Callable, article: Task, kind: str) -> None:
    compare(kind, article, "step", rounds=20)
