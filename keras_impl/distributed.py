"""Training on several devices and several hosts: Keras's ``DataParallel`` on JAX, with scratch's batches.

Every process holds the whole model and all digits.  Of each batch a process takes its share of the rows and each of its
devices a share of those; the gradients are averaged over all (gloo, over TCP), so every device makes the same step as
one device would with the whole batch, up to rounding.

Where another process is lost, or never comes, JAX raises an error, calls abort() or waits for minutes.  Here that
becomes one sentence, within a minute.
"""

import argparse
import ctypes
import hashlib
import os
import platform
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_impl.convert import copy_weights
from keras_impl.data import Batches
from scratch.cli.terminal import run_command

START = 50  # seconds within which all processes must have been started
SILENCE = 30  # seconds without a sign of life after which a process counts as lost
Samples = tuple[np.ndarray, np.ndarray]


class Share(Batches):
    """Of each batch the rows of this process, the k-th of equal parts."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = super().__getitem__(index)
        k, parts = jax.process_index(), jax.process_count()
        return np.split(x, parts)[k], np.split(y, parts)[k]


class HandBack(keras.callbacks.Callback):
    """Gives the weights after each epoch to a model of this process alone, which then tries the test digits.

    Alone it can do so in batches of any size.
    """

    def __init__(self, alone: keras.Sequential, test: Samples, batch_size: int) -> None:
        super().__init__()
        self.alone, self.test, self.batch_size = alone, test, batch_size

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """What is known of the training is known of both models."""
        self.alone.history = self.model.history

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add ``val_loss`` and ``val_accuracy`` for the callbacks that come after this one."""
        distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            copy_weights(self.model, self.alone)
            values = self.alone.evaluate(*self.test, batch_size=self.batch_size, verbose=0, return_dict=True)
        finally:
            keras.distribution.set_distribution(distribution)
        logs.update({f"val_{name}": value for name, value in values.items()})


def fit(
    model: keras.Sequential,
    train: Samples,
    test: Samples,
    batch_size: int,
    rng: np.random.Generator,
    callbacks: list[keras.callbacks.Callback],
    **how: Any,
) -> keras.callbacks.History:
    """Train on all devices of all processes, and give the model the weights.

    Args:
        model: built and compiled, with the same weights in each process.
        train: samples (N, …) and targets, the same in each process.
        test: others, for the validation after each epoch.
        batch_size: samples in a step, of all devices together.
        rng: draws the orders, in the same state in each process.
        callbacks: called after an epoch's validation.
        how: other arguments of Keras's ``fit``.

    Raises:
        ValueError: if a batch can't be shared evenly among the devices.
    """
    check_shares(len(train[0]), batch_size, jax.device_count())
    share = Share(*train, batch_size, rng)
    # Our batches come in shares already; Keras would cut none but tf.data's, and a short last batch wrongly.
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        twin = keras.models.clone_model(model)
        copy_weights(model, twin)
        twin.compile_from_config(model.get_compile_config())
        callbacks = [share.draw_orders(), HandBack(model, test, batch_size), *callbacks]
        return twin.fit(share, shuffle=False, callbacks=callbacks, **how)


def check_shares(samples: int, batch_size: int, devices: int) -> None:
    """Refuse batches that the devices can't share evenly, since JAX can't share them either.

    Raises:
        ValueError: if there are such; the message says which.
    """
    if batch_size % devices:
        raise ValueError(f"batch_size must be a multiple of {devices}, the number of devices; got {batch_size}.")
    if left := samples % batch_size % devices:
        raise ValueError(
            f"The last batch of an epoch has {samples % batch_size} of {samples:,} samples, {left} more than "
            f"{devices} devices can share evenly; choose another batch_size than {batch_size}."
        )


# --- one process among several ------------------------------------------------------------------------------------


