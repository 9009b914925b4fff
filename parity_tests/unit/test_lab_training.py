"""The lab's training: the bits of ``fit`` whatever a person does meanwhile, snapshots, curves, and a loss of NaN."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.article import build_model, compile_model
from scratch.callbacks import BackupAndRestore, Callback
from scratch.datasets.mnist import Dataset
from scratch.lab.curves import MAX_POINTS, Curves
from scratch.lab.frames import BINS, histogram
from scratch.lab.session import Session, make_session
from scratch.lab.snapshots import MAX_SNAPSHOTS, Snapshots
from scratch.lab.states import State
from scratch.lab.texts import LabError
from scratch.lab.training import PAUSED, STOPPED
from scratch.layers import Activation, BatchNormalization, Dense, Dropout, Input
from scratch.models import Sequential
from scratch.optimizers import Adam
from scratch.optimizers.schedules import ExponentialDecay
from scratch.pixels import Pixels
from scratch.utils import set_random_seed, to_categorical

STEPS = 12  # of an epoch


def digits() -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(1150 + 60, 8, 8), dtype=np.uint8) * (rng.uniform(size=(1210, 8, 8)) < 0.3)
    labels = rng.integers(10, size=1210).astype(np.uint8)
    images = images.astype(np.uint8)
    return Dataset((images[:1150], labels[:1150]), (images[1150:], labels[1150:]), "random")


def kept_backup(folder: Path) -> BackupAndRestore:
    return BackupAndRestore(folder, "auto", delete_checkpoint=False)


@pytest.fixture
def session() -> Iterator[Session]:
    session = make_session(digits(), None, seed=3)
    yield session
    session.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; the time limit of the suite ends a test that waits for ever."""
    while not condition():
        time.sleep(0.001)


def paused_at(session: Session, epoch: int, step: int) -> None:
    training = session.training
    until(lambda: training.state == PAUSED and (training.epoch, training.step) == (epoch, step))


def fitted(epochs: int, rates: dict[tuple[int, int], float] | None = None, seed: int = 3) -> Sequential:
    """Return a model trained by ``fit`` with other learning rates from some (epoch, step) on."""
    data, rates = digits(), rates or {}
    set_random_seed(seed)
    model = build_model(inputs=64)
    compile_model(model)

    class Rates(Callback):
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = rates.get((self.epoch, batch), self.model.optimizer.learning_rate)

    x = (data.train[0].reshape(1150, -1) / np.float32(255)).astype(np.float32)
    model.fit(x, to_categorical(data.train[1], 10), batch_size=100, epochs=epochs, verbose=0, callbacks=[Rates()])
    return model


def bits(model: Sequential) -> list[bytes]:
    return [W.tobytes() for W in model.get_weights()]


def test_an_epoch_ends_with_the_bits_of_fit(session: Session) -> None:
    session.training.run_epoch()
    paused_at(session, 1, 0)
    assert bits(session.model) == bits(fitted(1))


def test_steps_pauses_speeds_and_a_new_learning_rate_end_with_the_bits_of_fit(session: Session) -> None:
    training = session.training
    training.frame_wanted = True
    for step in range(1, 4):
        training.run_steps(1)
        paused_at(session, 0, step)
    training.run_steps(4, steps_per_second=200)
    paused_at(session, 0, 7)
    training.set_learning_rate(0.5)
    training.run_epoch()
    paused_at(session, 1, 0)
    training.run_steps(np.inf)
    until(lambda: training.epoch >= 3)
    training.pause()
    until(lambda: training.state == PAUSED)
    training.run_epoch()
    until(lambda: training.state == PAUSED)
    assert training.step == 0
    assert bits(session.model) == bits(fitted(training.epoch, {(0, 7): 0.5}))


