"""What a training step makes of a difference between two programs: the bound follows it, and is hardly wider."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import numpy as np
import pytest

from parity_tests.reference.adaptive import AdagradSettings
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import LAMBDA, Rounding, exact
from parity_tests.reference.layers import LAYERS, SETTINGS
from parity_tests.reference.losses import LOSSES
from parity_tests.reference.sgd import SGDSettings

ROUNDING, RULE = Rounding("float64"), LOSSES["MeanSquaredError"].outputs


@pytest.mark.parametrize("optimizer", [SGDSettings, AdagradSettings])
def test_a_difference_decays_like_the_weights(optimizer: type[SGDSettings | AdagradSettings]) -> None:
    """Weights of a unit that is never active only decay: so does their difference, and its bound is hardly wider."""
    W, d = np.full((3, 2), 0.5), np.full((3, 2), 1e-8)
    settings = optimizer(0.0625, weight_decay=0.125)
    weights = {"dense_0/W": exact(W)}
    network = BoundedNetwork([LayerSpec("dense_0", "Dense", "relu")], weights, ROUNDING, RULE, False, settings)
    x, t, after = -np.ones((4, 3)), np.zeros((4, 2)), []
    for moved in (W, W + d):
        network = network.with_weights({"dense_0/W": moved}, {"dense_0/W": LAMBDA * d})
        network.step(x, t)
        after.append(network.params["dense_0/W"].value)
    difference = after[1] - after[0]
    assert difference == pytest.approx(d * (1 - 1 / 128))
    ratio = difference / network.difference_after("dense_0/W", d)
    assert ((ratio > 0.999) & (ratio <= 1)).all()


def test_a_difference_of_moving_statistics_shrinks_by_their_momentum() -> None:
    """The same batch moves both programs' statistics: the share of the old ones remains of the difference."""
    units, rng = 3, np.random.default_rng(0)
    weights = {f"norm/{key}": W for key, W in LAYERS["BatchNormalization"].weights(rng, units).items()}
    spec = LayerSpec("norm", "BatchNormalization", "linear", SETTINGS["BatchNormalization"])
    params = {name: exact(W) for name, W in weights.items()}
    network, x, d = BoundedNetwork([spec], params, ROUNDING, RULE, False), rng.normal(size=(8, units)), 1e-8
    moving = [name for name in weights if "moving" in name]
    after = []
    for moved in (0, d):
        network = network.with_weights(
            {name: W + moved * (name in moving) for name, W in weights.items()},
            {name: np.full(units, LAMBDA * d * (name in moving)) for name in weights},
        )
        network.step(x, np.zeros((8, units)))
        after.append({name: network.params[name].value for name in moving})
    for name in moving:
        ratio = (after[1][name] - after[0][name]) / network.difference_after(name, np.full(units, d))
        assert ((ratio > 0.999) & (ratio <= 1)).all()
