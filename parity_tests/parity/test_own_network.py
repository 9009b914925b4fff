"""``python -m parity_tests --implementation``, ``check_implementation`` and ``parametrize_with_checks``."""

import json
from pathlib import Path

import numpy as np
import pytest

from parity_tests.checking import assert_check, check_implementation, parametrize_with_checks
from parity_tests.cli import main
from parity_tests.parity.networks.plain import ListNet
from scratch import layers
from scratch.models import Sequential

Capture = pytest.CaptureFixture[str]


class BiasAveraged(ListNet):
    """The gradient of b is averaged over the batch."""

    def backward(self, y: np.ndarray, y_hat: np.ndarray) -> object:
        dW, db = super().backward(y, y_hat)
        return dW, [gradient / len(y) for gradient in db]


def model(backend: str) -> Sequential:
    """Return a compiled model of scratch."""
    found = Sequential([layers.Input((20,)), layers.Dense(16, "relu"), layers.Dense(5, "softmax")], backend=backend)
    found.compile("sgd", "categorical_crossentropy")
    return found


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_scratch_comes_through_the_same_door(backend: str) -> None:
    report = check_implementation(model(backend), on_fail="raise")
    assert report.agrees
    assert all(report.checks.values())  # a check without comparisons is not offered, and not passed
    assert {stage: cell.agrees for stage, cell in report.cells["a usual batch"].items()} == dict.fromkeys(
        ("outputs", "loss", "gradients"), True
    )


@pytest.mark.slow
def test_a_mistake_is_named_and_raised() -> None:
    with pytest.raises(AssertionError, match=r"The gradient of b is averaged over the batch\."):
        check_implementation(BiasAveraged, on_fail="raise")
    with pytest.raises(ValueError, match="on_fail must be 'return' or 'raise'; got 'rise'"):
        check_implementation(BiasAveraged, on_fail="rise")


@pytest.mark.slow
def test_checks_of_the_report() -> None:
    report = check_implementation(BiasAveraged)
    assert report.checks["state"]
    assert_check(report, "outputs")
    assert_check(report, "loss")
    for name in ("gradients", "steps"):
        with pytest.raises(AssertionError, match=r"The gradient of b is averaged over the batch\."):
            assert_check(report, name)
    with pytest.raises(AssertionError, match=r"no\. db\[\d\] of layer \d differs most: it is "):
        assert_check(report, "own gradient")


def test_parametrize_with_checks_marks_expected_failures() -> None:
    decorate = parametrize_with_checks([ListNet], expected_failed_checks={"loss": "the reason"})
    parameters = {parameter.id: parameter.marks for parameter in decorate.args[1]}
    assert set(parameters) == {
        f"ListNet-{name}" for name in ("outputs", "loss", "gradients", "steps", "own gradient", "side effects")
    }
    assert [(mark.name, mark.kwargs["reason"]) for mark in parameters["ListNet-loss"]] == [("xfail", "the reason")]
    with pytest.raises(ValueError, match=r"expected_failed_checks must be among outputs, loss, .*; got losses"):
        parametrize_with_checks([ListNet], expected_failed_checks={"losses": "typing error"})


def network_file(folder: Path, source: str) -> str:
    """Write a file with a network of its own, and return what ``--implementation`` takes."""
    (folder / "net.py").write_text(source)
    return f"{folder / 'net.py'}:Net"


