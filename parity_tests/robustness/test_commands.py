"""``python -m scratch evaluate`` and ``predict``: text and JSON output, other models, and wrong arguments."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests.robustness.photos import photograph
from scratch.cli import main
from scratch.datasets import mnist
from scratch.layers import Activation, Dense, Flatten, Layer
from scratch.models import Sequential
from scratch.optimizers import SGD

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(digits: mnist.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``small.npz``, ``model.keras`` trained on it, photos of two digits, and a file of text."""
    folder = tmp_path_factory.mktemp("commands")
    (x_train, y_train), (x_test, y_test), _ = digits
    x_train, y_train, x_test, y_test = x_train[:2000], y_train[:2000], x_test[:300], y_test[:300]
    np.savez(folder / "small.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    model = Sequential([Dense(32, "relu", input_shape=(784,)), Dense(10), Activation("softmax")], backend="numpy")
    model.compile(SGD(0.1, 0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train.reshape(-1, 784) / 255, y_train, batch_size=100, epochs=4, verbose=0)
    model.save(folder / "model.keras")
    for digit in (0, 1):
        image = x_test[np.flatnonzero(y_test == digit)[0]]
        photograph(image, np.random.default_rng(digit)).save(folder / f"{digit}.jpg")
    (folder / "no photo.jpg").write_text("seven")
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_evaluate_as_text_and_json(capsys: Capture) -> None:
    assert main(["evaluate", "model.keras", "--data", "small.npz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Data: 2,000 + 300 images from small.npz (not MNIST: checksums differ)."
    result = re.fullmatch(r"Test loss (\d\.\d{4}), test accuracy (\d\.\d{4}) \((\d+) of 300\)\.", lines[1])
    assert result
    assert [line.split()[0] for line in lines[2:]] == [str(digit) for digit in range(10)]
    by_digit = [re.fullmatch(r" +\d  (\d\.\d{4})  (\d+) of (\d+)", line) for line in lines[2:]]
    right, samples = np.array([[int(m[2]), int(m[3])] for m in by_digit if m]).T
    assert (right.sum(), samples.sum()) == (int(result[3]), 300)
    assert 0.8 < float(result[2]) == round(right.sum() / 300, 4)

    assert main(["evaluate", "model.keras", "--data", "small.npz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["right_by_digit"] == right.tolist()
    assert found["samples_by_digit"] == samples.tolist()
    assert (found["file"], found["samples"], found["accuracy"]) == (
        "model.keras",
        300,
        pytest.approx(right.sum() / 300),
    )
    assert f"{found['loss']:.4f}" == result[1]


def test_evaluate_agrees_with_the_models_own_evaluation(capsys: Capture) -> None:
    model = Sequential([Dense(20, "relu", input_shape=(784,)), Dense(10, "softmax")], backend="numpy")
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    _, (x, y), _ = mnist.load("small.npz")
    values = model.evaluate(x.reshape(-1, 784) / 255, np.eye(10)[y], verbose=0)
    model.save("fresh.keras")
    assert main(["evaluate", "fresh.keras", "--data", "small.npz"]) == 0
    assert isinstance(values, list)
    assert f"\nTest loss {values[0]:.4f}, test accuracy {values[1]:.4f} (" in capsys.readouterr().out


def test_predict_prints_a_table(capsys: Capture) -> None:
    assert main(["predict", "model.keras", "0.jpg", "1.jpg"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["digit", *map(str, range(10)), "(%)"]
    for digit, row in enumerate(rows):
        file, predicted, *percent = row.split()
        assert (file, predicted) == (f"{digit}.jpg", str(digit))
        assert np.argmax(np.float64(percent)) == digit
        assert np.float64(percent).sum() == pytest.approx(100, abs=0.5)
        assert len(row) == len(head) - len("  (%)")


def test_predict_as_json(capsys: Capture) -> None:
    assert main(["predict", "model.keras", "0.jpg", "--json", "no photo.jpg", "1.jpg"]) == 2
    out, err = capsys.readouterr()
    good, bad, other = json.loads(out)
    assert (good["file"], good["digit"], other["file"], other["digit"]) == ("0.jpg", 0, "1.jpg", 1)
    assert np.argmax(good["probabilities"]) == 0
    assert sum(good["probabilities"]) == pytest.approx(1)
    reason = "no photo.jpg is not a PNG or JPEG picture; convert it, or name another file."
    assert bad == {"file": "no photo.jpg", "error": reason}
    assert err == f"python -m scratch predict: {reason}\n"

    assert main(["predict", "model.keras", "0.jpg", "--json", "--show"]) == 0
    assert np.shape(json.loads(capsys.readouterr().out)[0]["picture"]) == (28, 28)


def test_a_bad_picture_does_not_stop_the_others(capsys: Capture) -> None:
    assert main(["predict", "model.keras", "no photo.jpg", "1.jpg"]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[0].endswith("(%)")
    assert out.splitlines()[1].startswith("1.jpg             1 ")
    assert err.count("\n") == 1


class Terminal(io.TextIOWrapper):
    """A stream that is a terminal if ``tty``; ``text`` returns what was written."""

    def __init__(self, encoding: str, tty: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    @property
    def text(self) -> str:
        self.seek(0)
        return self.read()


def show(encoding: str, tty: bool = False) -> list[str]:
    with contextlib.redirect_stdout(Terminal(encoding, tty)) as terminal:
        assert main(["predict", "model.keras", "0.jpg", "--show"]) == 0
    return terminal.text.splitlines()


def test_show_draws_the_picture_in_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = show("utf-8")
    assert plain[0] == "0.jpg: 0"
    assert len(plain) == 1 + 14 + 1
    assert set("".join(line[:28] for line in plain[1:15])) == set(" ▀▄█")
    assert re.fullmatch(r" {5}0 +\d+\.\d %  █+", plain[3][27:])
    ascii_only = show("ascii")
    assert [line.translate(str.maketrans("▀▄█", "'.#")) for line in plain] == ascii_only

    coloured = show("utf-8", tty=True)
    cells = re.findall(r"\x1b\[38;5;(\d+);48;5;(\d+)m▀", coloured[7])
    assert len(cells) == 28
    assert all(232 <= int(grey) <= 255 for cell in cells for grey in cell)
    assert {"232", "255"} <= {grey for cell in cells for grey in cell}
    monkeypatch.setenv("NO_COLOR", "1")
    assert show("utf-8", tty=True) == plain


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(10, input_shape=(784,))],  # logits
        [Flatten(input_shape=(28, 28)), Dense(10, "softmax")],
        [Flatten(input_shape=(28, 28, 1)), Dense(10, "softmax")],
    ],
    ids=["logits", "28×28", "28×28×1"],
)
def test_models_of_other_shapes_give_the_same_output(layers: list[Layer], capsys: Capture) -> None:
    model = Sequential(layers, backend="numpy")
    flat = Sequential([Dense(10, "softmax", input_shape=(784,))], backend="numpy")
    flat.set_weights(model.get_weights())
    outputs = []
    for each in (model, flat):
        each.save("form.keras")
        assert main(["evaluate", "form.keras", "--data", "small.npz"]) == 0
        assert main(["predict", "form.keras", "0.jpg", "1.jpg"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    "command", [["evaluate", "other.keras", "--data", "small.npz"], ["predict", "other.keras", "0.jpg"]]
)
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [Dense(10, "softmax", input_shape=(4,))],
            "other.keras expects inputs of shape (4,); images of 28×28 need a model with inputs of shape (784,) or "
            "(28, 28).",
        ),
        (
            [Dense(10, "tanh", input_shape=(784,))],
            "other.keras is not a classifier: its last layer must give a softmax or logits.",
        ),
    ],
)
def test_models_that_are_no_classifiers_of_images_are_rejected(
    layers: list[Layer], message: str, command: list[str], capsys: Capture
) -> None:
    Sequential(layers, backend="numpy").save("other.keras")
    assert main(command) == 2
    assert capsys.readouterr() == ("", f"python -m scratch {command[0]}: {message}\n")


def test_a_wrong_value_is_one_sentence(capsys: Capture) -> None:
    few = Sequential([Dense(5, "softmax", input_shape=(784,))], backend="numpy")
    few.save("few.keras")
    few.set_weights([np.full((784, 5), np.nan), np.zeros(5)])
    few.save("diverged.keras")
    for words, message in {
        ("evaluate", "none.keras"): "none.keras does not exist.",
        ("evaluate", "model.keras", "--data", "none.npz"): "none.npz does not exist",
        ("evaluate", "few.keras", "--data", "small.npz"): "few.keras has the classes 0 to 4; the data has 9 too.",
        ("evaluate", "diverged.keras", "--data", "small.npz"): "diverged.keras returns NaN: its training diverged.",
        ("predict", "diverged.keras", "0.jpg"): "diverged.keras returns NaN: its training diverged.",
        ("predict", "small.npz", "0.jpg"): "small.npz: the name of an archive must end in .keras.",
        ("predict", "model.keras", "none.png"): "none.png does not exist.",
    }.items():
        assert main(list(words)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"python -m scratch {words[0]}: {message}")
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["evaluate"], ["predict", "model.keras"], ["predict", "model.keras", "0.jpg", "--jsn"]]
)
def test_a_missing_or_unknown_argument_shows_the_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert f"usage: python -m scratch {words[0]}" in capsys.readouterr().err


def test_predict_imports_no_more_than_it_needs() -> None:
    """Loading Numba, rich or matplotlib would take longer than the prediction."""
    program = (
        "import sys; from scratch.cli import main; status = main(sys.argv[1:]);"
        "print(*sorted(m for m in sys.modules if '.' not in m), file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", program, "predict", "model.keras", "1.jpg", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["digit"] == 1
    assert not {"numba", "rich", "matplotlib", "keras", "pooch", "mlxtend"} & set(done.stderr.split())
