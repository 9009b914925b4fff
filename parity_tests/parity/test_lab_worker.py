"""The lab's process with Keras: comparison, bug hunt and diagnosis."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import scratch
from parity_tests.diagnosis import findings
from parity_tests.diagnosis import mistakes as diagnosis_mistakes
from parity_tests.diagnosis.formulas import STAGES
from parity_tests.diagnosis.mistakes.softmax import RIGHT_LOSS
from parity_tests.diagnosis.situations import situations
from parity_tests.faults import FAULTS
from parity_tests.faults.catalogue import PlantedFault
from parity_tests.lab_worker import hunting
from parity_tests.lab_worker.comparing import compare_with_keras
from parity_tests.lab_worker.diagnosing import diagnose
from parity_tests.lab_worker.levels import LEVELS, MISTAKES
from scratch import Sequential
from scratch.lab.inspection import inspect
from scratch.lab.parity import COMPARED
from scratch.lab.states import take_state
from scratch.lab.texts import LabError
from scratch.lab.worker import Worker
from scratch.layers import ELU, Activation, BatchNormalization, Dense, Flatten, Input, Layer, LeakyReLU, Rescaling
from scratch.optimizers import SGD, Adam, Optimizer, RMSprop
from scratch.saving.archive import to_bytes

NETWORKS: dict[str, tuple[Callable[[], list[Layer]], tuple[int, ...], Callable[[], Optimizer], str]] = {
    "article": (
        lambda: [Dense(6), Activation("relu"), Dense(4), Activation("softmax")],
        (15,),
        lambda: SGD(0.1),
        "categorical_crossentropy",
    ),
    "momentum": (
        lambda: [Dense(6, "tanh"), Dense(4, "softmax")],
        (15,),
        lambda: SGD(0.1, momentum=0.9, weight_decay=0.01),
        "categorical_crossentropy",
    ),
    "labels and Adam": (
        lambda: [Flatten(), Dense(6, "sigmoid"), Dense(4, "softmax")],
        (3, 5),
        Adam,
        "sparse_categorical_crossentropy",
    ),
    "layers with settings": (
        lambda: [Rescaling(1 / 3, -0.25), Flatten(), Dense(6), ELU(0.5), Dense(5), LeakyReLU(0.1), Dense(4, "softmax")],
        (3, 5),
        lambda: RMSprop(0.01),
        "categorical_crossentropy",
    ),
}


@pytest.fixture(params=NETWORKS)
def sent(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """The arrays of a request to compare one step of a network that has been trained for a moment."""
    layers, shape, optimizer, loss = NETWORKS[request.param]
    rng = np.random.default_rng(0)
    model = Sequential([Input(shape), *layers()], backend="numpy")
    model.compile(optimizer(), loss)
    x, labels = rng.uniform(size=(8, *shape)).astype(np.float32), rng.integers(4, size=8)
    y = labels.astype(np.int32) if loss.startswith("sparse") else np.eye(4)[labels]
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    found = inspect(model, take_state(model, 0, 0, 0), x[:1], y[:1])
    ours = {f"ours/{name}": tensor.value for name, tensor in found.tensors.items() if tensor.kind in COMPARED}
    return {"x": x[:1], "y": y[:1], "model": np.frombuffer(to_bytes(found.network), np.uint8), **ours}


def test_a_step_agrees_with_keras_in_every_tensor(sent: dict[str, np.ndarray]) -> None:
    result, arrays = compare_with_keras({}, sent)
    compared = [row["name"] for row in result["rows"]]
    inner = ("/z", "/dz")  # Keras's trace has no inputs of activations that are part of a layer
    assert compared == [
        name.removeprefix("ours/") for name in sent if name.startswith("ours/") and not name.endswith(inner)
    ]
    assert all(row["ok"] for row in result["rows"]), [row for row in result["rows"] if not row["ok"]]
    assert any(row["largest_difference"] > 0 for row in result["rows"])
    for name in compared:
        assert arrays[f"keras/{name}"].shape == arrays[f"bound/{name}"].shape == sent[f"ours/{name}"].shape


def test_parts_without_a_bound_are_compared_without_a_verdict() -> None:
    model = Sequential([Input((15,)), Dense(6), BatchNormalization(), Activation("relu"), Dense(4, "softmax")])
    model.compile(SGD(0.1), "categorical_crossentropy")
    x, y = np.random.default_rng(0).uniform(size=(5, 15)).astype(np.float32), np.eye(4)[[0, 1, 2, 3, 0]]
    found = inspect(model, take_state(model, 0, 0, 0), x, y)
    ours = {f"ours/{name}": tensor.value for name, tensor in found.tensors.items() if tensor.kind in COMPARED}
    arrays = {"x": x, "y": y, "model": np.frombuffer(to_bytes(found.network), np.uint8), **ours}
    result, tensors = compare_with_keras({}, arrays)
    names = [row["name"] for row in result["rows"]]
    assert f"{model.layers[1].name}/gamma_new" in names
    assert {row["ok"] for row in result["rows"]} == {None}
    assert all(f"keras/{name}" in tensors and f"bound/{name}" not in tensors for name in names)
    assert max(row["largest_difference"] for row in result["rows"]) < 1e-4  # no verdict, but the same formulas


def test_a_wrong_entry_is_found(sent: dict[str, np.ndarray]) -> None:
    name = next(n for n in sent if n.endswith("/dW"))
    wrong = sent[name].copy()
    wrong[2, 3] += 0.01
    result, _ = compare_with_keras({}, sent | {name: wrong})
    bad = [row for row in result["rows"] if not row["ok"]]
    assert [row["name"] for row in bad] == [name.removeprefix("ours/")]
    assert bad[0]["index"] == [2, 3]
    assert bad[0]["largest_difference"] == pytest.approx(0.01, rel=1e-3)


def digits() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    images = (rng.integers(256, size=(400, 10, 10)) * (rng.uniform(size=(400, 10, 10)) < 0.3)).astype(np.uint8)
    return {"images": images, "labels": rng.integers(10, size=400).astype(np.uint8)}


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    hunting.hunt({"action": "start", "level": 1, "seed": 0}, digits())


def test_the_faults_of_the_levels_are_planted_ones_with_a_sentence_in_each_language() -> None:
    planted = {fault.name for fault in FAULTS if isinstance(fault, PlantedFault)}
    names = [name for level in LEVELS for name in level]
    assert set(names) <= planted
    assert len(names) == len(set(names)) == len(MISTAKES)
    assert set(MISTAKES) == set(names)
    assert all(texts["en"].endswith(".") and texts["ja"].endswith("。") for texts in MISTAKES.values())


@pytest.mark.parametrize(("level", "name"), [(i, name) for i, names in enumerate(LEVELS, 1) for name in names])
def test_a_fault_first_shows_in_a_tensor_of_its_level(level: int, name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    assert isinstance(fault, PlantedFault)
    right = hunting.step(level, 0, None)
    first = hunting.first_difference(hunting.step(level, 0, fault), right)
    assert first is not None
    kinds = {1: {"forward"}, 2: {"loss", "backward"}, 3: {"backward", "gradient"}, 4: {"update"}, 5: {"gradient"}}
    assert right.tensors[first].kind in kinds[level]
    assert hunting.first_difference(hunting.step(level, 0, None), right) is None  # the fault is gone


def test_a_hunt_depends_on_level_and_seed_alone_and_an_answer_is_judged() -> None:
    first = hunting.make_hunt(3, 7)
    hunting.make_hunt.cache_clear()
    again = hunting.make_hunt(3, 7)
    assert again is not first
    assert (again.fault.name, again.first, again.choices) == (first.fault.name, first.first, first.choices)
    assert all(again.wrong[name].tobytes() == first.wrong[name].tobytes() for name in first.wrong.tensors)
    fields = {"level": 3, "seed": 7}
    result, _ = hunting.hunt({"action": "start", **fields}, {})
    assert first.fault.name in [cause["id"] for cause in result["causes"]]
    assert len({cause["id"] for cause in result["causes"]}) == 4
    right = {"tensor": first.first, "cause": first.fault.name}
    result, _ = hunting.hunt({"action": "answer", **fields, **right}, {})
    assert result["tensor_right"]
    assert result["cause_right"]
    assert result["wrong_line"].startswith(f"def {first.fault.name}(")
    assert result["right_line"].startswith(f"def {first.fault.attribute}(")
    result, _ = hunting.hunt({"action": "answer", **fields, "tensor": "x", "cause": "other"}, {})
    assert not result["tensor_right"]
    assert not result["cause_right"]
    _, arrays = hunting.hunt({"action": "tensor", **fields, "name": first.first}, {})
    assert not np.array_equal(arrays["wrong"], arrays["right"])


OWN = """
import numpy as np

