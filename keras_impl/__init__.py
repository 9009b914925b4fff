"""The article's network in Keras, conversion of models between scratch and Keras, and a trace of a Keras model.

Keras is imported when one of these names is used first, so that ``python -m keras_impl`` can choose the framework that
Keras runs on.
"""

from importlib import import_module
from typing import Any

MODULES = {
    "build_model": "keras_impl.model",
    "copy_weights": "keras_impl.convert",
    "gradients": "keras_impl.tracing",
    "to_keras": "keras_impl.convert",
    "to_scratch": "keras_impl.convert",
    "trace": "keras_impl.tracing",
}
__all__ = list(MODULES)

INSTALL = {
    "keras": "'tensorflow>=2.18' 'keras>=3.12'",
    "tensorflow": "'tensorflow>=2.18' 'keras>=3.12'",
    "jax": "'jax>=0.8'",
    "torch": "'torch>=2.4'",
}


def missing(error: ModuleNotFoundError) -> str:
    """Return a sentence that names the missing package and the command that installs it."""
    name = str(error.name)
    return f"{name} is not installed. Install it with: python -m pip install {INSTALL.get(name, name)}"


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module 'keras_impl' has no attribute {name!r}; it has {', '.join(MODULES)}.")
    try:
        return getattr(import_module(MODULES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in INSTALL:
            raise
        raise ImportError(missing(error)) from None
