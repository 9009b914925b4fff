"""The same network in Keras: built, trained, taken apart tensor by tensor, and given scratch's weights or giving them."""

try:
    import keras  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError(f"keras_impl needs Keras ({error}): python -m pip install -e '.[keras]'") from None

from keras_impl.convert import copy_weights, to_keras, to_scratch
from keras_impl.model import build_model
from keras_impl.tracing import gradients, trace

__all__ = ["build_model", "copy_weights", "gradients", "to_keras", "to_scratch", "trace"]