def test_train_on_batch_is_no_step_of_the_labs_training(session: Session) -> None:
    training, model = session.training, session.model
    training.run_steps(2)
    paused_at(session, 0, 2)
    before = bits(model)
    model.train_on_batch(np.zeros((1, 64)), np.eye(10)[:1], sample_weight=np.ones(1))
    assert bits(model) != before
    assert training.curves.points[-1].end == 2
    training.run_steps(2)
    paused_at(session, 0, 4)


def test_looking_at_a_snapshot_leaves_the_training_as_it_is(session: Session) -> None:
    training = session.training
    training.run_steps(5)
    paused_at(session, 0, 5)
    before = bits(session.model)
    first = training.snapshots.kept[0]
    assert (first.epoch, first.step) == (0, 0)
    early = session.network(first.id)
    early.set_weights([W * 0 for W in early.get_weights()])
    session.make_frame(training.snapshots.kept[0], training.initial)
    assert bits(session.model) == before
    training.run_epoch()
    paused_at(session, 1, 0)
    assert bits(session.model) == bits(fitted(1))


def test_restart_gives_the_weights_of_a_new_model_with_that_seed(session: Session) -> None:
    training = session.training
    initial = bits(session.model)
    training.run_steps(3)
    paused_at(session, 0, 3)
    training.restart(5)
    assert bits(session.model) != initial
    training.restart(3)
    assert bits(session.model) == initial
    training.run_epoch()
    paused_at(session, 1, 0)
    assert bits(session.model) == bits(fitted(1))
    assert session.model.optimizer is not None
    assert session.model.optimizer.iterations == STEPS


def test_slow_motion_waits_between_two_steps_and_pause_ends_the_waiting(session: Session) -> None:
    training = session.training
    training.run_steps(1)  # compiles
    paused_at(session, 0, 1)
    start = time.perf_counter()
    training.run_steps(np.inf, steps_per_second=20)
    until(lambda: training.step >= 4)
    assert time.perf_counter() - start >= 2 / 20  # three steps, the first at once
    training.run_steps(np.inf, steps_per_second=0.01)  # a step in 100 seconds
    until(lambda: training.state == "playing")
    step = training.step
    training.pause()  # while the training waits for the time of its next step
    until(lambda: training.state == PAUSED and training.step == step)
    training.run_steps(1)
    training.pause()
    until(lambda: training.state == PAUSED)


@pytest.mark.parametrize("eager", [False, True])
def test_a_loss_of_nan_stops_before_the_update_and_names_the_tensor(session: Session, eager: bool) -> None:
    training, model = session.training, session.model
    model.run_eagerly = eager
    training.run_steps(2)
    paused_at(session, 0, 2)
    W = model.layers[2].params["W"]
    W[3, 4] = np.inf
    kept = bits(model)
    training.run_epoch()
    until(lambda: training.state == STOPPED)
    assert bits(model) == kept
    assert training.reason is not None
    assert "epoch 1, batch 3" in training.reason.text("en")
    assert model.layers[2].name in training.reason.text("ja")
    with pytest.raises(LabError, match="has stopped"):
        training.run_steps(1)
    training.restart(3)
    training.run_epoch()
    paused_at(session, 1, 0)
    assert bits(model) == bits(fitted(1))


def test_the_frame_of_a_pause_shows_the_paused_state(session: Session) -> None:
    training = session.training
    training.run_steps(3)
    paused_at(session, 0, 3)
    until(lambda: training.frame is not None and training.frame[1].step == 3)
    assert training.frame is not None
    _, state, (fields, arrays) = training.frame
    W, W0 = session.model.get_weights()[0], training.initial.params[0]["W"]
    assert fields["W_scale"] == np.abs(W).max()
    decoded = (arrays["W"].reshape(256, -1).T.astype(float) - 128) / 127 * fields["W_scale"]
    assert np.abs(decoded - W).max() <= fields["W_scale"] / 127 / 2 * 1.001  # half a grey level
    assert fields["change_scale"] == np.abs(W - W0).max()
    assert arrays["confusion"].sum() == fields["test"]["count"] == 60
    assert np.trace(arrays["confusion"]) / 60 == fields["test"]["accuracy"]
    probe = session.training.data[0][:100], session.training.data[1][:100]
    trace = session.model.trace(*probe)
    name = session.model.layers[1].name
    assert fields["layers"][1]["dead"] == (trace[f"{name}/out"].max(axis=0) == 0).sum() == arrays[f"dead/{name}"].sum()
    norm = np.linalg.norm(0.01 * trace[f"{session.model.layers[0].name}/dW"]) / np.linalg.norm(W)
    np.testing.assert_allclose(fields["parameters"][0]["ratio"], norm, rtol=1e-3)  # W - η·dW is rounded to float32
    assert state.loss is not None


