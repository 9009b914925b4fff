"""Planted faults: mistakes that the suite must catch, one module for each part of the network."""

from parity_tests.faults import (  # noqa: F401  (each module enters its faults into the catalogue)
    activations,
    epochs,
    evaluation,
    initialization,
    layers,
    losses,
    optimizer,
)
from parity_tests.faults.catalogue import FAULTS, PlantedFault

__all__ = ["FAULTS", "PlantedFault"]
