"""Optimizers (最適化手法): rules by which a gradient changes the parameters, one module for each."""

from scratch.checks import check_name
from scratch.optimizers import schedules
from scratch.optimizers.adagrad import Adagrad
from scratch.optimizers.adam import Adam
from scratch.optimizers.optimizer import Optimizer
from scratch.optimizers.rmsprop import RMSprop
from scratch.optimizers.sgd import SGD

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "Optimizer", "RMSprop", "get", "schedules"]

CLASSES: tuple[type[SGD] | type[Adam] | type[RMSprop] | type[Adagrad], ...] = (SGD, Adam, RMSprop, Adagrad)
OPTIMIZERS = {cls.__name__.lower(): cls for cls in CLASSES}


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return a new optimizer with that name, in any case as in Keras; an instance is returned unchanged.

    Raises:
        ValueError: if the name is unknown; the message lists the known names.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    name = optimizer.lower() if isinstance(optimizer, str) else optimizer
    return OPTIMIZERS[check_name("optimizer", name, OPTIMIZERS)]()
