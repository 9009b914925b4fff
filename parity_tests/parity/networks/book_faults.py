"""Faults in ``book_style``."""

from parity_tests.parity.foreign_faults import Edit, fault

LOSS = "-np.sum(t * log_p) / len(t)"
LOG = "    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))\n"
EXP = "    e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)"
OUT = "out = np.dot(x, W) + b"
DW = "np.dot(self.x.T, dout)"
DB = "np.sum(dout, axis=0)"
DX = "dx = np.dot(dout, W.T)"
RELU = "self.out = np.where(self.mask, x, x.dtype.type(0))"
MASK = "dx = dout * self.mask"
DZ = "        dz = y - t\n        dz = dz / len(t)"
SIGMOID = "dout * self.out * (1 - self.out)"
TANH = "dout * (1 - self.out**2)"
STORE_LOSS = "self.z, self.y, self.t = z, softmax(z), t\n        return cross_entropy_error(z, t)"
UPDATE = "W += self.momentum * v - learning_rate * grad if self.nesterov else v"
VELOCITY = "v = self.momentum * self.velocities.get(key, 0) - learning_rate * grad"
DECAY = "W -= learning_rate * self.weight_decay * W"
STEP = "        self.gradients(x, t)\n        for key, W"
GRADS = '            self.grads[f"W{layer.number}"] = layer.dW\n            self.grads[f"b{layer.number}"] = layer.db\n'
RETURN = "return list(self.grads.values())"

MOMENTUM = {"momentum": 0.9}
NESTEROV = {"momentum": 0.9, "nesterov": True}
DECAYING = {"weight_decay": 0.1}
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


def softmax_is(body: str) -> Edit:
    """Return the edit that replaces the softmax of the outputs, and with it that of the gradient p - t."""
    return EXP, body


LOSS_FROM_PROBABILITIES = (LOG, "    log_p = np.log(softmax(z))\n")
UNSHIFTED = ("    z = z - z.max(axis=1, keepdims=True)\n    log_p", "    log_p")
FROM_LOGITS: Edit = (  # the loss takes the probabilities of the (mistaken) softmax
    "    z = z - z.max(axis=1, keepdims=True)\n" + LOG,
    "    log_p = np.log(softmax(z))\n",
)

FORWARD = [
    fault("bias_not_added", OUT, "out = np.dot(x, W)", "bias_missing"),
    fault("bias_added_twice", OUT, OUT + " + b", "bias_twice"),
    fault("bias_subtracted", OUT, "out = np.dot(x, W) - b", "bias_subtracted"),
    fault("weights_transposed", OUT, "out = np.dot(x, W.T.reshape(W.shape)) + b", "weights_transposed"),
    fault(
        "half_precision_weights",
        OUT,
        "out = np.dot(x, W.astype(np.float16).astype(W.dtype)) + b",
        "half_precision_weights",
    ),
    fault(
        "half_precision_sums",
        OUT,
        "out = np.zeros((len(x), W.shape[1]), np.float16)\n"
        "        for k in range(len(W)):\n"
        "            out = out + (x[:, k : k + 1] * W[k : k + 1]).astype(np.float16)\n"
        "        out = (out + b).astype(x.dtype)",
        "half_precision_sums",
    ),
    fault(
        "one_float32_accumulator",
        OUT,
        "out = np.zeros((len(x), W.shape[1]), np.float32)\n"
        "        for k in range(len(W)):\n"
        "            out += (x[:, k : k + 1] * W[k : k + 1]).astype(np.float32)\n"
        "        out = out.astype(x.dtype) + b",
        "float32 sums",
        dtypes=("float64",),
    ),
    fault("output_in_float64", OUT, "out = np.dot(x.astype(np.float64), W) + b", "float64 leaks"),
    fault("inputs_overwritten", OUT, OUT + "\n        x *= 0.5", "inputs modified"),
    fault(
        "inputs_divided",
        "x = self.converted(x)\n        for",
        "x = self.converted(x) / 255\n        for",
        "inputs_scaled",
    ),
    fault("activation_missing", RELU, "self.mask, self.out = np.ones_like(x), x", "activation_missing"),
    fault("activation_missing_forward", RELU, "self.out = x", "activation_missing_forward_only"),
    fault("leaky_relu_forward", RELU, "self.out = np.where(self.mask, x, 0.01 * x)", "leaky_relu_forward_only"),
    fault(
        "leaky_relu",
        RELU,
        "self.out = np.where(self.mask, x, 0.1 * x)",
        "leaky_relu",
        more=[(MASK, "dx = dout * np.where(self.mask, 1, dout.dtype.type(0.1))")],
    ),
    fault("relu_is_absolute", RELU, "self.mask, self.out = np.sign(x), np.abs(x)", "relu_is_absolute"),
    fault("relu_limited", RELU, "self.mask = (x > 0) & (x < 6)\n        self.out = np.clip(x, 0, 6)", "relu_limited"),
    fault(
        "activation_in_last_layer",
        "        return out\n\n    def backward(self, dout):\n        W =",
        "        return np.maximum(out, 0) if self.last else out\n\n    def backward(self, dout):\n        W =",
        "activation_before_softmax",
    ),
    fault(
        "sigmoid_overflows",
        "        e = np.exp(-np.abs(x))\n        self.out = np.where(x >= 0, 1, e) / (1 + e)",
        "        self.out = np.exp(x) / (1 + np.exp(x))",
        "sigmoid_overflows",
        hidden="Sigmoid",
    ),
    fault(
        "layers_swapped",
        "self.layers.append(globals()[hidden]())",
        "self.layers.insert(-1, globals()[hidden]())",
        "activation_before_affine",
    ),
]

