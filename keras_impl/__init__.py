"""The same network in Keras: built, trained, taken apart tensor by tensor, with weights moved across either way.

Keras is imported when the first of these names is used, so that ``python -m keras_impl`` can choose its framework.
"""

from importlib import import_module
from typing import Any

HOMES = {
    "build_model": "keras_impl.model",
    "copy_weights": "keras_impl.convert",
    "gradients": "keras_impl.tracing",
    "to_keras": "keras_impl.convert",
    "to_scratch": "keras_impl.convert",
    "trace": "keras_impl.tracing",
}
__all__ = list(HOMES)


def missing(error: ModuleNotFoundError) -> str:
    """What is not installed, and how to mend it."""
    extra = "peers" if error.name in ("jax", "torch") else "keras"
    return f"{error.name} is not installed: python -m pip install -e '.[{extra}]'"


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"keras_impl has no {name!r}; it has {', '.join(HOMES)}.")
    try:
        return getattr(import_module(HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow", "jax", "torch"):
            raise
        raise ImportError(missing(error)) from None
