"""Traces: every tensor of one forward and backward pass, and what a pass must not change."""

from collections.abc import Iterator

import numpy as np

from parity_tests.comparison import Comparison, compare, compare_traces, equal, same
from parity_tests.reference.cases import CASES, Case, bounded_trace, keras_trace

SMALL = Case((8, 5), ("relu", "softmax"), batch=57, separate=True)


def check_trace(backend: str, case: Case) -> list[Comparison]:
    """Each tensor agrees with Keras (dtype, and values within twice the bound) and with float64 (within the bound)."""
    model, reference, label = case.scratch_model(backend), bounded_trace(case), f"{case}: "
    trace = model.trace(case.x, case.y)
    rows = compare_traces(trace, keras_trace(case), reference, label=label)
    factor = 2 if case.dtype == "float64" else 1  # in float64 the reference rounds as much as the program
    for name, (value, bound) in reference.items():
        rows.append(compare(f"{label}{name} against float64", trace[name].astype(np.float64), value, factor * bound))
    loss, gradients = model.gradients(case.x, case.y)
    names = [f"{layer.name}/d{key}" for layer in model.layers for key in layer.params]
    rows += [same(f"{label}gradients(): {n}", g, trace[n]) for n, g in zip(names, gradients, strict=True)]
    return [*rows, equal(f"{label}gradients(): loss", loss, float(trace["loss"]))]


def check_traces(backend: str) -> Iterator[Comparison]:
    """``check_trace`` of every case."""
    for case in CASES:
        yield from check_trace(backend, case)


def check_state(backend: str) -> list[Comparison]:
    """A pass leaves its inputs, the weights and earlier traces as they are, and does not depend on earlier batches."""
    model, x, y = SMALL.scratch_model(backend), SMALL.x.copy(), SMALL.y.copy()
    weights = model.get_weights()
    first = model.trace(x, y)
    copies = {name: tensor.copy() for name, tensor in first.items()}
    smaller = model.trace(x[:3], y[:3])
    model.predict(x[:5], verbose=0)
    again = model.trace(x, y)
    rows = [same("x after a pass", x, SMALL.x), same("y after a pass", y, SMALL.y)]
    rows += [same(f"{name} of an earlier trace", first[name], copies[name]) for name in copies]
    rows += [same(f"{name} after other batches", again[name], copies[name]) for name in copies]
    rows += [same("weights after a pass", a, b) for a, b in zip(model.get_weights(), weights, strict=True)]
    model.forward(x)
    layer = model.layers[1]
    dout = np.ones_like(layer.out)
    layer.backward(dout)
    rows.append(same("dout after backward", dout, np.ones_like(dout)))
    return [*rows, equal("outputs of a smaller batch", smaller["dense_0/out"].shape, (3, 8))]
