"""Construct networks of given sizes from a class or a function, by its signature."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from parity_tests.implementations.loading import users_line
from parity_tests.implementations.protocol import CannotRunError, Implementation

DEFAULT_SIZES = ((20, 16, 12, 5), (20, 16, 5))  # two hidden layers show more mistakes than one
Wrap = Callable[[Any], Implementation]


def sizes_of(network: Implementation) -> tuple[int, ...]:
    """Return inputs, and the units of each layer."""
    weights = network.get_weights()
    return (np.shape(weights[0])[0], *(np.shape(b)[0] for b in weights[1::2]))


def copies(
    network: Any, sizes: Sequence[int] | None, wrap: Wrap, duplicate: Callable[[Any], Any]
) -> Callable[[], Implementation]:
    """Return a factory of duplicates of a network, which must have these sizes."""
    found = sizes_of(wrap(duplicate(network)))
    if sizes is not None and tuple(sizes) != found:
        raise CannotRunError(f"sizes is {tuple(sizes)}, but the network has {found}; leave sizes out for an instance.")
    return lambda: wrap(duplicate(network))


def constructed(build: Callable[..., Any], sizes: Sequence[int] | None, wrap: Wrap) -> Callable[[], Implementation]:
    """Return a factory that calls a class, or a function that returns a network, with the arguments that work.

    Args:
        build: the class or function.
        sizes: inputs, units of each hidden layer, classes; ``DEFAULT_SIZES`` are tried if None.
        wrap: finds the adapter of a network.

    Raises:
        CannotRunError: if no call returns a network of these sizes; the message says which were tried.
    """
    tried = []
    for wanted in [tuple(sizes)] if sizes is not None else [*DEFAULT_SIZES, None]:
        for arguments in _arguments(build, wanted):
            call = f"{build.__name__}({', '.join(map(str, arguments))})"
            try:
                found = sizes_of(wrap(build(*arguments)))
            except CannotRunError:  # it is a network, but of no known style
                raise
            except (Exception, SystemExit) as error:  # whatever the user's constructor raises
                line = users_line(error)
                tried.append(f"{call} raised {type(error).__name__}: {error}" + (f", at {line}" if line else ""))
                continue
            if wanted in (None, found):
                return lambda chosen=arguments: wrap(build(*chosen))  # type: ignore[misc]
            tried.append(f"{call} has the sizes {found}")
    asked = f" of sizes {tuple(sizes)}" if sizes is not None else ""
    attempts = "; ".join(tried) or "no call fits its signature"
    raise CannotRunError(
        f"{build.__name__} cannot construct a network{asked} ({attempts}); pass an instance, or a function of sizes."
    )


def _arguments(build: Callable[..., Any], sizes: tuple[int, ...] | None) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments that fit the signature: the sizes as one list, one by one, or the hidden ones as a list."""
    signature = inspect.signature(build)
    attempts: list[tuple[Any, ...]] = [()]
    if sizes is not None:
        inputs, *hidden, classes = sizes
        attempts = [(list(sizes),), sizes, (inputs, hidden, classes), (inputs, classes, hidden), ()]
    for arguments in attempts:
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        yield arguments
