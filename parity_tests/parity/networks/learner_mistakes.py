"""Thirty mistakes of learners, written without knowledge of the dictionary: each one changes a line of a right network.

``diagnosis/README.md`` says how many of them the dictionary named before it was extended.
"""

from parity_tests.parity.foreign_faults import Fault, fault

DZ2 = "dz2 = (y - t) / n"
DZ1 = "dz1 = dh * (self.z1 > 0)"
DW1 = "dW1 = x.T @ dz1"
DB1 = "db1 = dz1.sum(axis=0)"
LOSS = "return -np.sum(t * logp) / len(x)"
SOFTMAX = "    z = z - z.max(axis=1, keepdims=True)\n    e = np.exp(z)\n"
SUM = "e / e.sum(axis=1, keepdims=True)"
Z1 = 'self.z1 = x @ self.params["W1"] + self.params["b1"]'
KEPT = "self.grads[key] = grads[key]"
UPDATE = "self.v[key] = self.momentum * self.v[key] - lr * grads[key]"
L2 = "0.5e-3 * sum(np.sum(self.params[key] ** 2) for key in ('W1', 'W2'))"
BINARY = "return -np.sum(t * logp + (1 - t) * np.log(1 - np.exp(logp))) / len(x)"
SIGMOID = ("self.h = np.maximum(0, self.z1)", "self.h = 1 / (1 + np.exp(-self.z1))")
MOMENTUM = ("self.momentum = 0.0", "self.momentum = 0.9")
DECLARED = {"momentum": 0.9}
DZ1_3 = '        dz1 = dz2 @ p["W2"].T * (self.h1 > 0)\n'
W1_3 = '        p["W1"] -='

TWO_LAYERS = [
    fault("delta_not_divided", DZ2, "dz2 = y - t", "gradient_summed"),
    fault("gradients_clipped", KEPT, "self.grads[key] = np.clip(grads[key], -0.1, 0.1)", "gradients_clipped"),
    fault("loss_mean", LOSS, "return -np.mean(t * logp)", "loss_divided_by_classes"),
    fault("no_maximum", SOFTMAX, "    e = np.exp(z)\n", "softmax_overflows_outside_loss"),
    fault("one_maximum", SOFTMAX, "    e = np.exp(z - z.max())\n", "softmax_maximum_of_batch_outside_loss"),
    fault("softmax_axis", SUM, "e / e.sum(axis=0)", "softmax_sum_over_samples_outside_loss"),
    fault("softmax_epsilon", SUM, SUM.replace("e.", "(e.") + " + 1e-8)", "softmax_sum_shifted_outside_loss"),
    fault("db_one_number", DB1, "db1 = dz1.sum()", "bias_gradient_one_number"),
    fault("db_mean", "db2 = dz2.sum(axis=0)", "db2 = dz2.mean(axis=0)", "bias_gradient_averaged"),
    fault("relu_at_zero", DZ1, "dz1 = dh * (self.z1 >= 0)", "relu_slope_at_zero"),
    fault("relu_omitted", DZ1, "dz1 = dh", "slope_left_out"),
    fault("sigmoid_slope_for_relu", DZ1, "dz1 = dh * self.h * (1 - self.h)", "slope_of_sigmoid"),
    fault("dW_without_mask", DW1, "dW1 = x.T @ dh", "weight_gradient_before_slope"),
    fault("dW_of_z", "dW2 = self.h.T @ dz2", "dW2 = self.z1.T @ dz2", "inputs_before_activation"),
    fault("sigmoid_slope_after_softmax", DZ2, "dz2 = (y - t) * y * (1 - y) / n", "sigmoid_slope_after_softmax"),
    fault("delta_negated", DZ2, "dz2 = (t - y) / n", "gradient_negated"),
    fault("biases_not_updated", 'for key in ("W1", "b1", "W2", "b2"):', 'for key in ("W1", "W2"):', "bias_not_updated"),
    fault("gradients_accumulated", KEPT, "self.grads[key] = self.grads[key] + grads[key]", "gradients_accumulated"),
    fault("hidden_bias_missing", Z1, 'self.z1 = x @ self.params["W1"]', "bias_missing"),
    fault("relu_of_scores", "return z2", "return np.maximum(0, z2)", "activation_before_softmax"),
    fault("binary_cross_entropy", LOSS, BINARY, "binary_cross_entropy"),
    fault("common_logarithm", LOSS, LOSS + " / np.log(10)", "loss_scaled"),
    fault("l2_in_gradient", DW1, DW1 + ' + 1e-3 * self.params["W1"]', "l2_in_gradient"),
    fault("l2_in_loss", LOSS, f"{LOSS} + {L2}", "l2_in_loss"),
    fault("inputs_scaled_again", Z1, Z1.replace("x @", "x / 255 @"), "inputs_scaled"),
    fault(
        "inputs_standardised",
        Z1,
        Z1.replace("x @", "((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-8)) @"),
        "inputs_standardised",
    ),
    fault(
        "momentum_dampened",
        UPDATE,
        UPDATE.replace("lr *", "(1 - self.momentum) * lr *"),
        "momentum_dampened",
        more=[MOMENTUM],
        settings=DECLARED,
    ),
    fault(
        "sigmoid_applied_twice",
        DZ1,
        "s = 1 / (1 + np.exp(-self.h))\n        dz1 = dh * s * (1 - s)",
        "sigmoid_slope_applied_twice",
        more=[SIGMOID],
    ),
]
THREE_LAYERS = [
    Fault("updated_before_backward", ((DZ1_3, ""), (W1_3, DZ1_3 + W1_3)), ("updated_before_backward",)),
    fault(
        "relu_forgotten",
        'np.maximum(0, self.h1 @ p["W2"] + p["b2"])',
        'self.h1 @ p["W2"] + p["b2"]',
        "activation_missing_forward_only",
    ),
]
MISTAKES = {"learner_two_layers": TWO_LAYERS, "learner_three_layers": THREE_LAYERS}
