"""How long is a prediction, for one image and for many, by ``predict`` and by ``model(x)``?"""

from collections.abc import Callable

import pytest

from benchmarks.measurement.tasks import Task
from benchmarks.peers.base import PEERS


@pytest.mark.parametrize("kind", [kind for kind in PEERS if kind != "products"])
@pytest.mark.parametrize("how", ["predict", "call"])
@pytest.mark.parametrize("images", [1, 100, 10_000])
def test_inference(compare: Callable, article: Task, kind: str, how: str, images: int) -> None:
    compare(kind, article, f"{how} {images}", rounds=15)
