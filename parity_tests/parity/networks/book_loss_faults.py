"""Faults in the loss of ``book_style`` and in its gradient."""

from parity_tests.parity.foreign_faults import fault

LOSS = "-np.sum(t * log_p) / len(t)"
LOG = "    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))\n"
DW = "np.dot(self.x.T, dout)"
DZ = "        dz = y - t\n        dz = dz / len(t)"
STORE_LOSS = "self.z, self.y, self.t = z, softmax(z), t\n        return cross_entropy_error(z, t)"
SOFTMAX_IN_LOSS = "self.z, self.y, self.t = z, softmax(z), t"


def log_of(expression: str, before: str = "") -> tuple[str, str]:
    """Return the old and new text of a loss that takes a logarithm of probabilities p."""
    return LOG, f"    p = softmax(z)\n{before}    log_p = {expression}\n"


def dz(expression: str) -> tuple[str, str]:
    """Return the old and new text of another gradient of the loss."""
    return DZ, f"        dz = {expression}"


def through_softmax(flowing: str) -> tuple[str, str]:
    """Return the old and new text of a gradient that passes ``flowing`` through the Jacobian of the softmax."""
    return DZ, f"        g = {flowing}\n        dz = y * (g - (g * y).sum(axis=1, keepdims=True)) / len(t)"


LOSSES = [
    fault("loss_summed", LOSS, "-np.sum(t * log_p)", "loss_summed"),
    fault("loss_mean_over_everything", LOSS, "-np.mean(t * log_p)", "loss_divided_by_classes"),
    fault("loss_divided_twice", LOSS, LOSS + " / len(t)", "loss_divided_twice"),
    fault("loss_of_first_sample", LOSS, "-np.sum(t[0] * log_p[0])", "loss_of_first_sample"),
    fault("loss_negated", LOSS, "np.sum(t * log_p) / len(t)", "loss_negated"),
    fault("loss_in_bits", LOSS, LOSS + " / np.log(x_type(2))".replace("x_type", "z.dtype.type"), "loss_scaled"),
    fault("logarithm_shifted", *log_of("np.log(p + 1e-7)"), "logarithm_shifted"),
    fault("logarithm_shifted_by_eps", *log_of("np.log(p + np.finfo(p.dtype).eps)"), "logarithm_shifted"),
    fault("probabilities_clipped", *log_of("np.log(np.clip(p, 1e-7, 1 - 1e-7))"), "probabilities_clipped"),
    fault(
        "probabilities_clipped_below",
        *log_of("np.log(np.maximum(p, 1e-12))"),
        "probabilities_clipped_below",
        "probabilities_clipped",
    ),
    fault("logarithm_of_zero", *log_of("np.log(p)"), "logarithm_of_zero"),
    fault(
        "logarithm_of_zero_at_label",
        *log_of("np.where(t > 0, np.log(p), 0)"),
        "logarithm_of_zero_at_label",
    ),
    fault(
        "binary_cross_entropy",
        *log_of("np.log(p)"),
        "binary_cross_entropy",
        more=[(LOSS, "-np.sum(t * log_p + (1 - t) * np.log(1 - p)) / len(t)")],
    ),
    fault(
        "squared_error",
        *log_of("p"),
        "loss_is_squared_error",
        more=[(LOSS, "np.sum((p - t) ** 2) / len(t) / 2"), through_softmax("y - t")],
    ),
    fault(
        "squared_error_shown",
        *log_of("p"),
        "loss_value_is_squared_error",
        more=[(LOSS, "np.sum((p - t) ** 2) / len(t) / 2")],
    ),
    fault(
        "argmax_of_soft_labels",
        STORE_LOSS,
        "t = np.eye(t.shape[1], dtype=t.dtype)[t.argmax(axis=1)]\n        " + STORE_LOSS,
        "soft_labels_hardened",
    ),
    fault(
        "argmax_of_soft_labels_in_loss",
        LOSS,
        "-log_p[np.arange(len(t)), t.argmax(axis=1)].mean()",
        "soft_labels_hardened_in_loss",
    ),
    fault(
        "argmax_of_soft_labels_in_gradient",
        *dz("(y - np.eye(t.shape[1], dtype=t.dtype)[t.argmax(axis=1)]) / len(t)"),
        "soft_labels_hardened_in_gradient",
    ),
    fault(
        "label_smoothing",
        SOFTMAX_IN_LOSS,
        "t = 0.9 * t + 0.1 / t.shape[1]\n        " + SOFTMAX_IN_LOSS,
        "targets_smoothed",
    ),
    fault(
        "smoothing_without_uniform_part",
        SOFTMAX_IN_LOSS,
        "t = 0.9 * t\n        " + SOFTMAX_IN_LOSS,
        "targets_scaled",
        "targets_scaled_beside_probabilities",
    ),
    fault(
        "labels_shifted", SOFTMAX_IN_LOSS, "t = np.roll(t, 1, axis=1)\n        " + SOFTMAX_IN_LOSS, "labels_shifted_up"
    ),
    fault(
        "labels_shifted_down",
        SOFTMAX_IN_LOSS,
        "t = np.roll(t, -1, axis=1)\n        " + SOFTMAX_IN_LOSS,
        "labels_shifted_down",
    ),
    fault(
        "l2_penalty",
        "return self.last_layer.forward(z, self.converted(t))",
        "return self.last_layer.forward(z, self.converted(t)) + sum(0.005 * np.sum(a.weights() ** 2) for a in "
        "self.affines)",
        "l2_penalty",
        more=[
            ("self.dW = " + DW, "self.dW = " + DW + " + 0.01 * W"),
            (
                "    def forward(self, x):\n        self.x = x\n        W,",
                '    def weights(self):\n        return self.params[f"W{self.number}"]\n\n'
                "    def forward(self, x):\n        self.x = x\n        W,",
            ),
        ],
    ),
    fault(
        "l2_in_loss_only",
        "return self.last_layer.forward(z, self.converted(t))",
        "return self.last_layer.forward(z, self.converted(t)) + sum(0.005 * np.sum(W**2) for k, W in "
        "self.params.items() if k[0] == 'W')",
        "l2_in_loss",
    ),
    fault("l2_in_gradient_only", "self.dW = " + DW, "self.dW = " + DW + " + 0.01 * W", "l2_in_gradient"),
    fault(
        "loss_trains",
        "        return self.last_layer.forward(z, self.converted(t))",
        "        value = self.last_layer.forward(z, self.converted(t))\n        self.params['b1'] -= 0.01\n"
        "        return value",
        "weights modified",
    ),
]

