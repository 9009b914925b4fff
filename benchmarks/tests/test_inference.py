"""How long does a prediction take, for one image and for many, by ``predict`` and by ``model(x)``?"""

from collections.abc import Callable

import pytest

from benchmarks.conftest import is_timed
from benchmarks.peers.registry import PEERS, PRODUCTS
from benchmarks.tasks import Task


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the numbers of images: untimed, there are no more than forty."""
    metafunc.parametrize("images", [1, 100, 10_000] if is_timed(metafunc.config) else [1, 100])


@pytest.mark.parametrize("kind", [kind for kind in PEERS if PEERS[kind].reference != PRODUCTS])
@pytest.mark.parametrize("method", ["predict", "call"])
def test_inference(compare: Callable, article: Task, kind: str, method: str, images: int) -> None:
    compare(kind, article, f"{method} {images}", rounds=15)
