"""How long does a prediction take, for one image and for many, by ``predict`` and by ``model(x)``?"""

from collections.abc import Callable

import pytest

from benchmarks.peers.registry import PEERS, PRODUCTS
from benchmarks.tasks import Task


@pytest.mark.parametrize("kind", [kind for kind in PEERS if PEERS[kind].reference != PRODUCTS])
@pytest.mark.parametrize("method", ["predict", "call"])
@pytest.mark.parametrize_timed("images", [1, 100, 10_000], [1, 100])  # untimed, there are no more than forty images
def test_inference(compare: Callable, article: Task, kind: str, method: str, images: int) -> None:
    compare(kind, article, f"{method} {images}", rounds=15)