def test_no_frame_is_made_during_training_if_no_tab_wants_one(session: Session) -> None:
    training = session.training
    until(lambda: training.state == PAUSED and training.frame is not None)
    assert training.frame is not None
    first = training.frame[0]
    training.run_steps(STEPS * 5)
    paused_at(session, 5, 0)
    until(lambda: training.frame is not None and training.frame[1].epoch == 5)
    assert training.frame[0] == first + 1


def test_a_closed_lab_is_resumed_with_the_same_bits(tmp_path: Path) -> None:
    first = make_session(digits(), None, seed=3, backup=kept_backup(tmp_path / "backup"))
    first.training.run_steps(STEPS + 5)
    until(lambda: first.training.frame is not None and first.training.frame[1].epoch == 1)  # made after the backup
    curves, initial = first.training.curves, first.training.initial
    killed = shutil.copytree(tmp_path / "backup", tmp_path / "killed")  # what kill -9 leaves
    first.training.run_steps(np.inf)
    first.close()
    for folder in (killed, tmp_path / "backup"):
        again = make_session(digits(), None, seed=4, backup=kept_backup(folder))
        training = again.training
        training.started.wait()
        assert training.reason is None
        if folder == killed:
            assert (training.epoch, training.step) == (1, 5)
            assert training.curves.points == curves.points
            assert training.curves.epochs == curves.epochs
            assert training.initial.params[0]["W"].tobytes() == initial.params[0]["W"].tobytes()
        epoch = training.epoch
        training.run_epoch()
        paused_at(again, epoch + 1, 0)
        assert bits(again.model) == bits(fitted(epoch + 1))
        training.restart(3)
        training.run_epoch()
        paused_at(again, 1, 0)
        assert bits(again.model) == bits(fitted(1))
        again.close()


def test_a_model_with_moving_statistics_a_mask_and_a_schedule_restarts_as_a_new_one(tmp_path: Path) -> None:
    def new_model() -> Sequential:
        set_random_seed(7)
        layers = [Input((64,)), Dense(9), BatchNormalization(), Dropout(0.3), Activation("relu"), Dense(10, "softmax")]
        model = Sequential(layers)
        model.compile(Adam(ExponentialDecay(0.01, 5, 0.5)), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    data, expected = digits(), new_model()
    x = Pixels(data.train[0].reshape(1150, -1))
    expected.fit(x, data.train[1], 100, 2, verbose=0)
    session = Session(new_model(), data)
    for _ in range(2):
        session.training.run_epoch()
        until(lambda: session.training.state == PAUSED)
    assert bits(session.model) == bits(expected)
    with pytest.raises(LabError, match="ExponentialDecay"):
        session.training.set_learning_rate(0.1)
    early = session.training.snapshots.kept[0]
    assert bits(session.network(early.id)) != bits(session.model)
    assert bits(session.model) == bits(expected)
    session.training.restart(7)
    for _ in range(2):
        session.training.run_epoch()
        until(lambda: session.training.state == PAUSED)
    assert bits(session.model) == bits(expected)
    session.close()


@pytest.mark.parametrize("is_last", [False, True])
def test_a_model_of_models_is_one_sentence(is_last: bool, tmp_path: Path) -> None:
    first, last = Dense(5, "relu"), Dense(10)
    model = Sequential([Input((64,)), *([first, Sequential([last])] if is_last else [Sequential([first]), last])])
    model.save(tmp_path / "nested.keras")  # without a loss
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match="layers are not models"):
        Session(model, digits())
    with pytest.raises(ValueError, match="layers are not models"):
        make_session(digits(), str(tmp_path / "nested.keras"))


