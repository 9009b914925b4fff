"""``FrameMaker``: what the page shows of a training at one moment, in about half a megabyte.

Pictures are sent as bytes; the exact numbers of one tensor are asked for when a person looks at it.  Gradients and
activations are those of a fixed batch of training digits, the accuracy and the confusion matrix those of fixed test
digits, so that two frames differ by the weights alone.
"""

from typing import Any

import numpy as np

from scratch.lab.states import State, network_at, updated_params
from scratch.models import Sequential
from scratch.pixels import Pixels
from scratch.utils import Array

PROBE, TESTED = 100, 500  # digits
MAX_PICTURES = 512  # units of the first layer whose weights are shown
DECADES = (-8, 2)  # histograms: powers of ten of the magnitudes
BINS = 40

Frame = tuple[dict[str, Any], dict[str, Array]]


class FrameMaker:
    """Makes frames of the states of a training.

    Args:
        model: the model that is trained.
        train: its training samples and targets; the first are the probe.
        test: test samples and labels.
        image: height and width of a digit.
    """

    def __init__(
        self, model: Sequential, train: tuple[Pixels, Array], test: tuple[Pixels, Array], image: tuple[int, ...]
    ) -> None:
        self.model, self.image = model, image
        self.probe = np.asarray(train[0][:PROBE]), train[1][:PROBE]
        self.test = np.asarray(test[0][:TESTED]), test[1][:TESTED]
        self.first = next((layer.name for layer in model.layers if "W" in layer.params), None)

    def __call__(self, state: State, initial: State) -> Frame:
        """Return the fields and the arrays of a frame; the weights of ``initial`` are W₀."""
        network = network_at(self.model, state)
        fields: dict[str, Any] = {"parameters": [], "layers": []}
        arrays: dict[str, Array] = {}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            assert network.loss is not None
            trace = network.trace_batch(network.loss, *self.probe, training=False)
            self._add_layers(network, trace, fields, arrays)
            self._add_parameters(network, trace, fields, arrays)
            self._add_pictures(network, initial, fields, arrays)
            self._add_confusion(network, fields, arrays)
        return fields, arrays

    def _add_layers(self, network: Sequential, trace: dict[str, Array], fields: dict[str, Any], arrays: Any) -> None:
        """Add the histogram of each layer's outputs, and its units that are 0 for all digits of the probe."""
        for layer in network.layers:
            out = trace[f"{layer.name}/out"]
            is_dead = ~out.reshape(len(out), -1).any(axis=0)
            arrays[f"histogram/{layer.name}/out"] = histogram(out)
            entry = {"name": layer.name, "units": int(is_dead.size), "dead": None}
            if layer.activation == "relu":
                entry["dead"] = int(is_dead.sum())
                arrays[f"dead/{layer.name}"] = is_dead.astype(np.uint8)
            fields["layers"].append(entry)

    def _add_parameters(
        self, network: Sequential, trace: dict[str, Array], fields: dict[str, Any], arrays: Any
    ) -> None:
        """Add for each parameter the histograms of its gradient and of its update, relative to the parameter."""
        after, grads = updated_params(network, trace)
        for name, W in network.params.items():
            update = after[name] - W
            arrays[f"histogram/{name}/gradient"] = histogram(grads[name])
            arrays[f"histogram/{name}/ratio"] = histogram(update / W)
            norm, change = float(np.linalg.norm(W)), float(np.linalg.norm(update))
            entry = {"name": name, "norm": norm, "gradient": float(np.linalg.norm(grads[name]))}
            fields["parameters"].append(entry | {"ratio": change / norm if norm else None})

    def _add_pictures(self, network: Sequential, initial: State, fields: dict[str, Any], arrays: Any) -> None:
        """Add W and W - W₀ of the first layer, one picture for each unit, as bytes: 128 is 0, 1 and 255 are ∓scale."""
        layer = next((layer for layer in network.layers if layer.name == self.first), None)
        if layer is None or layer.params["W"].shape[0] != np.prod(self.image):
            return
        W0 = initial.params[network.layers.index(layer)]["W"]
        for name, W in (("W", layer.params["W"]), ("change", layer.params["W"] - W0)):
            shown = W[:, :MAX_PICTURES]
            scale = float(np.abs(shown).max())
            bytes_ = np.rint(shown * (127 / scale if scale else 0) + 128)
            pictures = np.nan_to_num(bytes_, nan=128).astype(np.uint8).T.reshape(-1, *self.image)
            arrays[name], fields[f"{name}_scale"] = pictures, scale

    def _add_confusion(self, network: Sequential, fields: dict[str, Any], arrays: Any) -> None:
        """Add how often each class (row) of the test digits is predicted as each class (column)."""
        samples, labels = self.test
        predicted = network.forward(samples).argmax(axis=1)
        matrix = np.zeros((max(int(labels.max()) + 1, network.layers[-1].out.shape[1]),) * 2, np.int32)
        np.add.at(matrix, (labels, predicted), 1)
        arrays["confusion"] = matrix
        fields["test"] = {"count": len(labels), "accuracy": float((predicted == labels).mean())}


def histogram(values: Array) -> Array:
    """Return how many values are zero or not finite, and the histogram of the magnitudes of the others (BINS + 1,).

    The bins are equally wide in the logarithm, from 10^DECADES[0] to 10^DECADES[1]; values beyond are in the last ones.
    """
    magnitudes = np.abs(values.ravel().astype(np.float32))
    counted = magnitudes[(magnitudes > 0) & np.isfinite(magnitudes)]
    low, high = DECADES
    positions = (np.log10(counted) - low) * (BINS / (high - low))
    counts = np.bincount(np.clip(positions, 0, BINS - 1).astype(np.int64), minlength=BINS)
    return np.concatenate([[len(magnitudes) - len(counted)], counts]).astype(np.int32)
