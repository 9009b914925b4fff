"""Faults in configs, JSON and archives."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import models, utils
from scratch.optimizers import Optimizer
from scratch.saving import config, entries, weights

CHECK = "files"
write_settings, state_arrays, restore = entries.write_settings, Optimizer.state_arrays, weights.restore


@planted_fault(entries, "write_settings", caught_by=CHECK)
def penalty_not_written(settings: Mapping[str, Any], described: object, role: str) -> dict[str, Any]:
    """The regularizers of a layer are missing in its config."""
    written = write_settings(settings, described, role)
    return {key: None if key.endswith("regularizer") else value for key, value in written.items()}


@planted_fault(entries, "_read_setting", caught_by=CHECK)
def setting_of_an_entry_ignored(setting: Any, key: str, value: Any, label: str) -> Any:
    """Numbers that an entry of Keras's config has are read as 0.25."""
    return 0.25 if isinstance(value, float) else setting.read(value)


@planted_fault(Optimizer, "state_arrays", caught_by=CHECK, backends=("numpy", "numba"))
def state_of_the_optimizer_not_saved(self: Any, params: Any) -> list[Any]:
    """A file has zeros in place of the running means of the optimizer."""
    return [np.zeros_like(array) for array in state_arrays(self, params)]


@planted_fault(weights, "restore", caught_by=CHECK)
def steps_not_restored(model: Any, arrays: Any) -> None:
    """A loaded optimizer counts its steps from 0."""
    restore(model, arrays)
    model.optimizer.iterations = 0


@planted_fault(config, "write_compile_arguments", caught_by=CHECK)
def arguments_of_compile_lost(model: Any) -> dict[str, Any]:
    """The JSON of a model has no arguments of ``compile``."""
    return {}


@planted_fault(models, "from_description", caught_by=CHECK)
def inner_model_lost(description: Any, backend: str = "numba") -> Any:
    """A model within a described model is left out."""
    model = models.Sequential(name=description.name, backend=backend, dtype=description.dtype)
    for layer in description.layers:
        if not isinstance(layer, config.Description):
            model.add(layer)
    return model


@planted_fault(utils.Configured, "get_config", caught_by=CHECK)
def config_of_defaults(self: Any) -> dict[str, Any]:
    """The config of an object has the default arguments instead of its own."""
    parameters = inspect.signature(type(self)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
