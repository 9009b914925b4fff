"""Keras's DataParallel on several devices and processes takes the steps of scratch, and ends if a process is lost.

The slow tests start processes with JAX: ``python -m pip install -e '.[peers]'``.
"""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import os
import re
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_impl.cli import main
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.reference.cases import ARTICLE
from parity_tests.comparison import assert_all, equal, same
from parity_tests.robustness.distribution_worker import EPOCHS, SEED
from parity_tests.checks.lock_step import lock_step
from parity_tests.conftest import save_some
from scratch.article import prepare_floats
from scratch.datasets import mnist
from scratch.batches import batches

Process = subprocess.Popen[str]
PROGRAM = ("-m", "keras_impl", "--backend", "jax")
SAMPLES = 2460  # 25 steps per epoch, the last one with 60 samples


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "0"], "devices must be an integer, 1 or more; got 0."),
        (["--processes", "-1"], "processes must be an integer, 1 or more; got -1."),
        (["--devices", "2", "--backend", "tensorflow"], "--devices and --processes need --backend jax; got 'tensorf"),
        (["--process-id", "0"], "--process-id needs several processes; add --processes."),
        (["--coordinator", "a:1"], "--coordinator needs several processes; add --processes."),
        (["--processes", "2"], "--process-id must be 0 to 1, different in each process; got None."),
        (["--processes", "2", "--process-id", "2"], "--process-id must be 0 to 1, different in each process; got 2."),
        (["--processes", "2", "--process-id", "-1"], "--process-id must be 0 to 1, different in each process; got -1."),
        (["--processes", "2", "--process-id", "1"], "--coordinator must be the HOST:PORT of process 0; got N"),
        *(
            (
                ["--processes", "2", "--process-id", "1", "--coordinator", wrong],
                f"HOST:PORT of process 0; got '{wrong}'.",
            )
            for wrong in ("host", "host:", ":80", "host:http", "host:0", "host:65536")
        ),
    ],
)
def test_options_that_do_not_fit_together(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # main sets it
    assert main(["--backend", "jax", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("python -m keras_impl: ")
    assert message in said
    assert said.count("\n") == 1


# --- several processes --------------------------------------------------------------------------------------------


def free_port() -> str:
    """Return a TCP port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def start(*command: str) -> Process:
    """Start Python with these arguments, and with Keras on JAX."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *command], env=environment, **pipes)


def start_processes(processes: int, *options: str, of_each: Sequence[Sequence[str]] | None = None) -> list[Process]:
    """Start the training program in several processes, each with options of its own."""
    where = ("--processes", str(processes), "--coordinator", f"127.0.0.1:{free_port()}")
    each = of_each or [[]] * processes
    return [start(*PROGRAM, *options, *own, *where, "--process-id", str(k)) for k, own in enumerate(each)]


def wait(process: Process, timeout: float = 240) -> tuple[int, str, str]:
    """Wait for the end of a process; return exit status, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.fixture
def some(digits: mnist.Dataset, tmp_path: Path) -> str:
    """A file of a few MNIST digits; the number of test digits, 211, is a prime."""
    return save_some(digits, tmp_path / "some.npz", train=1260, test=211)


class Replay:
    """A stand-in for a Keras model in ``lock_step``, which repeats a recorded training."""

    def __init__(self, recorded: Any) -> None:
        self.weights, self.loss, self.accuracy = (recorded[name] for name in ("weights", "loss", "accuracy"))
        self.step = 0

    def get_weights(self) -> list[np.ndarray]:
        shapes = [W.shape for W in ARTICLE.data[2]]
        parts = np.split(self.weights[self.step], np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def train_on_batch(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        self.step += 1
        return float(self.loss[self.step - 1]), float(self.accuracy[self.step - 1])


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "processes"), [(4, 1), (1, 2), (1, 4)])
def test_100_steps_equal_those_of_scratch(devices: int, processes: int, digits: mnist.Dataset, tmp_path: Path) -> None:
    (x, _), labels = prepare_floats(digits.train[0][:SAMPLES], digits.train[1][:SAMPLES], 10), digits.train[1][:SAMPLES]
    np.savez(tmp_path / "digits.npz", x=x, labels=labels)
    worker = ("-m", "parity_tests.robustness.distribution_worker", str(tmp_path), str(devices), str(processes))
    where = f"127.0.0.1:{free_port()}"
    for process in [start(*worker, str(k), where) for k in range(processes)]:
        assert wait(process)[0] == 0
    recorded = [dict(np.load(tmp_path / f"{k}.npz")) for k in range(processes)]
    for other in recorded[1:]:
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "final_weights"):
            assert_all([same(name, other[name], recorded[0][name])])
        assert_all([same("last weights", other["weights"][-1], recorded[0]["weights"][-1])])
    assert_all([same("final weights", recorded[0]["final_weights"], recorded[0]["weights"][-1])])
    rng = np.random.default_rng(SEED)
    steps = [rows for _ in range(EPOCHS) for rows in batches(SAMPLES, ARTICLE.batch, rng)]
    assert len(steps) == 100
    compared = list(lock_step(ScratchNetworks("numba"), ARTICLE, x, labels, steps, Replay(recorded[0])))
    assert len(compared) == 100
    assert_all([row for rows in compared for row in rows])


@pytest.mark.slow
def test_output_of_two_processes(some: str, tmp_path: Path) -> None:
    """Two processes with two devices each print what one process prints; an epoch's last step has 60 samples."""
    tables = [tmp_path / name for name in ("one.csv", "several.csv")]
    options = ["--data", some, "--epochs", "3", "--momentum", "0.5", "--history"]
    one = start(*PROGRAM, *options, str(tables[0]))
    first, second = start_processes(2, *options, str(tables[1]), "--devices", "2")
    (status, expected, _), (first_status, out, err), quiet = wait(one), wait(first), wait(second)
    assert (status, first_status, err) == (0, 0, "")
    assert quiet == (0, "", "")
    timeless = [re.sub(r"\d+m?s\b|\d+\.\d s\b|\d+us", "TIME", text) for text in (expected, out)]
    assert_all([equal("what is printed", timeless[1].splitlines(), timeless[0].splitlines())])
    histories = [np.genfromtxt(table, delimiter=",", names=True) for table in tables]
    assert histories[0].dtype.names == histories[1].dtype.names
    for name in histories[0].dtype.names:
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_killed_process_ends_the_others(victim: int, some: str) -> None:
    processes = start_processes(3, "--data", some, "--epochs", "1000000", "--batch-size", "90")
    assert processes[0].stdout is not None
    for line in processes[0].stdout:
        if line.startswith("Epoch 3/"):
            break
    processes[victim].send_signal(signal.SIGKILL)
    begin = time.monotonic()
    for k, process in enumerate(processes):
        status, _, err = wait(process, timeout=60)
        if k != victim:
            assert status == 1
            assert re.fullmatch(
                rf"python -m keras_impl: process {k} of 3 stops, since another process has ended.*\n", err
            )
    assert time.monotonic() - begin < 60


@pytest.mark.slow
def test_different_options_are_rejected(some: str) -> None:
    for process in start_processes(
        2, "--data", some, of_each=[["--learning-rate", "0.01"], ["--learning-rate", "0.02"]]
    ):
        status, _, err = wait(process)
        assert (status, err) == (
            2,
            "python -m keras_impl: Process 1 has other options than process 0; they must be the same on all hosts.\n",
        )


@pytest.mark.slow
def test_missing_process(some: str) -> None:
    """Process 1 connects to another address than that of process 0, so that both wait in vain."""
    program = "from keras_impl import cli, processes; processes.START_TIMEOUT = 3; raise SystemExit(cli.main())"
    common = ("-c", program, "--backend", "jax", "--data", some, "--processes", "2")
    ports = [free_port() for _ in range(2)]
    waiting = [start(*common, "--process-id", str(k), "--coordinator", f"127.0.0.1:{ports[k]}") for k in range(2)]
    for process, port in zip(waiting, ports, strict=True):
        status, out, err = wait(process)
        assert (status, out) == (1, "")
        sentence = (
            rf"python -m keras_impl: not all 2 processes connected to 127\.0\.0\.1:{port} within 3 seconds; .*\.\n"
        )
        assert re.fullmatch(sentence, err)


@pytest.mark.slow
def test_port_in_use() -> None:
    from keras_impl.processes import run

    with socket.create_server(("", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match=f"--coordinator {where} can't be used: Address already in use"):
            run(Namespace(devices=1, processes=2, process_id=0, coordinator=where), lambda: 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("samples", "batch_size", "devices", "message"),
    [
        (60_000, 100, 3, "batch_size must be a multiple of 3, the number of devices; got 100."),
        (3000, 98, 7, "The last batch of an epoch has 60 of 3,000 samples, 4 more than 7 devices can share equally; "),
    ],
)
def test_batches_that_cannot_be_divided(samples: int, batch_size: int, devices: int, message: str) -> None:
    from keras_impl.distributed import check_batches

    check_batches(60_000, 100, 4)
    check_batches(2460, 100, 4)
    with pytest.raises(ValueError, match=re.escape(message)):
        check_batches(samples, batch_size, devices)