GRADIENTS = [
    fault("gradient_summed", *dz("y - t"), "gradient_summed"),
    fault("gradient_divided_by_classes", *dz("(y - t) / y.size"), "gradient_divided_by_classes"),
    fault("gradient_divided_by_classes_only", *dz("(y - t) / y.shape[1]"), "gradient_divided_by_classes_only"),
    fault("gradient_divided_twice", *dz("(y - t) / len(t) / len(t)"), "gradient_divided_twice"),
    fault("short_batch_averaged_wrongly", *dz("(y - t) / 32"), "gradient_divided_by_constant"),
    fault("gradient_doubled", *dz("2 * (y - t) / len(t)"), "gradient_scaled"),
    fault("gradient_negated", *dz("(t - y) / len(t)"), "gradient_negated"),
    fault("gradient_zero", *dz("0 * y"), "gradient_zero"),
    fault("targets_not_subtracted", *dz("y / len(t)"), "targets_not_subtracted"),
    fault("softmax_differentiated_twice", *dz("y * (y - t) / len(t)"), "softmax_differentiated_twice"),
    fault("sigmoid_slope_after_softmax", *dz("(y - t) * y * (1 - y) / len(t)"), "sigmoid_slope_after_softmax"),
    fault("softmax_jacobian_twice", *through_softmax("y - t"), "softmax_jacobian_twice"),
    fault("softmax_not_differentiated", *dz("-t / y / len(t)"), "softmax_not_differentiated"),
    fault("softmax_entry_by_entry", *dz("-t * (1 - y) / len(t)"), "softmax_entry_by_entry"),
    fault(
        "gradient_of_shifted_logarithm",
        *through_softmax("-t / (y + y.dtype.type(1e-7))"),
        "gradient_of_shifted_logarithm",
    ),
    fault(
        "gradient_of_clipped_probabilities",
        *through_softmax("np.where((y >= 1e-7) & (y <= 1 - 1e-7), -t / y, 0)"),
        "gradient_of_clipped_probabilities",
    ),
    fault(
        "gradient_of_first_sample",
        *dz("(y - t) * (np.arange(len(t)) == 0)[:, None] / len(t)"),
        "gradient_of_first_sample",
    ),
    fault(
        "last_sample_dropped",
        *dz("(y - t) * (np.arange(len(t)) < len(t) - 1)[:, None] / len(t)"),
        "gradient_without_last_sample",
    ),
]
