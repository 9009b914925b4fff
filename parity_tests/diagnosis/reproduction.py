"""A program of at most ten lines that shows one finding, for a user to paste: their number, and Keras's."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from parity_tests.diagnosis.findings import SIDE_EFFECTS, Finding
from parity_tests.diagnosis.judge import Architecture, keras_trace
from parity_tests.diagnosis.observe import gradients_from_backward as gradients_from_backward  # for the programs
from parity_tests.diagnosis.situations import Array, Situation, situations
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.loading import LOADED
from parity_tests.reference.sgd import SGDSettings

NO_NUMBERS = {*SIDE_EFFECTS} - {"float32 sums"}  # findings that are no differences
DTYPES = {"float64 leaks": "float32", "float32 sums": "float64"}  # of the batch; otherwise the network's own
CALLS = {  # of the others: network.method(at.x, at.t)
    "outputs": "network.outputs(at.x)",
    "step": "network.step(at.x, at.t, 1.0)",
    "backward": "gradients_from_backward(network, at.x, at.t)",
}


class Source(NamedTuple):
    """How a program gets at the network: lines that import what is needed, and an expression for a factory."""

    imports: tuple[str, ...]
    factory: str


def source_of(implementation: Any, sizes: Sequence[int], conventions: Conventions | None = None) -> Source:
    """Return how to get at a class or function under test; that of a notebook is in the notebook's own namespace.

    Args:
        implementation: what was tested; of an object, the program names a variable ``network``.
        sizes: inputs, hidden units, classes.
        conventions: what was given to ``adapt``, if it is not the default.
    """
    imports = ["from parity_tests.implementations.adapters import adapt"]
    name = str(getattr(implementation, "__qualname__", "network"))
    module = str(getattr(implementation, "__module__", "__main__")) if name != "network" else "__main__"
    if module.startswith(LOADED):
        imports.append("from parity_tests.implementations.loading import load")
        name = f"load({_quoted(f'{sys.modules[module].__file__}:{name}')})"
    elif module != "__main__":
        imports.append(f"from {module} import {name.partition('.')[0]}")
    arguments = f"{name}, {tuple(sizes)}"
    if changed := conventions and _changes(vars(conventions), vars(Conventions())):
        imports.append("from parity_tests.implementations.conventions import Conventions")
        arguments += f", Conventions({changed})"
    return Source(tuple(imports), f"adapt({arguments})")


def reproduction(finding: Finding, architecture: Architecture, source: Source | None, seed: int) -> str:
    """Return the program, or "" if the finding is not tied to a situation, or the source is not known.

    Args:
        finding: what the program shows.
        architecture: that of the network.
        source: how to get at the network.
        seed: seed of weights and batches.
    """
    if source is None or not finding.scene:
        return ""
    lines_of = _training if finding.stage == "steps" else _batch
    imports, lines = lines_of(finding, architecture, source.factory, seed)
    return "\n".join([*sorted({*source.imports, *imports}), *lines])


def keras_tensors(situation: Situation, activations: Sequence[str]) -> dict[str, Array]:
    """Return Keras's tensors in a situation, in the dtype of its arrays."""
    dtype, sizes = str(situation.x.dtype), (situation.x.shape[1], *map(len, situation.weights[1::2]))
    return keras_trace(Architecture(sizes, tuple(activations), dtype), situation)