def test_the_backup_of_another_training_is_one_sentence(tmp_path: Path) -> None:
    make_session(digits(), None, backup=kept_backup(tmp_path)).close()
    data = digits()
    other = Dataset((data.train[0][:600], data.train[1][:600]), data.test, "fewer")
    session = make_session(other, None, backup=kept_backup(tmp_path))
    session.training.started.wait()
    assert "is the backup of another training" in str(session.training.reason)
    until(lambda: session.training.state == STOPPED)
    assert session.training.status()["state"] == "stopped"
    session.close()


def test_frames_take_at_most_a_tenth_of_the_time(session: Session) -> None:
    training, spent = session.training, 0.0

    def slow_frame(state: State, initial: State) -> None:
        nonlocal spent
        start = time.perf_counter()
        time.sleep(0.005)
        spent += time.perf_counter() - start

    def wanted() -> None:
        training.frame_wanted = True

    training.run_steps(1)
    paused_at(session, 0, 1)
    training.make_frame = slow_frame
    session.listeners.add(wanted)
    wanted()
    start = time.perf_counter()
    training.run_steps(np.inf)
    until(lambda: training.frame is not None and training.frame[0] >= 8)
    training.pause()
    assert spent / (time.perf_counter() - start) <= 0.1


def test_closing_ends_the_thread() -> None:
    session = make_session(digits(), None)
    session.training.run_steps(np.inf)
    session.close()
    assert not any(thread.name == "training" for thread in threading.enumerate())


def test_curves_keep_their_mean_when_points_are_merged() -> None:
    curves = Curves()
    rng = np.random.default_rng(0)
    steps, losses = rng.integers(1, 9, 3 * MAX_POINTS), rng.uniform(size=3 * MAX_POINTS)
    for n, loss in zip(steps.tolist(), losses.tolist(), strict=True):
        curves.add(n, loss, 1 - loss)
    assert len(curves.points) <= MAX_POINTS
    assert curves.points[-1].end == steps.sum()
    mean = sum(p.steps * p.loss for p in curves.points) / steps.sum()
    np.testing.assert_allclose(mean, np.average(losses, weights=steps), rtol=1e-12)
    assert curves.since(curves.generation, 7)["from"] == 7
    assert curves.since(curves.generation - 1, 7)["from"] == 0


def test_snapshots_are_bounded_and_keep_the_first_and_the_last() -> None:
    snapshots, taken = Snapshots(), []
    for epoch in range(200):
        assert snapshots.is_due(epoch, 0)
        taken.append((epoch, 0))
        snapshots.keep(State(snapshots.next_id, epoch, 0, [], [], None))  # type: ignore[arg-type]
    assert len(snapshots.kept) == MAX_SNAPSHOTS
    places = [(state.epoch, state.step) for state in snapshots.kept]
    assert places[0] == taken[0]
    assert places[-1] == taken[-1]
    assert places == sorted(places)
    assert snapshots[snapshots.kept[9].id] is snapshots.kept[9]
    dropped = next(i for i in range(200) if i not in [state.id for state in snapshots.kept])
    with pytest.raises(LabError, match="no longer kept"):
        snapshots[dropped]


def test_a_histogram_counts_every_value_once() -> None:
    values = np.array([0, 1e-8, -1e-8, 1e-12, 0.5, -99, 1e9, np.nan, np.inf], np.float32)
    counts = histogram(values)
    assert counts.shape == (BINS + 1,)
    assert counts.sum() == len(values)
    assert counts[0] == 3  # zero, NaN, infinity
    assert counts[1] == 3
    assert counts[-1] == 2
