"""The checks, by name: the tests run each of them, the report prints a line for each, planted faults name one.

A check is a function that returns comparisons, or yields them.  To add one, write it in the module of its family and
enter it here.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from parity_tests.checks.accuracy import check_accuracy
from parity_tests.checks.batches import check_shuffling
from parity_tests.checks.dropout import check_dropout
from parity_tests.checks.epoch_reports import check_reports
from parity_tests.checks.files import check_files
from parity_tests.checks.functions import check_functions
from parity_tests.checks.gradients import check_gradients, check_numerical_gradient
from parity_tests.checks.initial_weights import check_initial_weights
from parity_tests.checks.labels import check_to_categorical
from parity_tests.checks.learning_rates import check_learning_rates
from parity_tests.checks.lock_step import check_layer_training, check_lock_step
from parity_tests.checks.loss_training import check_loss_training
from parity_tests.checks.losses import check_losses, check_saturated_softmax
from parity_tests.checks.metrics import check_metrics
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.checks.schedules import check_schedules
from parity_tests.checks.streams import check_streams
from parity_tests.checks.structure import check_structure
from parity_tests.checks.traces import check_layers, check_nested, check_state, check_traces
from parity_tests.checks.training import check_training
from parity_tests.checks.updates import check_adaptive_updates, check_updates
from parity_tests.checks.weighted_training import check_weighted_training
from parity_tests.comparison import Comparison
from scratch.ops import BACKENDS
from scratch.utils import clear_session, set_random_seed

SHARED = "shared"  # in place of a backend: the code is the same for all of them


class Check(NamedTuple):
    """A check and the code that it runs.

    Attributes:
        compare: returns or yields the comparisons; takes the backend, or networks if ``numerical``, or nothing if
            ``shared``.
        numerical: whether it takes the networks of any implementation (``checks.networks``).
        fused: whether ``backend="numba"`` runs it in the fused training step, instead of layer by layer.
        shared: whether the code does not depend on the backend.
    """

    compare: Callable[..., Iterable[Comparison]]
    numerical: bool = False
    fused: bool = False
    shared: bool = False

    @property
    def backends(self) -> tuple[str, ...]:
        """What ``run`` takes: each backend, or ``SHARED``."""
        return (SHARED,) if self.shared else tuple(BACKENDS)

    def code(self, backend: str) -> str:
        """Return which code a run on that backend exercises."""
        if self.shared:
            return "shared code"
        return "fused step" if self.fused and backend == "numba" else "layer by layer"


CHECKS = {
    "structure": Check(check_structure),
    "initial weights": Check(check_initial_weights),
    "trace": Check(check_traces, numerical=True),
    "accuracy": Check(check_accuracy, numerical=True),
    "state": Check(check_state, numerical=True),
    "layers": Check(check_layers),
    "nested models": Check(check_nested),
    "updates": Check(check_updates, shared=True),
    "dropout": Check(check_dropout),
    "adaptive updates": Check(check_adaptive_updates, shared=True),
    "saturated softmax": Check(check_saturated_softmax),
    "losses": Check(check_losses),
    "files": Check(check_files),
    "metrics": Check(check_metrics, shared=True),
    "functions": Check(check_functions, shared=True),
    "to_categorical": Check(check_to_categorical, shared=True),
    "shuffling": Check(check_shuffling),
    "epoch reports": Check(check_reports, fused=True),
    "losses in training": Check(check_loss_training, fused=True),
    "weighted training": Check(check_weighted_training),
    "streams": Check(check_streams, fused=True),
    "layers in training": Check(check_layer_training, numerical=True, fused=True),
    "lock-step": Check(check_lock_step, numerical=True, fused=True),
    "training": Check(check_training, fused=True),
    "learning rates": Check(check_learning_rates, fused=True),
    "schedules": Check(check_schedules, fused=True),
    "gradients": Check(check_gradients, numerical=True),
    "numerical gradient": Check(check_numerical_gradient, shared=True),
}


def run(name: str, backend: str) -> Iterator[Comparison]:
    """Yield the comparisons of a check as they are computed, with fresh automatic names and seed 0.

    Args:
        name: one of ``CHECKS``.
        backend: one of the check's ``backends``.
    """
    clear_session()
    set_random_seed(0)
    check = CHECKS[name]
    if check.shared:
        yield from check.compare()
    else:
        yield from check.compare(ScratchNetworks(backend) if check.numerical else backend)


def runs() -> list[tuple[str, str]]:
    """Return name and backend of every run: backend by backend, shared code last."""
    return [(name, b) for b in (*BACKENDS, SHARED) for name, check in CHECKS.items() if b in check.backends]