def _batch(finding: Finding, architecture: Architecture, factory: str, seed: int) -> tuple[list[str], list[str]]:
    """Return the imports and the lines that call one method in the situation of the finding."""
    cases = situations(architecture.sizes, seed)
    number = [situation.name for situation in cases].index(finding.scene)
    dtype = DTYPES.get(finding.name, architecture.dtype)
    needed = ["gradients_from_backward"] if finding.method == "backward" else []
    lines = [f'at = situations({architecture.sizes}, seed={seed})[{number}].astype("{dtype}")  # {finding.scene}']
    if finding.name not in NO_NUMBERS:
        needed.append("keras_tensors")
        expected = f'keras_tensors(at, {_quoted(architecture.activations)})["{finding.tensor}"]'
        lines.append(_print("Keras:", expected, finding))
    imports = ["from parity_tests.diagnosis.situations import situations"]
    imports += [f"from parity_tests.diagnosis.reproduction import {', '.join(needed)}"] if needed else []
    call = CALLS.get(finding.method, f"network.{finding.method}(at.x, at.t)")
    lines += [f"network = {factory}()", "network.set_weights(at.weights)"]
    if cases[number].earlier:
        earlier = call.replace("at.x, at.t", "*at.earlier[0]").replace("at.x", "at.earlier[0][0]")
        lines[-1] += f"; {earlier}; network.set_weights(at.weights)"
    return imports, [*lines, *_observation(finding, call)]


def _observation(finding: Finding, call: str) -> list[str]:
    """Return the lines that call the method and print what it does."""
    if finding.name == "inputs modified":
        argument = f"at.{finding.tensor}"
        return [f"before = {argument}.copy()", call, f'print("unchanged:", ({argument} == before).all())']
    if finding.name == "weights modified":
        unchanged = "all((a == b).all() for a, b in zip(before, network.get_weights()))"
        return ["before = network.get_weights()", call, f'print("unchanged:", {unchanged})']
    if finding.name == "exception":
        return [call]
    if finding.name == "random results":
        result = f"{call}; return str(network.get_weights())" if finding.method == "step" else f"return str({call})"
        once = f"def once(): network.set_weights(at.weights); {result}"
        return [once, 'print("the same twice:", once() == once())']
    layer, _, key = finding.tensor.partition("_")[2].partition("/d")
    i = f"[{2 * int(layer) + (key == 'b')}]" if key else ""
    if finding.method == "step":
        return [f"{call}; " + _print("yours:", f"(at.weights{i} - network.get_weights(){i})", finding)]
    part = {"gradients": i, "backward": i, "trace": f'["{finding.tensor}"]'}.get(finding.method, "")
    return [_print("yours:", call + part, finding)]


def _training(finding: Finding, architecture: Architecture, factory: str, seed: int) -> tuple[list[str], list[str]]:
    """Return the imports and the lines that train up to the step of the finding."""
    changed = _changes(architecture.settings._asdict())
    step, parameter = finding.tensor.removeprefix("step ").split(": ")
    i, dtype = architecture.parameters.index(parameter), architecture.dtype
    imports = ["from parity_tests.diagnosis.judge import Architecture, keras_steps"]
    imports += ["from parity_tests.diagnosis.observe import observe_steps"]
    imports += ["from parity_tests.reference.sgd import SGDSettings"] if changed else []
    settings = f", SGDSettings({changed})" if changed else ""
    shape = f'{architecture.sizes}, {_quoted(architecture.activations)}, "{dtype}"'
    return imports, [
        f'steps = observe_steps({factory}, {architecture.sizes}, "{dtype}", {seed})[:{step}]',
        f"architecture = Architecture({shape}{settings})",
        _print("Keras:", f"keras_steps(architecture, steps)[-1][{i}]", finding),
        _print("yours:", f"steps[-1].after[{i}]", finding),
    ]


def _print(label: str, array: str, finding: Finding) -> str:
    """Return a line that prints the deciding entry of an array, or its dtype or shape if that is what differs."""
    if finding.name == "float64 leaks":
        return f'print("expected: float32; yours:", {array}.dtype)'
    if finding.index is None:
        return f'print("{label}", {array}.shape)'
    entry = ", ".join(map(str, finding.index))
    return f'print("{label}", {array}{f"[{entry}]" if entry else ""})'


def _quoted(value: object) -> str:
    """Return the representation of a value with double quotes."""
    return repr(value).replace("'", '"')


def _changes(values: Mapping[str, Any], default: Mapping[str, Any] = SGDSettings()._asdict()) -> str:
    """Return keyword arguments for the values that are not the default."""
    return ", ".join(f"{name}={_quoted(value)}" for name, value in values.items() if value != default[name])