@pytest.mark.slow
def test_exit_status_and_files(tmp_path: Path, capsys: Capture) -> None:
    adapter = tmp_path / "adapter.py"
    assert main(["--new-adapter", str(adapter)]) == 0
    command = ["--implementation", f"{adapter}:Net"]
    assert main(command) == 0
    assert "All that it offers agrees with Keras." in capsys.readouterr().out
    adapter.write_text(adapter.read_text().replace("dout.sum(axis=0)", "dout.sum() + 0 * dout[0]"))
    files = [str(tmp_path / "mine.json"), str(tmp_path / "mine.html")]
    assert main([*command, "--json", files[0], "--report", files[1]]) == 1
    assert "db is one number, np.sum(dout)." in capsys.readouterr().out
    found = json.loads(Path(files[0]).read_text())
    assert (found["agrees"], found["findings"][0]["name"]) == (False, "bias_gradient_one_number")
    assert "db is one number" in Path(files[1]).read_text()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Net:\n    pass\n", "Net"),
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("def Net(:\n", "line 1"),
        ("import numpy as Net\n", "numpy"),
        ("class Net:\n    def __init__(self):\n        raise SystemExit('bye')\n", "Net() raised SystemExit: bye"),
    ],
    ids=["no network", "import", "syntax", "module", "exit"],
)
def test_what_cannot_be_run_is_one_sentence(source: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--implementation", network_file(tmp_path, source)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_help_separates_choices_that_contain_commas(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--weights {inputs,units|units,inputs}" in capsys.readouterr().out


BOOK_STYLE = """
import numpy as np
from parity_tests.parity.networks.book import LayeredNet

class Net(LayeredNet):
    def {}
"""
NO_GRADIENTS = (
    "gradients raises ValueError for a usual batch: "
    "gradient(x, t) neither returns the gradients of {} nor leaves them in grads, dW1, db1, … of the network."
)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "gradient(self, x, t): return {name: g.T for name, g in super().gradient(x, t).items()}",
            "gradients raises ValueError for a usual batch: "
            "The gradient of W1 must have its shape (20, 16); got (16, 20).",
        ),
        (
            "predict(self, x): return 1.0",
            "outputs raises CannotRunError for a usual batch: "
            "The outputs of 32 samples must be (N, classes), here (32, 5); got ().",
        ),
        ("gradient(self, x, t): pass", NO_GRADIENTS.format("all weights")),
        ("gradient(self, x, t): return 'dW'", NO_GRADIENTS.format("all weights")),
        (
            "gradient(self, x, t): return {n: g for n, g in super().gradient(x, t).items() if n != 'b1'}",
            NO_GRADIENTS.format("b1"),
        ),
        (
            "step(self, x, t, learning_rate): x + np.zeros((32, 20))",
            "step raises ValueError for training step 8, on a batch of 7 samples: "
            "operands could not be broadcast together with shapes (7,20) (32,20) "
            "({}, line 6: def step(self, x, t, learning_rate): x + np.zeros((32, 20))).",
        ),
        (
            "loss(self, x, t): raise SystemExit('bye')",
            "loss raises SystemExit for a usual batch: bye "
            "({}, line 6: def loss(self, x, t): raise SystemExit('bye')).",
        ),
        (
            "step(self, x, t, lr): raise SystemExit(3)",
            "step raises SystemExit for training step 1, on a batch of 32 samples: 3 "
            "({}, line 6: def step(self, x, t, lr): raise SystemExit(3)).",
        ),
    ],
    ids=[
        "transposed gradient",
        "outputs are a number",
        "no gradients",
        "a text",
        "no gradient of b1",
        "one batch size",
        "exit in loss",
        "exit in step",
    ],
)
def test_a_method_that_cannot_be_run_is_one_sentence(
    method: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    file = network_file(tmp_path, BOOK_STYLE.format(method))
    assert main(["--implementation", file]) == 2
    path = file.removesuffix(":Net")
    assert capsys.readouterr().err == f"python -m parity_tests: {message.format(path)}\n"


class Strange(ListNet):
    """Its outputs are those of no activations."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return super().forward(x) ** 1.01 + x.sum()


@pytest.mark.slow
@pytest.mark.parametrize("declared", [("relu", "tanh", "softmax"), ("linear", "sigmoid", "linear")])
def test_declared_activations_of_outputs_that_nothing_explains(declared: tuple[str, ...]) -> None:
    report = check_implementation(Strange, activations=declared)
    assert report.examination.architecture.activations == declared
    assert report.findings[0].what == "The outputs differ from Keras's."


@pytest.mark.parametrize("declared", ["elu,elu,linear", "relu,softmax", "softmax,relu,softmax", "relu,relu,relu", ""])
def test_declared_activations_must_fit_the_network(declared: str, capsys: Capture) -> None:
    assert main(["--implementation", f"{__name__}:Strange", "--activations", declared]) == 2
    assert capsys.readouterr().err == (
        "python -m parity_tests: activations must be one name for each of the 3 layers, linear, relu, sigmoid, tanh "
        f"for a hidden one and softmax or linear for the last one; got {declared.replace(',', ', ') or 'none'}.\n"
    )


@pytest.mark.parametrize("name", ["activation", "learning_rate"])
def test_unknown_settings_are_refused_before_the_network_is_examined(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^The settings of the training step are momentum, nesterov, .*; got {name}\.$"
    ):
        check_implementation(RaisesWhenCalled, **{name: 0.1})


class RaisesWhenCalled(ListNet):
    """It can't be examined."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise AssertionError("examined")


def test_the_number_of_gradients_is_checked(tmp_path: Path, capsys: Capture) -> None:
    adapter = tmp_path / "adapter.py"
    assert main(["--new-adapter", str(adapter)]) == 0
    adapter.write_text(adapter.read_text().replace("return grads\n", "return grads[:-1]\n"))
    assert main(["--implementation", f"{adapter}:Net"]) == 2
    text = "gradients raises ValueError for a usual batch: There must be 6 gradients, one of each weight; got 5."
    assert capsys.readouterr().err == f"python -m parity_tests: {text}\n"


def test_an_exception_shows_the_users_line(tmp_path: Path, capsys: Capture) -> None:
    source = Path("parity_tests/parity/networks/plain.py").read_text().replace("ListNet", "Net")
    source = source.replace("np.maximum(", "np.maximum_of(")
    assert main(["--implementation", network_file(tmp_path, source)]) == 2
    err = capsys.readouterr().err
    assert "maximum_of" in err
    assert f"{tmp_path / 'net.py'}, line" in err


def test_only_one_check(tmp_path: Path, capsys: Capture) -> None:
    options = ["--only", "to_categorical", "--json", str(tmp_path / "suite.json")]
    assert main(options) == 0
    assert [check["check"] for check in json.loads((tmp_path / "suite.json").read_text())["checks"]] == [
        "to_categorical"
    ]
    assert "The article's network, tensor by tensor" not in capsys.readouterr().out
    assert main(["--only", "traces"]) == 2
    assert "--only takes 'structure', " in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--sizes", "3,2"],
        ["--activations", "relu,softmax"],
        ["--mnist"],
        ["--momentum", "0"],
        ["--nesterov"],
        ["--weight-decay", "0.1"],
        ["--loss", "sum"],
        ["--targets", "labels"],
    ],
    ids="".join,
)
def test_options_of_a_network_need_an_implementation(options: list[str], capsys: Capture) -> None:
    assert main(["--only", "to_categorical", *options]) == 2
    assert capsys.readouterr().err == f"python -m parity_tests: {options[0]} needs --implementation.\n"


def test_data_for_a_network_that_is_not_trained_is_refused(capsys: Capture) -> None:
    assert main(["--implementation", f"{__name__}:RaisesWhenCalled", "--data", "digits.npz"]) == 2
    assert capsys.readouterr().err.startswith("python -m parity_tests: --data needs --mnist: without it, ")


@pytest.mark.parametrize("options", [["--only", "trace"], ["--backend", "numpy"], ["--slow"]], ids="".join)
def test_options_of_the_suite_refuse_an_implementation(options: list[str], capsys: Capture) -> None:
    assert main(["--implementation", f"{__name__}:RaisesWhenCalled", *options]) == 2
    message = f"{options[0]} belongs to the suite; leave out --implementation."
    assert capsys.readouterr().err == f"python -m parity_tests: {message}\n"