class Net:
    def __init__(self, inputs, hidden, classes):
        self.params = {"W1": np.random.randn(inputs, hidden) * 0.1, "b1": np.zeros(hidden)}
        self.params |= {"W2": np.random.randn(hidden, classes) * 0.1, "b2": np.zeros(classes)}

    def predict(self, x):
        print("a line that is no message")
        self.h = np.maximum(x @ self.params["W1"] + self.params["b1"], 0)
        z = self.h @ self.params["W2"] + self.params["b2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def gradient(self, x, t):
        dout = (self.predict(x) - t) / len(x)
        grads = {"W2": self.h.T @ dout, "b2": np.sum(dout)}
        dout = (dout @ self.params["W2"].T) * (self.h > 0)
        return grads | {"W1": x.T @ dout, "b1": np.sum(dout, axis=0)}
"""


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.slow
def test_the_process_examines_a_file_survives_its_errors_and_is_started_again(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    result, _ = worker("diagnose", {"file": str(file)}, {})
    assert not result["agrees"]
    assert "db is one number" in result["findings"][0]["what"]
    with pytest.raises(ValueError, match="There is no file"):
        worker("diagnose", {"file": str(tmp_path / "missing.py")}, {})
    process = worker._process
    assert worker.is_running
    file.write_text("raise SystemExit(2)\n")
    with pytest.raises(ValueError, match=r"own\.py|SystemExit"):
        worker("diagnose", {"file": str(file)}, {})
    assert worker._process is process
    file.write_text("import os\nos._exit(3)\n")
    with pytest.raises(LabError, match="has ended"):
        worker("diagnose", {"file": str(file)}, {})
    result, _ = worker("hunt", {"action": "start", "level": 1, "seed": 0}, digits())
    assert len(result["causes"]) == 4
    assert worker._process is not process


def test_without_keras_the_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch, worker: Worker) -> None:
    monkeypatch.setattr(Worker, "is_available", staticmethod(lambda: False))
    with pytest.raises(LabError, match="pip install"):
        worker("diagnose", {"file": "x.py"}, {})
    assert not worker.is_running


def test_a_file_with_several_networks_is_asked_for_one(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text("class A:\n    pass\n\n\nclass B:\n    pass\n")
    with pytest.raises(ValueError, match=r"two\.py:A, .*two\.py:B"):
        diagnose({"file": str(file)}, {})
    file.write_text("x = 1\n")
    with pytest.raises(ValueError, match="neither a class nor a function"):
        diagnose({"file": str(file)}, {})


def templates() -> set[str]:
    """Return the sentences of the diagnosis, with {p} for what is inserted."""
    sentences = {
        text
        for mistake in diagnosis_mistakes.MISTAKES
        for text in (mistake.what.removesuffix(RIGHT_LOSS), mistake.remedy)
    }
    sentences |= {RIGHT_LOSS.strip(), *findings.LIMITS.values(), findings.UNEXPLAINED, findings.COPY, findings.CONVERT}
    sentences |= {findings.NOT_RANDOM, findings.LEAVE_WEIGHTS, findings.SUM_IN_FLOAT64, *STAGES}
    sentences |= {situation.name for situation in situations((4, 3, 2))}
    return {re.sub(r"\{(\w+):[^}]*\}", r"{\1}", text) for text in sentences}


def test_the_page_has_every_sentence_of_the_diagnosis_in_japanese() -> None:
    source = (Path(scratch.__file__).parent / "lab" / "static" / "words" / "diagnosis.ja.js").read_text(
        encoding="utf-8"
    )
    japanese = json.loads(source[source.index("{\n") :].replace(",\n};", "}"))
    assert templates() - japanese.keys() == set()
    for english, text in japanese.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", text)), english
