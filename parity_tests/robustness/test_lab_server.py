"""The lab's server in hostile and clumsy use: one sentence, nothing lost, nothing hung."""

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from parity_tests.conftest import save_some
from parity_tests.robustness.lab_client import Lab, LabFailedError, Tab
from scratch.cli import main
from scratch.datasets import mnist


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def words(folder: Path, digits: mnist.Dataset) -> list[str]:
    return ["--data", save_some(digits, folder / "digits.npz", train=600, test=200)]


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(folder)}


@pytest.fixture(scope="module")
def lab(words: list[str], environment: dict[str, str]) -> Iterator[Lab]:
    with Lab(*words, **environment) as lab:
        yield lab
    assert lab.process.stderr is not None


@pytest.fixture
def tab(lab: Lab) -> Iterator[Tab]:
    with lab.tab() as tab:
        tab("hello", lang="en")
        yield tab
        tab("train.restart", seed=0)


def get(lab: Lab, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    name, port = lab.host.split(":")
    connection = http.client.HTTPConnection(name, int(port), timeout=60)
    connection.request(method, path, headers={"Host": host or lab.host})
    response = connection.getresponse()
    result = response.status, response.read().decode(), {k.lower(): v for k, v in response.getheaders()}
    connection.close()
    return result


def test_the_page_needs_the_token_and_the_host(lab: Lab) -> None:
    status, page, headers = get(lab, f"/?token={lab.token}")
    assert status == 200
    assert "<html" in page
    assert headers["content-security-policy"].startswith("default-src 'self'")
    for path in ("/", "/?token=wrong", "/?token=%ff", f"/?token={lab.token[:-1]}"):
        status, page, _ = get(lab, path)
        assert (status, page.count(".")) == (403, 1), path
    status, page, _ = get(lab, f"/?token={lab.token}", host="evil.example")
    assert (status, page.count(".")) == (403, 1)
    assert get(lab, "/static/index.html")[0] == 200
    assert get(lab, "/static/../server.py")[0] == 404
    assert get(lab, "/static/%2e%2e/server.py")[0] == 404
    assert get(lab, "/stop?token=wrong", method="POST")[0] == 403


@pytest.mark.parametrize("wrong", [{"token": "wrong"}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_a_socket_needs_token_and_origin(lab: Lab, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus, match="403"), lab.tab(**wrong):
        pass


def test_a_socket_needs_the_host(lab: Lab) -> None:
    name, port = lab.host.split(":")
    address = f"ws://evil.example:{port}/ws?token={lab.token}"
    with socket.create_connection((name, int(port))) as connection, pytest.raises(InvalidStatus, match="403"):
        connect(address, sock=connection, origin=Origin(f"http://evil.example:{port}"), proxy=None)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_wrong_request_is_one_sentence_in_the_language_of_the_page(lab: Lab, lang: str) -> None:
    with lab.tab() as tab:
        tab("hello", lang=lang)
        requests: list[object] = [{}, [], 3, None, {"method": 5}, {"method": "nothing"}, {"method": "__init__"}]
        requests += [{"method": "digit.pick", "set": "train", "index": value} for value in (-1, 600, 1.5, True, "1")]
        requests += [{"method": "digit.pick", "set": "validation", "index": 1}, {"method": "digit.pick"}]
        requests += [{"method": "digit.prepare", "width": 10, "height": 10, "pixels": "&"}]
        requests += [{"method": "digit.prepare", "width": 10**9, "height": 10**9, "pixels": ""}]
        requests += [{"method": "digit.prepare", "width": 10, "height": 10, "pixels": "AAAA"}]
        requests += [{"method": "tensor", "name": "nothing"}, {"method": "trace", "snapshot": 10**6}]
        requests += [{"method": "train.learning_rate", "value": value} for value in (-1, "x", 1e300, None)]
        requests += [{"method": "train.restart", "seed": -1}, {"method": "train.play", "steps_per_second": 0}]
        requests += [{"method": "hunt.start", "level": 9, "seed": 0}, {"method": "hunt.tensor", "name": "x"}]
        requests += [{"method": "compare.tensor", "name": "x"}, {"method": "diagnose", "file": 5}]
        for i, request in enumerate(requests):
            header, arrays = tab.answer(json.dumps(request))
            assert set(header) == {"id", "error", "arrays"}, (i, header)
            assert header["error"].endswith("." if lang == "en" else "。"), header
            assert "\n" not in header["error"]
            assert not arrays


@pytest.mark.parametrize(
    ("request_", "english", "japanese"),
    [
        (
            {"method": "digit.pick", "set": "test", "index": 1.5},
            "Number must be a whole number; got 1.5.",
            "番号は整数でなければなりません（受け取った値: 1.5）。",
        ),
        (
            {"method": "digit.pick", "set": "test", "index": 200},
            "Number must be from 0 to 199; got 200.",
            "番号は 0 から 199 までの値でなければなりません（受け取った値: 200）。",
        ),
        (
            {"method": "train.restart", "seed": 1e23},  # what a page sends for 99999999999999999999999
            "Seed must be from 0 to 4294967295; got 99999999999999991611392.",
            "シードは 0 から 4294967295 までの値でなければなりません（受け取った値: 99999999999999991611392）。",
        ),
        (
            {"method": "train.learning_rate", "value": -1},
            "Learning rate must be from 0 to 1000000; got -1.",
            "学習率は 0 から 1000000 までの値でなければなりません（受け取った値: -1）。",
        ),
        (
            {"method": "train.learning_rate", "value": "x"},
            "Learning rate must be a number; got 'x'.",
            "学習率は数でなければなりません（受け取った値: 'x'）。",
        ),
    ],
)
def test_an_error_names_the_label_on_the_page_in_plain_words(
    lab: Lab, request_: dict[str, object], english: str, japanese: str
) -> None:
    for lang, sentence in (("en", english), ("ja", japanese)):
        with lab.tab() as tab:
            tab("hello", lang=lang)
            header, _ = tab.answer(json.dumps(request_))
            assert header["error"] == sentence


def test_garbage_on_the_socket_is_answered_or_ends_that_socket_alone(lab: Lab, tab: Tab) -> None:
    rng = np.random.default_rng(0)
    for garbage in ("x" * 10_000_000, rng.bytes(10_000_000), b"", '{"id":' * 100_000, '{"method": "hello"', "\x00"):
        with lab.tab() as other:
            header, _ = other.answer(garbage)
            assert "JSON" in header["error"]
            assert other("hello")[0]["version"]
    with lab.tab() as other, pytest.raises(ConnectionClosed):
        other.answer("x" * 20_000_000)
    assert tab("hello")[0]["version"]


def test_a_flood_of_requests_is_answered(lab: Lab, tab: Tab) -> None:
    for i in range(500):
        tab.socket.send(json.dumps({"id": f"flood {i}", "method": "digit.mistakes", "count": 1}))
    answers: list[dict[str, Any]] = []
    while len(answers) < 500:
        header, _ = tab.receive()
        answers += [] if "event" in header else [header]
    assert any("Too many requests" in answer.get("error", "") for answer in answers)
    assert sum("result" in answer for answer in answers) >= 64
    assert tab("hello")[0]["version"]


def as_base64(image: Image.Image, **options: object) -> str:
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    return base64.b64encode(content.getvalue()).decode()


def test_a_photo_bomb_and_other_pictures_are_one_sentence(tab: Tab) -> None:
    bomb = as_base64(Image.new("1", (20_000, 20_000)))
    for file, sentence in (
        (bomb, "The picture is too large"),
        (base64.b64encode(b"GIF89a").decode(), "The picture is not a PNG or JPEG"),
        (bomb[: len(bomb) // 2 // 4 * 4], "The picture"),
        (as_base64(Image.new("L", (100, 100), 255)), "The picture shows no digit"),
    ):
        with pytest.raises(LabFailedError, match=sentence) as caught:
            tab("digit.prepare", file=file)
        assert "/tmp" not in str(caught.value)
    assert tab("hello")[0]["version"]


def test_a_picture_that_cannot_be_used_is_a_japanese_sentence_on_the_japanese_page(lab: Lab) -> None:
    with lab.tab() as tab:
        tab("hello", lang="ja")
        for file, sentence in (
            (base64.b64encode(b"GIF89a").decode(), "この画像は使えません。"),
            (as_base64(Image.new("L", (100, 100), 255)), "画像に数字が見つかりません。"),
        ):
            with pytest.raises(LabFailedError, match=f"^{sentence}"):
                tab("digit.prepare", file=file)


def test_a_transparent_picture_is_shown_on_paper(tab: Tab) -> None:
    pixels = np.zeros((140, 140, 4), np.uint8)  # black everywhere; only the alpha channel shows the digit
    pixels[20:120, 60:75, 3] = 255
    _, arrays = tab("digit.prepare", file=as_base64(Image.fromarray(pixels)))
    np.testing.assert_array_equal(arrays["before"], 255 - pixels[..., 3])


def test_a_drawing_and_a_photo_are_prepared_as_predict_prepares_them(tab: Tab) -> None:
    from scratch.images import prepare

    grey = np.full((140, 140), 255, np.uint8)
    grey[20:120, 60:75] = 0
    pixels = base64.b64encode(grey.tobytes()).decode()
    result, arrays = tab("digit.prepare", width=140, height=140, pixels=pixels)
    assert result == {"source": "drawing", "index": None, "label": None}
    np.testing.assert_array_equal(arrays["before"], grey)
    np.testing.assert_array_equal(arrays["after"], prepare(grey))
    tab("digit.label", label=1)
    result, _ = tab("trace")
    assert (result["label"], result["target"]) == (1, 1)
    result, arrays = tab("digit.prepare", file=as_base64(Image.fromarray(grey)))
    assert result["source"] == "photo"
    assert arrays["after"].any()
    result, _ = tab("trace")
    assert result["label"] is None
    assert result["target"] == int(np.argmax(result["probabilities"]))


def test_two_tabs_share_the_training_and_have_a_digit_each(lab: Lab, tab: Tab) -> None:
    with lab.tab() as other:
        other("hello", lang="ja")
        tab("digit.pick", set="test", index=1)
        other("digit.pick", set="test", index=2)
        loss = tab("trace")[0]["loss"]
        assert other("trace")[0]["loss"] != loss
        tab("train.step")
        for each in (tab, other):
            each.event("status", state="paused", epoch=0, step=1)
        assert tab("trace")[0]["step"] == other("trace")[0]["step"] == 1
    with lab.tab() as third:
        assert third("hello")[0]["digit"]["index"] == 2  # a new tab begins with the last digit


def test_a_closed_tab_and_a_slow_tab_leave_the_training_alone(lab: Lab, tab: Tab) -> None:
    with lab.tab() as closed, lab.tab() as slow:
        slow.socket.send('{"method": "ack"}')  # and never reads, nor acknowledges again
        closed("hello")
        closed("train.play")
    tab.socket.send('{"method": "ack"}')
    numbers = []
    with lab.tab() as slow:
        slow.socket.send('{"method": "ack"}')
        for _ in range(3):
            header, _ = tab.event("frame")
            numbers.append(header["number"])
            tab.socket.send('{"method": "ack"}')
    assert numbers == sorted(set(numbers))
    tab("train.pause")
    status, _ = tab.event("status", state="paused")
    tab("train.epoch")
    tab.event("status", state="paused", epoch=status["epoch"] + 1, step=0)


def test_frames_carry_the_part_of_the_curves_that_a_tab_lacks(tab: Tab) -> None:
    tab.socket.send('{"method": "ack"}')
    points: list[list[float]] = []
    for step in range(1, 5):
        tab("train.step")
        while True:
            header, _ = tab.event("frame")
            tab.socket.send('{"method": "ack"}')
            points[header["curves"]["from"] :] = header["curves"]["points"]
            if header["step"] == step:
                break
    assert [end for end, _, _ in points] == [1, 2, 3, 4]


def test_a_saved_state_is_a_model_with_these_weights(tab: Tab, tmp_path: Path) -> None:
    from scratch.models import load_model

    tab("train.step")
    tab.event("status", state="paused", step=1)
    tab("digit.pick", set="train", index=0)
    tab("trace")
    result, arrays = tab("save")
    path = tmp_path / result["name"]
    path.write_bytes(arrays["file"].tobytes())
    W = tab("tensor", name="dense/W")[1]["value"]
    assert load_model(path).get_weights()[0].tobytes() == W.tobytes()


def test_the_representation_of_all_snapshots_has_one_basis(tab: Tab) -> None:
    _, first = tab("representation")
    tab("train.epoch")
    tab.event("status", state="paused", epoch=1)
    result, later = tab("representation")
    assert result["basis"] == {"epoch": 0, "step": 0}
    assert later["points"].shape == (200, 2)
    assert not np.array_equal(first["points"], later["points"])
    _, again = tab("representation", snapshot=tab("snapshots")[0]["snapshots"][0]["id"])
    np.testing.assert_array_equal(again["points"], first["points"])
    assert tab("representation", refit=True)[0]["basis"] == {"epoch": 1, "step": 0}


def run_command(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scratch", "lab", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)


def test_a_port_in_use_and_input_that_cannot_be_used_are_one_sentence(
    lab: Lab, words: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    port = lab.host.split(":")[1]
    logits = tmp_path / "none.keras"
    for arguments, sentence in (
        (["--port", port], f"Port {port} cannot be used"),
        (["--port", "99999"], "Port 99999 cannot be used"),
        (["--model", str(logits)], "none.keras"),
    ):
        result = run_command(*words, *arguments, environment=environment)
        assert result.returncode == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert not result.stdout


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@pytest.mark.slow
def test_a_killed_lab_that_is_started_again_is_reached_at_the_same_address_with_its_training(
    words: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    words = [*words, "--port", port, "--resume", str(tmp_path)]
    with Lab(*words, **environment) as killed, killed.tab() as tab:
        tab("hello")
        for step in range(1, 4):
            tab("train.step")
            tab.event("status", state="paused", step=step)
        tab("digit.pick", set="test", index=0)
        tab("trace")
        before = tab("tensor", name="dense/W")[1]["value"]
        killed.process.kill()
        with pytest.raises(ConnectionClosed):
            tab.receive()
        killed.process.wait()
    with Lab(*words, **environment) as again:
        assert again.url == killed.url
        with killed.tab() as tab:
            assert tab("hello")[0]["training"]["step"] == 3
            tab("digit.pick", set="test", index=0)
            tab("trace")
            assert tab("tensor", name="dense/W")[1]["value"].tobytes() == before.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_lab_that_trains_with_a_tab_open(
    words: list[str], environment: dict[str, str], number: signal.Signals
) -> None:
    with Lab(*words, **environment) as lab, lab.tab() as tab:
        tab("hello")
        tab("train.play")
        lab.process.send_signal(number)
        status = lab.process.wait(timeout=60)
        errors = lab.stop()
    assert status == (0 if number is signal.SIGINT else 128 + number)
    assert not errors
    assert not list(Path(environment["XDG_RUNTIME_DIR"]).glob(f"**/{lab.host.split(':')[1]}.json"))


@pytest.mark.slow
def test_a_second_command_stops_the_lab(words: list[str], tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert run_command("--stop", environment=environment).stdout == "No lab is running.\n"
    with Lab(*words, **environment) as lab:
        port = lab.host.split(":")[1]
        (file,) = tmp_path.glob("**/*.json")
        assert file.stat().st_mode & 0o077 == 0
        result = run_command("--stop", environment=environment)
        assert result.stdout == f"Stopped the lab at port {port}.\n"
        assert lab.process.wait(timeout=60) == 0
        assert not lab.stop()
    with Lab(*words, **environment) as lab:
        lab.process.kill()
        lab.process.wait()
    assert run_command("--stop", environment=environment).stdout == "No lab is running.\n"
    assert not list(tmp_path.glob("**/*.json"))


def test_without_the_extra_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["lab", "--no-browser"]) == 2
    assert "pip install 'scratch-keras[lab]'" in capsys.readouterr().err


def test_only_the_command_imports_the_lab() -> None:
    program = "import sys, scratch.cli; sys.exit(any(n.startswith(('scratch.lab', 'starlette')) for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
