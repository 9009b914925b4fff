"""Planted faults: mistakes that the suite must catch, one module for each part of the network."""

from parity_tests.faults import (  # noqa: F401  (each module enters its faults into the catalogue)
    activations,
    adaptive,
    compiled_core,
    epochs,
    evaluation,
    execution,
    files,
    functions,
    initialization,
    layers,
    learning_rates,
    losses,
    optimizer,
    regularization,
    schedules,
    streams,
)
from parity_tests.faults.catalogue import FAULTS, KernelFault, PlantedFault

__all__ = ["FAULTS", "KernelFault", "PlantedFault"]
