"""The lab in a notebook: open, close, open again, and errors that change nothing."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import Mock
from urllib.error import HTTPError

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from parity_tests.robustness.lab_client import Tab
from scratch.datasets.mnist import Dataset
from scratch.lab import Page, packages, show
from scratch.lab.server import Server, listen
from scratch.lab.training import Training
from scratch.lab.worker import Worker
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed, to_categorical

HOST = re.compile(r"127\.0\.0\.1:\d+")


def digits(classes: int = 10) -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(260, 8, 8), dtype=np.uint8)
    labels = np.arange(260, dtype=np.uint8) % classes
    return Dataset((images[:200], labels[:200]), (images[200:], labels[200:]), "random")


def make_model() -> Sequential:
    set_random_seed(0)
    model = Sequential([Dense(16, "relu", input_shape=(64,)), Dense(10, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def model() -> Sequential:
    return make_model()


@pytest.fixture
def page(model: Sequential) -> Iterator[Page]:
    page = show(model, digits())
    yield page
    page.close()


@contextmanager
def tab(page: Page, origin: str | None = None) -> Iterator[Tab]:
    host = HOST.findall(page.url)[0]
    address = page.url.replace("http://", "ws://").replace("/?", "/ws?")
    with connect(address, origin=Origin(origin or f"http://{host}"), max_size=None, proxy=None) as socket:
        yield Tab(socket)


def trained(model: Sequential) -> list[bytes]:
    """Return the weights after two epochs of ``fit``."""
    data = digits()
    x, y = data.train[0].reshape(-1, 64) / np.float32(255), to_categorical(data.train[1], 10)
    model.fit(x, y, batch_size=100, epochs=2, verbose=0)
    return [W.tobytes() for W in model.get_weights()]


def test_the_page_trains_the_very_model_and_gives_it_back(page: Page, model: Sequential) -> None:
    assert page.model is model
    with pytest.raises(ValueError, match=r"is being trained by another fit\(\); wait .* call close\(\) of the page"):
        trained(model)
    with tab(page) as opened:
        opened("hello", lang="en")
        for epoch in (1, 2):
            opened("train.epoch")
            opened.event("status", state="paused", epoch=epoch)
    page.close()
    page.close()
    assert [W.tobytes() for W in model.get_weights()] == trained(make_model())
    assert not {"make_train_function", "warn_nonfinite_loss"} & vars(model).keys()
    assert trained(model)


def test_a_notebook_shows_the_page_in_a_frame(page: Page, model: Sequential) -> None:
    found = re.search(r'<iframe src="([^"]+)" title="Study lab" width="100%" height="900"', page._repr_html_())
    assert found
    assert found[1].replace("&amp;", "&") == page.url
    with urllib.request.urlopen(page.url) as response:
        policy = response.headers["content-security-policy"]
    assert "frame-ancestors http://127.0.0.1:*" in policy
    assert policy.startswith("default-src 'self';")
    assert "token" not in repr(page)
    page.close()
    assert "iframe" not in page._repr_html_()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(page.url)
    assert show(model, digits(), lang="ja").url.endswith("&lang=ja")
    show(model, digits()).close()


def test_token_host_and_origin_are_checked_as_in_the_command(page: Page) -> None:
    with pytest.raises(HTTPError, match="403") as refused:
        urllib.request.urlopen(page.url[:-1])
    assert b"the url of the page that show() returned" in refused.value.read()
    request = urllib.request.Request(page.url, headers={"Host": "evil.example"})
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(request)
    for origin in ("http://localhost:8888", "null"):  # a notebook that embeds the page is not the page
        with pytest.raises(InvalidStatus, match="403"), tab(page, origin):
            pass


def test_a_second_call_closes_the_first_page_of_the_model(page: Page, model: Sequential) -> None:
    second, other = show(model, digits()), show(make_model(), digits())
    assert (page.is_closed, second.is_closed, other.is_closed) == (True, False, False)
    with pytest.raises(ValueError, match="the data has 10 too"):
        show(model, digits(classes=11))
    assert not second.is_closed
    second.close()
    other.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "height must be an integer, 100 or more; got 0"),
        ({"lang": "fr"}, "lang must be one of 'en', 'ja', or None; got 'fr'"),
        ({"model": object()}, "model must be a Sequential of scratch; got an object of type object"),
        ({"model": Sequential([Dense(10, "softmax", input_shape=(64,))])}, "Call compile"),
        ({"model": Sequential([Dense(10, "relu", input_shape=(64,))])}, "is not a classifier"),
        ({"model": Sequential()}, "is not a classifier"),
        (
            {"model": Sequential([Dense(10, "softmax", input_shape=(63,))])},
            r"^Model .* expects inputs of shape \(63,\)",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence(model: Sequential, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show(**{"model": model, "data": digits(), **arguments})  # type: ignore[arg-type]
    assert model.fit_state is None


@pytest.mark.parametrize("step", [(Server, "stop"), (Worker, "close"), (Training, "end"), (Training, "release")])
def test_a_close_that_ctrl_c_interrupts_can_be_called_again(
    model: Sequential, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]
) -> None:
    page = show(model, digits())
    with monkeypatch.context() as patch:
        patch.setattr(*step, Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            page.close()
    assert not page.is_closed
    page.close()
    assert page.is_closed
    assert trained(model)


@pytest.mark.parametrize("name", ["scratch.lab.server.Server", "scratch.lab.notebook.Page"])
def test_a_lab_that_cannot_start_gives_the_model_and_the_port_back(
    model: Sequential, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    listener = listen(0)
    monkeypatch.setattr("scratch.lab.server.listen", lambda port: listener)
    monkeypatch.setattr(name, Mock(side_effect=RuntimeError("can't start new thread")))
    with pytest.raises(RuntimeError, match="can't start new thread"):
        show(model, digits())
    assert listener.fileno() == -1
    assert not {"make_train_function", "warn_nonfinite_loss"} & vars(model).keys()
    assert trained(model)


def test_a_missing_package_is_named(model: Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ("starlette", "no_such_package"))
    with pytest.raises(ModuleNotFoundError, match=r"scratch\.lab\.show needs no_such_package: python -m pip install"):
        show(model, digits())


@pytest.mark.slow
def test_a_process_ends_although_its_page_is_open() -> None:
    program = "from parity_tests.robustness.test_lab_notebook import *; show(make_model(), digits()); print('shown')"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout, found.stderr) == (0, "shown\n", "")