SOFTMAX = [
    fault(
        "softmax_overflows",
        EXP,
        "    e = np.exp(z)\n    return e / e.sum(axis=1, keepdims=True)",
        "softmax_overflows",
        more=[FROM_LOGITS],
    ),
    fault(
        "softmax_overflows_outputs_only",
        EXP,
        "    e = np.exp(z)\n    return e / e.sum(axis=1, keepdims=True)",
        "softmax_overflows_outside_loss",
    ),
    fault(
        "softmax_maximum_of_batch",
        EXP,
        "    e = np.exp(z - z.max())\n    return e / e.sum(axis=1, keepdims=True)",
        "softmax_maximum_of_batch",
        more=[FROM_LOGITS],
    ),
    fault(
        "softmax_over_samples",
        EXP,
        "    e = np.exp(z - z.max(axis=0))\n    return e / e.sum(axis=0)",
        "softmax_over_samples",
        more=[FROM_LOGITS],
    ),
    fault(
        "softmax_over_everything",
        EXP,
        "    e = np.exp(z - z.max())\n    return e / e.sum()",
        "softmax_over_everything",
        more=[FROM_LOGITS],
    ),
    fault(
        "softmax_not_normalised",
        EXP,
        "    return np.exp(z - z.max(axis=1, keepdims=True))",
        "softmax_not_normalised",
        more=[FROM_LOGITS],
    ),
    fault(
        "softmax_twice_in_outputs",
        "return softmax(self.predict(x))",
        "return softmax(softmax(self.predict(x)))",
        "softmax_twice_in_outputs",
    ),
    fault(
        "softmax_twice",
        "        z = self.predict(x)\n        return self.last_layer",
        "        z = softmax(self.predict(x))\n        return self.last_layer",
        "softmax_twice_in_loss",
        "softmax_twice_in_loss_differentiated_once",
    ),
    fault("softmax_missing", EXP, "    return z", "softmax_missing", more=[FROM_LOGITS]),
    fault(
        "sigmoid_for_softmax",
        EXP,
        "    return 1 / (1 + np.exp(-z))",
        "sigmoid_instead_of_softmax",
        more=[FROM_LOGITS],
    ),
]

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
        "return self.last_layer.forward(z, self.converted(t)) + sum(0.005 * np.sum(a.weights() ** 2) for a in self.affines)",
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
        "return self.last_layer.forward(z, self.converted(t)) + sum(0.005 * np.sum(W**2) for k, W in self.params.items() if k[0] == 'W')",
        "l2_in_loss",
    ),
    fault("l2_in_gradient_only", "self.dW = " + DW, "self.dW = " + DW + " + 0.01 * W", "l2_in_gradient"),
    fault(
        "loss_trains",
        "        return self.last_layer.forward(z, self.converted(t))",
        "        value = self.last_layer.forward(z, self.converted(t))\n        self.params['b1'] -= 0.01\n        return value",
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

LAYERS = [
    fault("relu_gradient_everywhere", MASK, "dx = dout", "slope_left_out"),
    fault("relu_gradient_at_zero", MASK, "dx = dout * (self.out >= 0)", "slope_left_out"),
    fault("relu_gradient_where_input_is_zero", "self.mask = x > 0", "self.mask = x >= 0", "relu_slope_at_zero"),
    fault("relu_mask_inverted", MASK, "dx = dout * ~self.mask", "relu_slope_inverted"),
    fault("relu_mask_of_gradient", MASK, "dx = dout * (dout > 0)", "relu_slope_of_gradient"),
    fault("relu_times_output", MASK, "dx = dout * self.out", "relu_slope_is_output"),
    fault("relu_leaky_backward", MASK, "dx = np.where(self.mask, dout, 0.01 * dout)", "leaky_slope"),
    fault(
        "relu_half_at_zero",
        "self.mask = x > 0",
        "self.mask = np.heaviside(x, x.dtype.type(0.5))",
        "relu_slope_half_at_zero",
    ),
    fault(
        "sigmoid_slope_of_input", SIGMOID, "dout * self.x * (1 - self.x)", "sigmoid_slope_of_input", hidden="Sigmoid"
    ),
    fault("sigmoid_slope_incomplete", SIGMOID, "dout * self.out", "sigmoid_slope_incomplete", hidden="Sigmoid"),
    fault(
        "sigmoid_slope_without_output",
        SIGMOID,
        "dout * (1 - self.out)",
        "sigmoid_slope_without_output",
        hidden="Sigmoid",
    ),
    fault(
        "sigmoid_applied_twice",
        SIGMOID,
        "dout / (1 + np.exp(-self.out)) / (1 + np.exp(self.out))",
        "sigmoid_slope_applied_twice",
        hidden="Sigmoid",
    ),
    fault("sigmoid_not_differentiated", SIGMOID, "dout", "slope_left_out", hidden="Sigmoid"),
    fault("tanh_slope_not_squared", TANH, "dout * (1 - self.out)", "tanh_slope_not_squared", hidden="Tanh"),
    fault("tanh_slope_of_input", TANH, "dout * (1 - self.x**2)", "tanh_slope_of_input", hidden="Tanh"),
    fault("tanh_applied_twice", TANH, "dout * (1 - np.tanh(self.out) ** 2)", "tanh_slope_applied_twice", hidden="Tanh"),
    fault(
        "slope_of_other_layer",
        MASK,
        "dx = dout * np.resize(self.other.mask.T, dout.T.shape).T",
        "slope_of_other_layer",
        more=[
            (
                "        self.last_layer = SoftmaxWithLoss()",
                "        self.last_layer = SoftmaxWithLoss()\n"
                "        self.layers[1].other, self.layers[3].other = self.layers[3], self.layers[1]",
            )
        ],
    ),
    fault("weight_gradient_divided", DW, DW + " / len(dout)", "weight_gradient_divided"),
    fault("weight_gradient_summed", DW, DW + " * len(dout)", "weight_gradient_summed"),
    fault("weight_gradient_doubled", DW, "2 * " + DW, "weight_gradient_scaled"),
    fault("weight_gradient_negated", DW, "-" + DW, "weight_gradient_negated"),
    fault(
        "weight_gradient_of_absolute_inputs", DW, "np.dot(np.abs(self.x).T, dout)", "weight_gradient_of_absolute_inputs"
    ),
    fault("weight_gradient_transposed", DW, "np.dot(dout.T, self.x).reshape(W.shape)", "weight_gradient_transposed"),
    fault("weight_gradient_zero", DW, "np.zeros_like(W)", "weight_gradient_zero"),
    fault("bias_gradient_averaged", DB, "np.mean(dout, axis=0)", "bias_gradient_averaged"),
    fault("bias_gradient_summed", DB, "np.sum(dout, axis=0) * len(dout)", "bias_gradient_summed"),
    fault("bias_gradient_one_number", DB, "np.full(dout.shape[1], np.sum(dout))", "bias_gradient_one_number"),
    fault("bias_gradient_one_mean", DB, "np.full(dout.shape[1], np.mean(dout))", "bias_gradient_one_mean"),
    fault("bias_gradient_over_units", DB, "np.resize(np.sum(dout, axis=1), dout.shape[1])", "bias_gradient_over_units"),
    fault("bias_gradient_of_first_sample", DB, "dout[0]", "bias_gradient_of_first_sample"),
    fault("bias_gradient_of_last_sample", DB, "dout[-1]", "bias_gradient_of_last_sample"),
    fault("bias_gradient_zero", DB, "np.zeros_like(dout[0])", "bias_gradient_zero"),
    fault("bias_gradient_negated", DB, "-np.sum(dout, axis=0)", "bias_gradient_negated"),
    fault("kernel_not_transposed", DX, "dx = np.dot(dout, W.T.reshape(W.shape).T)", "backward_weights_not_transposed"),
    fault("kernel_reversed", DX, "dx = np.dot(dout, W[::-1].T)", "backward_weights_reversed"),
    fault("kernel_absolute", DX, "dx = np.dot(dout, np.abs(W).T)", "backward_weights_absolute"),
    fault("gradient_not_sent_back", DX, "dx = np.zeros_like(self.x)", "gradient_not_sent_back"),
    fault("gradient_sent_back_negated", DX, "dx = -np.dot(dout, W.T)", "gradient_sent_back_negated"),
    fault("gradient_sent_back_doubled", DX, "dx = 2 * np.dot(dout, W.T)", "gradient_sent_back_scaled"),
    fault("divided_in_every_layer", DX, "dx = np.dot(dout, W.T) / len(dout)", "gradient_divided_in_every_layer"),
    fault(
        "activation_of_last_layer_only",
        "            dout = layer.backward(dout)",
        "            dout = layer.backward(dout) if layer is not self.layers[1] else dout",
        "slope_left_out",
    ),
    fault(
        "first_layer_not_updated",
        GRADS,
        GRADS + "        self.grads['W1'], self.grads['b1'] = self.grads['W1'] * 0, self.grads['b1'] * 0\n",
        "gradients_zero",
    ),
    fault(
        "updated_before_backward_by_constant",
        DX,
        "dx = np.dot(dout, (W - 0.01 * self.dW).T)",
        "updated_before_backward_by_constant",
    ),
    fault(
        "first_batch_kept",
        "        self.x = x\n        W,",
        "        if not hasattr(self, 'x') or len(self.x) != len(x):\n            self.x = x\n        W,",
        "first_inputs_kept",
    ),
    fault(
        "gradients_accumulated",
        GRADS,
        '            for key, grad in (("W", layer.dW), ("b", layer.db)):\n'
        '                key = f"{key}{layer.number}"\n'
        "                self.grads[key] = self.grads.get(key, 0) + grad\n",
        "gradients_accumulated",
    ),
    fault(
        "gradients_clipped",
        RETURN,
        "self.grads = {k: np.clip(g, -0.05, 0.05) for k, g in self.grads.items()}\n        " + RETURN,
        "gradients_clipped",
    ),
]

STEPS = [
    fault("step_uphill", UPDATE, "W -= v", "update_negated"),
    fault("bias_not_updated", UPDATE, "W += v * (W.ndim == 2)", "bias_not_updated"),
    fault("kernel_not_updated", UPDATE, "W += v * (W.ndim == 1)", "kernel_not_updated"),
    fault("only_last_layer_updated", UPDATE, "W += v * (key[1] == '3')", "only_last_layer_updated"),
    fault("nothing_updated", UPDATE, "W = W + v", "nothing_updated"),
    fault("updated_twice", UPDATE, "W += v\n            W += v", "updated_twice"),
    fault("bias_updated_twice", UPDATE, "W += v * (3 - W.ndim)", "bias_updated_twice"),
    fault("learning_rate_ignored", VELOCITY, "v = -grad", "learning_rate_ignored"),
    fault("learning_rate_constant", VELOCITY, "v = -0.01 * grad", "learning_rate_constant"),
    fault("learning_rate_halved", VELOCITY, "v = -learning_rate / 2 * grad", "learning_rate_scaled"),
    fault(
        "learning_rate_of_first_step",
        VELOCITY,
        "self.rate = getattr(self, 'rate', learning_rate)\n            v = -self.rate * grad",
        "learning_rate_of_first_step",
    ),
    fault("momentum_added", VELOCITY, "v = 0.9 * self.velocities.get(key, 0) - learning_rate * grad", "momentum_added"),
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
    fault(
        "learning_rate_outside_velocity",
        VELOCITY,
        "v = 0.9 * self.velocities.get(key, 0) + grad",
        "torch_momentum_added",
        more=[(UPDATE, "W -= learning_rate * v")],
    ),
    fault("weights_decay", DECAY, "W -= learning_rate * 0.01 * W", "weights_decay"),
    fault("kernels_decay", DECAY, "W -= learning_rate * 0.01 * W * (W.ndim == 2)", "kernels_decay"),
    fault("updates_in_half_precision", UPDATE, "W[...] = (W + v).astype(np.float16)", "updates_in_half_precision"),
    fault(
        "updated_before_backward",
        DX,
        "W -= self.rate * self.dW\n        self.params[f'b{self.number}'] -= self.rate * self.db\n        dx = np.dot(dout, W.T)",
        "updated_before_backward",
        more=[
            (
                "    def step(self, x, t, learning_rate):\n        self.gradients(x, t)",
                "    def step(self, x, t, learning_rate):\n        Affine.rate = learning_rate\n        self.gradients(x, t)\n"
                "        Affine.rate = 0.0\n        return",
            ),
            ("class Affine:\n", "class Affine:\n    rate = 0.0\n\n"),
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
                "        Affine.rate = learning_rate\n        self.gradients(x, t)\n        Affine.rate = 0.0\n        for key, W",
            ),
            ("class Affine:\n", "class Affine:\n    rate = 0.0\n\n"),
        ],
        settings=MOMENTUM,
    ),
    fault("short_batch_dropped", STEP, "        if len(x) < 32:\n            return\n" + STEP, "short_batch_ignored"),
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
        "nesterov_looks_ahead_unasked",
        UPDATE,
        "W += self.momentum * v - learning_rate * grad",
        "nesterov_unasked",
        settings=MOMENTUM,
    ),
    fault(
        "velocity_forgotten",
        "self.velocities[key] = v",
        "pass",
        "velocity_forgotten",
        "momentum_missing",
        settings=MOMENTUM,
    ),
    fault("velocity_forgotten_nesterov", "self.velocities[key] = v", "pass", "velocity_forgotten", settings=NESTEROV),
    fault(
        "learning_rate_outside_declared_velocity",
        VELOCITY,
        "v = self.momentum * self.velocities.get(key, 0) + grad",
        "learning_rate_outside_velocity",
        settings=MOMENTUM,
        more=[(UPDATE, "W -= learning_rate * v")],
    ),
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
    fault(
        "weight_decay_coupled",
        DECAY,
        "grad = grad + self.weight_decay * W",
        "weight_decay_coupled",
        settings=DECAYING | MOMENTUM,
    ),
    fault("weight_decay_not_scaled", DECAY, "W -= self.weight_decay * W", "weight_decay_not_scaled", settings=DECAYING),
    fault("weight_decay_missing", DECAY, "pass", "weight_decay_missing", settings=DECAYING),
    fault(
        "weight_decay_of_kernels_only",
        DECAY,
        DECAY + " * (W.ndim == 2)",
        "weight_decay_of_kernels_only",
        settings=DECAYING,
    ),
]

FAULTS = [*FORWARD, *SOFTMAX, *LOSSES, *GRADIENTS, *LAYERS, *STEPS]
