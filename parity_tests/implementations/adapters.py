"""Find the adapter of a network by inspection: ``adapt`` returns a factory of fresh networks behind one interface."""

import copy
import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from parity_tests.implementations.calling import required_parameters
from parity_tests.implementations.construct import DEFAULT_SIZES, constructed, copies
from parity_tests.implementations.conventions import Conventions, Converted
from parity_tests.implementations.numpy_network import NumpyNetwork
from parity_tests.implementations.protocol import REQUIRED, CannotRunError, Implementation

Factory = Callable[[], Implementation]


def adapt(thing: Any, sizes: Sequence[int] | None = None, conventions: Conventions = Conventions()) -> Factory:  # noqa: B008 (frozen)
    """Return a factory of fresh networks that offer what ``Implementation`` describes.

    Args:
        thing: an instance, which is copied for each fresh network; a class, or a function that returns a network, which
            is called with the sizes; or a JAX function ``f(params, x)`` with params as a list of (W, b).  Known are
            networks that offer ``get_weights``, ``set_weights`` and ``outputs``; the style of the book "Deep Learning
            from Scratch" and others in NumPy (see ``slots`` and ``numpy_network``); models of scratch and Keras;
            ``torch.nn.Module``; scikit-learn's ``MLPClassifier``.
        sizes: inputs, units of each hidden layer, classes; for an instance those that it has.
        conventions: what the network does otherwise than Keras on purpose; the adapter undoes it.

    Raises:
        CannotRunError: if no adapter fits, or no network of these sizes can be constructed.
    """

    def wrap(network: Any) -> Implementation:
        return Converted(_adapter(network, sizes), conventions)

    if inspect.isclass(thing) and _comes_from(thing, "sklearn"):
        thing = thing()
    if inspect.isclass(thing):
        return constructed(thing, sizes, wrap)
    if isinstance(thing, ModuleType):
        raise CannotRunError(f"A network is expected; got the module {thing.__name__}: name a class or object in it.")
    if not _is_function(thing):
        return copies(thing, sizes, wrap, _duplicate)
    if required_parameters(thing) == 2:
        from parity_tests.implementations.jax_function import JaxFunction

        return lambda: Converted(JaxFunction(thing, sizes or DEFAULT_SIZES[0]), conventions)
    return constructed(thing, sizes, wrap)


def _is_function(thing: Any) -> bool:
    """Return whether a thing is a function, also one that JAX compiled."""
    return inspect.isroutine(thing) or (callable(thing) and hasattr(thing, "__wrapped__"))


def _duplicate(network: Any) -> Any:
    """Return a copy of a network."""
    if _comes_from(type(network), "keras"):
        from parity_tests.implementations.sequential import duplicate_keras_model

        return duplicate_keras_model(network)
    return copy.deepcopy(network)


def _comes_from(kind: type, package: str) -> bool:
    """Return whether a class is, or derives from, one of a package."""
    return any(base.__module__.split(".")[0] == package for base in kind.__mro__)


def _adapter(network: Any, sizes: Sequence[int] | None) -> Any:
    """Return a network behind the interface, in its own conventions; frameworks are imported only for their own."""
    kind = type(network)
    if _comes_from(kind, "keras"):  # on PyTorch, Keras's models are modules of torch, too
        from parity_tests.implementations.sequential import KerasModel

        return KerasModel(network)
    if _comes_from(kind, "scratch"):
        from parity_tests.implementations.sequential import SequentialModel

        return SequentialModel(network)
    if all(callable(getattr(network, name, None)) for name in REQUIRED):
        return network
    if _comes_from(kind, "torch"):
        from parity_tests.implementations.torch_module import TorchModule

        return TorchModule(network)
    if _comes_from(kind, "sklearn"):
        from parity_tests.implementations.scikit_learn import ScikitLearnNetwork

        return ScikitLearnNetwork(network, sizes)
    if network is None or isinstance(network, str | int | float | dict | list | tuple):
        raise CannotRunError(f"A network is expected, an object with weights and methods; got {network!r:.60}.")
    return NumpyNetwork(network)