def work(options: argparse.Namespace, train: Callable[[], int]) -> int:
    """Do the work with the devices and the other processes that the options name.

    Returns:
        The exit status; with several processes there is no return, since JAX would wait for lost ones at the end.

    Raises:
        OSError: if the coordinator's port is taken, or its name not known.
    """
    if options.devices > 1:
        jax.config.update("jax_num_cpu_devices", options.devices)
    # A device that waits for others holds threads that all devices of a process share.  By default there are as many
    # as cores, and with all of them held, everybody waited for ever.
    os.environ.setdefault("PJRT_NPROC", str(8 * options.devices + (os.cpu_count() or 1)))
    if options.processes == 1:
        keep_quiet(0)
        return train()
    host, _, port = options.coordinator.rpartition(":")
    try:
        if options.process_id == 0:
            socket.create_server(("", int(port))).close()
        else:
            socket.getaddrinfo(host, port)
    except OSError as error:
        raise OSError(f"--coordinator {options.coordinator} can't be used: {error.strerror}.") from None
    if options.process_id > 0:
        options.plot = options.history = options.save = None  # of process 0, perhaps on the same disk
    keep_quiet(options.process_id)
    join(options)

    def work_with_the_others() -> int:
        try:
            return train()
        except jax.errors.JaxRuntimeError:  # gloo's: a connection was closed
            give_up(lost(options))

    try:
        status = run_command("keras_impl", work_with_the_others)
        if status == 0:
            jax.distributed.shutdown()
    except Exception:  # a bug of ours; the others must not wait
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def join(options: argparse.Namespace) -> None:
    """Wait for the other processes and become one of them; or give up."""
    missing = (
        f"not all {options.processes} processes met at {options.coordinator} within {START} seconds; start each with "
        "this --coordinator and a --process-id of its own, on hosts that reach this port of process 0"
    )
    # What is loaded here (TensorFlow, where it is installed) takes seconds, in which no sign of life could be given.
    keras.utils.set_random_seed(options.seed)
    alarm = threading.Timer(START, give_up, [missing])
    alarm.daemon = True
    alarm.start()
    on_abort(missing)
    # keras.distribution.initialize calls this too, but takes no timeout.
    jax.distributed.initialize(
        options.coordinator, options.processes, options.process_id, heartbeat_timeout_seconds=SILENCE
    )
    multihost_utils.sync_global_devices("all there")
    alarm.cancel()
    on_abort(lost(options))


def agree(options: argparse.Namespace, *data: Samples) -> None:
    """Compare what must be the same in all processes.

    Raises:
        ValueError: in every process, if it is not; the message says what, and where.
    """
    own = ("process_id", "data", "plot", "history", "save", "quiet")
    digest = hashlib.blake2b()
    for array in (array for samples in data for array in samples):
        digest.update(np.ascontiguousarray(array))
    described = {
        "options": {name: value for name, value in vars(options).items() if name not in own},
        "versions": (platform.python_version(), np.__version__, jax.__version__, keras.__version__),
        "digits": digest.hexdigest(),
    }
    for name, value in described.items():
        mine = np.frombuffer(hashlib.sha256(repr(value).encode()).digest(), np.uint8)
        everyones = multihost_utils.process_allgather(mine)
        for k in np.flatnonzero((everyones != everyones[0]).any(axis=1)):
            raise ValueError(f"Process {k} has other {name} than process 0; they must be the same on all hosts.")


def lost(options: argparse.Namespace) -> str:
    """What to say when another process is lost."""
    return (
        f"process {options.process_id} of {options.processes} stops, since another one has ended, or was not heard of "
        f"for {SILENCE} seconds; see what that one said, and start all of them again"
    )


def give_up(sentence: str) -> NoReturn:
    """End this process at once, from whatever thread."""
    print(f"python -m keras_impl: {sentence}.", file=sys.stderr, flush=True)
    os._exit(1)


def on_abort(sentence: str) -> None:
    """What JAX's abort() says from now on.

    It comes from a thread of JAX's, which Python's own signal handlers, run by the main thread, would come too late
    for, and which nothing in JAX lets us replace: its missed_heartbeat_callback can't be written in Python.
    """
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda signal: give_up(sentence))
    HANDLERS.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), handler)


HANDLERS: list[Any] = []  # they must outlive the call


def keep_quiet(process_id: int) -> None:
    """Let only Python write, and only process 0 to standard output; what C++ writes into both streams goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        stream.flush()
        kept = os.dup(nowhere if descriptor == 1 and process_id > 0 else descriptor)
        setattr(sys, name, os.fdopen(kept, "w", buffering=1, encoding=stream.encoding))
        os.dup2(nowhere, descriptor)
