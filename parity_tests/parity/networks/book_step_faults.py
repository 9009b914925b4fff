"""Faults in the training step of ``book_style``."""

from parity_tests.parity.foreign_faults import fault
from parity_tests.parity.networks.update_faults import DECAY, DECAYING, MOMENTUM, NESTEROV, UPDATE, UPDATES, VELOCITY

DX = "dx = np.dot(dout, W.T)"
STEP = "        self.gradients(x, t)\n        for key, W"


STEPS = [
    *UPDATES,
    fault("kernel_not_updated", UPDATE, "W += v * (W.ndim == 1)", "kernel_not_updated"),
    fault("only_last_layer_updated", UPDATE, "W += v * (key[1] == '3')", "only_last_layer_updated"),
    fault("nothing_updated", UPDATE, "W = W + v", "nothing_updated"),
    fault("updated_twice", UPDATE, "W += v\n            W += v", "updated_twice"),
    fault("learning_rate_ignored", VELOCITY, "v = -grad", "learning_rate_ignored"),
    fault("learning_rate_halved", VELOCITY, "v = -learning_rate / 2 * grad", "learning_rate_scaled"),
    fault(
        "learning_rate_of_first_step",
        VELOCITY,
        "self.rate = getattr(self, 'rate', learning_rate)\n            v = -self.rate * grad",
        "learning_rate_of_first_step",
    ),
    fault(
        "nesterov_added",
        VELOCITY,
        "v = 0.9 * self.velocities.get(key, 0) - learning_rate * grad",
        "nesterov_added",
        more=[(UPDATE, "W += 0.9 * v - learning_rate * grad")],
    ),
    fault(
        "dampened_momentum_added",
        VELOCITY,
        "v = 0.9 * self.velocities.get(key, 0) - 0.1 * learning_rate * grad",
        "dampened_momentum_added",
    ),
    fault("kernels_decay", DECAY, "W -= learning_rate * 0.01 * W * (W.ndim == 2)", "kernels_decay"),
    fault("updates_in_half_precision", UPDATE, "W[...] = (W + v).astype(np.float16)", "updates_in_half_precision"),
    fault(
        "updated_before_backward",
        DX,
        "W -= self.rate * self.dW\n        self.params[f'b{self.number}'] -= self.rate * self.db\n"
        "        dx = np.dot(dout, W.T)",
        "updated_before_backward",
        more=[
            (
                "    def step(self, x, t, learning_rate):\n        self.gradients(x, t)",
                "    def step(self, x, t, learning_rate):\n        Affine.rate = learning_rate\n"
                "        self.gradients(x, t)\n"
                "        Affine.rate = 0.0\n        return",
            ),
            ("class Affine:\n", "class Affine:\n    rate = 0.0\n"),
        ],
    ),
    fault(
        "updated_before_backward_declared",
        DX,
        "dx = np.dot(dout, (W - self.rate * self.dW).T)",
        "updated_before_backward",
        more=[
            (
                STEP,
                "        Affine.rate = learning_rate\n        self.gradients(x, t)\n        Affine.rate = 0.0\n"
                "        for key, W",
            ),
            ("class Affine:\n", "class Affine:\n    rate = 0.0\n"),
        ],
        settings=MOMENTUM,
    ),
    fault("short_batch_dropped", STEP, "        if len(x) < 32:\n            return\n" + STEP, "short_batch_ignored"),
    fault(
        "nesterov_looks_ahead_unasked",
        UPDATE,
        "W += self.momentum * v - learning_rate * grad",
        "nesterov_unasked",
        settings=MOMENTUM,
    ),
    fault("velocity_forgotten_nesterov", "self.velocities[key] = v", "pass", "velocity_forgotten", settings=NESTEROV),
    fault(
        "learning_rate_outside_nesterov_velocity",
        VELOCITY,
        "v = self.momentum * self.velocities.get(key, 0) + grad",
        "learning_rate_outside_velocity",
        settings=NESTEROV,
        more=[(UPDATE, "W -= learning_rate * (self.momentum * v + grad)")],
    ),
    fault(
        "declared_momentum_missing",
        VELOCITY,
        "v = -learning_rate * grad",
        "momentum_missing",
        "velocity_forgotten",
        settings=MOMENTUM,
    ),
    fault("weight_decay_missing", DECAY, "pass", "weight_decay_missing", settings=DECAYING),
    fault(
        "weight_decay_of_kernels_only",
        DECAY,
        DECAY + " * (W.ndim == 2)",
        "weight_decay_of_kernels_only",
        settings=DECAYING,
    ),
]
