"""One process among several that train together: connect, compare the settings, and end with one sentence on failure.

If another process is lost or never starts, JAX raises an error, calls ``abort()`` or waits for minutes.  Here each of
these ends the process within a minute, with a message that says what to do.
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

from scratch.article import Samples
from scratch.cli.terminal import run_command

START_TIMEOUT = 50  # seconds within which all processes must be started
HEARTBEAT_TIMEOUT = 30  # seconds without a heartbeat after which a process counts as lost
LOCAL_OPTIONS = ("process_id", "data", "plot", "history", "save", "quiet")  # may differ between processes


def run(options: argparse.Namespace, train: Callable[[], int]) -> int:
    """Call ``train`` with the devices and in the group of processes that the options describe.

    Args:
        options: ``devices``, ``processes``, ``process_id``, ``coordinator`` and those of the training.
        train: trains and returns an exit status.

    Returns:
        The exit status.  With several processes the function does not return: it ends the process.

    Raises:
        OSError: if the coordinator's port is in use, or its host name unknown.
    """
    if options.devices > 1:
        jax.config.update("jax_num_cpu_devices", options.devices)
    # A device that waits for others blocks threads of a pool that all devices of a process share.  The default size,
    # the number of cores, led to deadlocks.
    os.environ.setdefault("PJRT_NPROC", str(8 * options.devices + (os.cpu_count() or 1)))
    if options.processes == 1:
        silence_native_output(0)
        return train()
    _check_coordinator(options)
    if options.process_id > 0:
        options.plot = options.history = options.save = None  # process 0 writes these files, perhaps to the same disk
    silence_native_output(options.process_id)
    connect(options)
    return _run_connected(options, train)


def _check_coordinator(options: argparse.Namespace) -> None:
    host, _, port = options.coordinator.rpartition(":")
    try:
        if options.process_id == 0:
            socket.create_server(("", int(port))).close()
        else:
            socket.getaddrinfo(host, port)
    except OSError as error:
        raise OSError(f"--coordinator {options.coordinator} can't be used: {error.strerror}.") from None


def _run_connected(options: argparse.Namespace, train: Callable[[], int]) -> NoReturn:
    """Call ``train`` and end the process without JAX's own shutdown, which would wait for lost processes."""

    def train_or_stop() -> int:
        try:
            return train()
        except jax.errors.JaxRuntimeError:  # gloo has lost a connection
            stop(lost_message(options))

    try:
        status = run_command("keras_impl", train_or_stop)
        if status == 0:
            jax.distributed.shutdown()
    except Exception:  # a bug: the other processes must not wait for this one
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def connect(options: argparse.Namespace) -> None:
    """Wait until all processes are connected; end this process if they are not in time."""
    message = (
        f"not all {options.processes} processes connected to {options.coordinator} within {START_TIMEOUT} seconds; "
        "start each with the same --coordinator and its own --process-id, on hosts that reach this port of process 0"
    )
    # Imports the framework, which can take seconds in which no heartbeat could be sent.
    keras.utils.set_random_seed(options.seed)
    timer = threading.Timer(START_TIMEOUT, stop, [message])
    timer.daemon = True
    timer.start()
    stop_on_abort(message)
    # keras.distribution.initialize calls the same function, but without a timeout.
    jax.distributed.initialize(
        options.coordinator, options.processes, options.process_id, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT
    )
    multihost_utils.sync_global_devices("connected")
    timer.cancel()
    stop_on_abort(lost_message(options))


def check_same_settings(options: argparse.Namespace, *data: Samples) -> None:
    """Compare options, versions and samples with those of the other processes.

    Raises:
        ValueError: in every process, if they differ; the message says which differ, and in which process.
    """
    digest = hashlib.blake2b()
    for array in (array for samples in data for array in samples):
        digest.update(np.ascontiguousarray(array))
    settings = {
        "options": {name: value for name, value in vars(options).items() if name not in LOCAL_OPTIONS},
        "versions": (platform.python_version(), np.__version__, jax.__version__, keras.__version__),
        "digits": digest.hexdigest(),
    }
    for name, value in settings.items():
        checksum = np.frombuffer(hashlib.sha256(repr(value).encode()).digest(), np.uint8)
        checksums = multihost_utils.process_allgather(checksum)
        for k in np.flatnonzero((checksums != checksums[0]).any(axis=1)):
            raise ValueError(f"Process {k} has other {name} than process 0; they must be the same on all hosts.")


def lost_message(options: argparse.Namespace) -> str:
    """Return the message of a process that stops because another one is lost."""
    return (
        f"process {options.process_id} of {options.processes} stops, since another process has ended or sent no "
        f"heartbeat for {HEARTBEAT_TIMEOUT} seconds; see the message of that process, and start all processes again"
    )


def stop(message: str) -> NoReturn:
    """Print a message and end the process at once, from any thread."""
    print(f"python -m keras_impl: {message}.", file=sys.stderr, flush=True)
    os._exit(1)


def stop_on_abort(message: str) -> None:
    """Call ``stop`` with a message when JAX calls ``abort()``.

    JAX calls it in a thread of its own.  A signal handler of Python would be run by the main thread, too late, and
    JAX's ``missed_heartbeat_callback`` cannot be a Python function.
    """
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda signal: stop(message))
    _handlers.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), handler)


_handlers: list[Any] = []  # keeps the handlers alive for C


def silence_native_output(process_id: int) -> None:
    """Discard the output of C++ code, and outside process 0 also what Python writes to standard output."""
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        stream.flush()
        copy = os.dup(null if descriptor == 1 and process_id > 0 else descriptor)
        setattr(sys, name, os.fdopen(copy, "w", buffering=1, encoding=stream.encoding))
        os.dup2(null, descriptor)
