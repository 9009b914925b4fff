"""Traces: every tensor of one forward and backward pass, and what a pass must not change."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import keras
import numpy as np

import keras_impl
import scratch
from parity_tests.checks.networks import Networks, ScratchCase, tensors
from parity_tests.comparison import Comparison, compare, compare_traces, equal, labelled, same
from parity_tests.implementations.protocol import NotOffered
from parity_tests.reference.cases import CASES, Case, bounded_trace, keras_trace

INNER = "inner"
SMALL = Case((8, 5), ("relu", "softmax"), batch=57, separate=True)


def check_trace(networks: Networks, case: Case) -> list[Comparison]:
    """Each tensor that is offered agrees with Keras (dtype, and values within twice the bound) and with float64."""
    network, reference, label = networks.build(case), bounded_trace(case), f"{case}: "
    trace, expected = tensors(network, case), keras_trace(case)
    if not isinstance(network, ScratchCase):
        expected = {name: tensor for name, tensor in expected.items() if name in trace}
        trace = {name: trace[name] for name in expected}
    rows = compare_traces(trace, expected, reference, label=label)
    factor = 2 if case.dtype == "float64" else 1  # in float64 the reference rounds as much as the program
    for name in trace:
        value, bound = reference[name]
        rows.append(compare(f"{label}{name} against float64", trace[name].astype(np.float64), value, factor * bound))
    return rows


def check_traces(networks: Networks) -> Iterator[Comparison]:
    """``check_trace`` of every case that the implementation has a network for."""
    for case in CASES:
        with suppress(NotOffered):
            yield from check_trace(networks, case)


def check_state(networks: Networks) -> list[Comparison]:
    """A pass leaves its inputs, the weights and earlier results as they are, and does not depend on earlier batches."""
    network, x, y = networks.build(SMALL), SMALL.x.copy(), SMALL.y.copy()
    weights = [W.copy() for W in network.get_weights()]
    batch = replace(SMALL, batch=3)
    first = tensors(network, SMALL, x, y)
    copies = {name: tensor.copy() for name, tensor in first.items()}
    smaller = tensors(network, batch)
    again = tensors(network, SMALL, x, y)
    rows = [same("x after a pass", x, SMALL.x), same("y after a pass", y, SMALL.y)]
    rows += [same(f"{name} of an earlier pass", first[name], copies[name]) for name in copies]
    rows += [same(f"{name} after other batches", again[name], copies[name]) for name in copies]
    rows += [same("weights after a pass", a, b) for a, b in zip(network.get_weights(), weights, strict=True)]
    last = f"{SMALL.layer_specs()[-1].name}/out"
    rows.append(equal("outputs of a smaller batch", smaller[last].shape, (3, 5)))
    return labelled(str(SMALL), rows)


def nested_model(module: Any, first: int, end: int, **options: Any) -> Any:
    """Return the network of ``SMALL`` in scratch or Keras, with some of its layers in a model of their own."""
    layers = SMALL.layers(module.layers)
    inputs = module.layers.Input(SMALL.input_shape)
    inner = module.models.Sequential(layers[first:end], name=INNER, **options)
    model = module.models.Sequential([inputs, *layers[:first], inner, *layers[end:]], **options)
    model.set_weights(SMALL.data[2])
    model.compile("sgd", "categorical_crossentropy")
    return model


@lru_cache
def keras_nested_trace(first: int, end: int) -> dict[str, np.ndarray]:
    """Return Keras's trace of the nested model."""
    return keras_impl.trace(nested_model(keras, first, end), SMALL.x, SMALL.y)


def check_nested(backend: str) -> list[Comparison]:
    """A model that is the first or the last layer of another computes what its layers compute, and shares its weights.

    The weights are those of both Dense layers, or of the last one.
    """
    flat, specs, rows = bounded_trace(SMALL), SMALL.layer_specs(), []
    for first, end, label in ((0, -1, "nested model: "), (2, len(specs), "nested last layers: ")):
        inner_ends = {
            f"{INNER}/out": flat[f"{specs[end - 1].name}/out"],
            f"{INNER}/dx": flat[f"{specs[first].name}/dx"],
        }
        reference = {f"{INNER}/{name}": tensor for name, tensor in flat.items()} | flat | inner_ends
        model = nested_model(scratch, first, end, backend=backend)
        trace = model.trace(SMALL.x, SMALL.y)
        rows += compare_traces(trace, keras_nested_trace(first, end), reference, label=label)
        inner = model.get_layer(INNER)
        rows.append(equal(f"{label}class and name", (type(inner), inner.name), (scratch.Sequential, INNER)))
        model.train_on_batch(SMALL.x, SMALL.y)
        weights = model.get_weights()[-len(inner.get_weights()) :]
        rows += [same(f"{label}shared weights", a, b) for a, b in zip(inner.get_weights(), weights, strict=True)]
        outputs = SMALL.x
        for layer in model.layers:
            outputs = layer.predict(outputs, verbose=0) if layer is inner else layer(outputs)
        rows.append(same(f"{label}predictions", outputs, model.predict(SMALL.x, verbose=0)))
    return rows


def check_layers(backend: str) -> list[Comparison]:
    """The methods of scratch's model: gradients() is what trace() returns, and backward leaves dout as it is."""
    model, rows = SMALL.scratch_model(backend), []
    trace, (loss, gradients) = model.trace(SMALL.x, SMALL.y), model.gradients(SMALL.x, SMALL.y)
    names = [f"{layer.name}/d{key}" for layer in model.layers for key in layer.params]
    rows += [same(f"gradients(): {n}", g, trace[n]) for n, g in zip(names, gradients, strict=True)]
    rows.append(equal("gradients(): loss", loss, float(trace["loss"])))
    model.predict(SMALL.x[:5], verbose=0)
    again = model.trace(SMALL.x, SMALL.y)
    rows += [same(f"{name} after predict", again[name], trace[name]) for name in trace]
    model.forward(SMALL.x)
    layer = model.layers[1]
    dout = np.ones_like(layer.out)
    layer.backward(dout)
    rows.append(same("dout after backward", dout, np.ones_like(dout)))
    return labelled(str(SMALL), rows)
