"""Faults in the update rule, whose lines ``book_style`` and ``torch_style`` have in common."""

from parity_tests.parity.foreign_faults import fault

UPDATE = "W += self.momentum * v - learning_rate * grad if self.nesterov else v"
VELOCITY = "v = self.momentum * self.velocities.get(key, 0) - learning_rate * grad"
DECAY = "W -= learning_rate * self.weight_decay * W"
MOMENTUM = {"momentum": 0.9}
NESTEROV = {"momentum": 0.9, "nesterov": True}
DECAYING = {"weight_decay": 0.1}

UPDATES = [
    fault("step_uphill", UPDATE, "W -= v", "update_negated"),
    fault("bias_not_updated", UPDATE, "W += v * (W.ndim == 2)", "bias_not_updated"),
    fault("bias_updated_twice", UPDATE, "W += v * (3 - W.ndim)", "bias_updated_twice"),
    fault("learning_rate_constant", VELOCITY, "v = -0.01 * grad", "learning_rate_constant"),
    fault("momentum_added", VELOCITY, "v = 0.9 * self.velocities.get(key, 0) - learning_rate * grad", "momentum_added"),
    fault(
        "learning_rate_outside_velocity",
        VELOCITY,
        "v = 0.9 * self.velocities.get(key, 0) + grad",
        "torch_momentum_added",
        more=[(UPDATE, "W -= learning_rate * v")],
    ),
    fault("weights_decay", DECAY, "W -= learning_rate * 0.01 * W", "weights_decay"),
    fault(
        "momentum_negated",
        VELOCITY,
        "v = -self.momentum * self.velocities.get(key, 0) - learning_rate * grad",
        "momentum_negated",
        settings=MOMENTUM,
    ),
    fault(
        "momentum_dampened",
        VELOCITY,
        "v = self.momentum * self.velocities.get(key, 0) - (1 - self.momentum) * learning_rate * grad",
        "momentum_dampened",
        settings=MOMENTUM,
    ),
    fault("nesterov_ignored", UPDATE, "W += v", "nesterov_ignored", settings=NESTEROV),
    fault(
        "velocity_forgotten",
        "self.velocities[key] = v",
        "pass",
        "velocity_forgotten",
        "momentum_missing",
        settings=MOMENTUM,
    ),
    fault(
        "learning_rate_outside_declared_velocity",
        VELOCITY,
        "v = self.momentum * self.velocities.get(key, 0) + grad",
        "learning_rate_outside_velocity",
        settings=MOMENTUM,
        more=[(UPDATE, "W -= learning_rate * v")],
    ),
    fault(
        "weight_decay_coupled",
        DECAY,
        "grad = grad + self.weight_decay * W",
        "weight_decay_coupled",
        settings=DECAYING | MOMENTUM,
    ),
    fault("weight_decay_not_scaled", DECAY, "W -= self.weight_decay * W", "weight_decay_not_scaled", settings=DECAYING),
]
