"""Faults in ``torch_style``."""

from parity_tests.parity.foreign_faults import Fault, fault
from parity_tests.parity.networks.update_faults import UPDATE, UPDATES

OUT = "out = x @ W + b"
DW = "dW = x.T @ dout"
DB = "db = dout.sum(dim=0)"
DX = "dx = dout @ W.T"
RELU = "out = x.clamp(min=0)"
MASK = "dout * (x > 0)"
SIGMOID = "dout * out * (1 - out)"
TANH = "dout * (1 - out**2)"
SOFTMAX = "    e = torch.exp(z - z.max(dim=1, keepdim=True).values)\n    return e / e.sum(dim=1, keepdim=True)"
LOG = "log_p = c - torch.log(torch.exp(c).sum(dim=1, keepdim=True))"
LOSS = "-(t * log_p).sum() / len(t)"
DZ = "dz = (y - t) / len(t)"
KEPT = "        y = softmax(z)\n        ctx.save_for_backward(y, t)\n"
STEP = "        self.zero_grad()\n        self.criterion(x, t).backward()\n        with"
ZERO = "        self.zero_grad()\n        self.criterion(x, t).backward()\n        return"
FROM_PROBABILITIES = (LOG, "log_p = torch.log(y)")
THROUGH_SOFTMAX = "g = {}\n        dz = y * (g - (g * y).sum(dim=1, keepdim=True)) / len(t)"
ONE_HOT = "torch.eye(t.shape[1], dtype=t.dtype)[t.argmax(dim=1)]"


def targets(expression: str) -> str:
    """Return the text of a loss that replaces its targets."""
    return f"        t = {expression}\n{KEPT}"


FORWARD = [
    fault("bias_not_added", OUT, "out = x @ W", "bias_missing"),
    fault("bias_added_twice", OUT, "out = x @ W + 2 * b", "bias_twice"),
    fault("bias_subtracted", OUT, "out = x @ W - b", "bias_subtracted"),
    fault("weights_transposed", OUT, "out = x @ W.T.reshape(W.shape) + b", "weights_transposed"),
    fault("half_precision_weights", OUT, "out = x @ W.half().to(W.dtype) + b", "half_precision_weights"),
    fault(
        "computed_in_float32", OUT, "out = (x.float() @ W.float()).to(x.dtype) + b", "float32 sums", dtypes=("float64",)
    ),
    fault("inputs_overwritten", OUT, OUT + "\n        x.mul_(0.5)", refused="modified by an inplace operation"),
    fault("activation_missing", RELU, "out = x.clone()", "activation_missing", more=[(MASK, "dout.clone()")]),
    fault("activation_missing_forward", RELU, "out = x.clone()", "activation_missing_forward_only"),
    fault(
        "leaky_relu",
        RELU,
        "out = torch.where(x > 0, x, 0.1 * x)",
        "leaky_relu",
        more=[(MASK, "dout * torch.where(x > 0, 1.0, 0.1).to(x.dtype)")],
    ),
    fault("leaky_relu_forward", RELU, "out = torch.where(x > 0, x, 0.01 * x)", "leaky_relu_forward_only"),
    fault("relu_is_absolute", RELU, "out = x.abs()", "relu_is_absolute", more=[(MASK, "dout * torch.sign(x)")]),
    fault("relu_limited", RELU, "out = x.clamp(0, 6)", "relu_limited", more=[(MASK, "dout * ((x > 0) & (x < 6))")]),
    fault("activation_in_last_layer", "if i < layers - 1:", "if True:", "activation_in_last_layer"),
    fault(
        "layers_swapped",
        "            x = Affine.apply(x, W, b)\n            if i < layers - 1:\n"
        "                x = self.activation.apply(x)\n",
        "            if i < layers - 1:\n                x = self.activation.apply(x)\n"
        "            x = Affine.apply(x, W, b)\n",
        "activation_before_affine",
    ),
    fault(
        "sigmoid_overflows",
        "out = torch.sigmoid(x)",
        "out = torch.exp(x) / (1 + torch.exp(x))",
        "sigmoid_overflows",
        hidden="Sigmoid",
    ),
    fault(
        "softmax_overflows",
        SOFTMAX,
        "    e = torch.exp(z)\n    return e / e.sum(dim=1, keepdim=True)",
        "softmax_overflows",
        more=[FROM_PROBABILITIES],
    ),
    fault(
        "softmax_over_samples",
        SOFTMAX,
        "    e = torch.exp(z - z.max(dim=0).values)\n    return e / e.sum(dim=0)",
        "softmax_over_samples",
        more=[FROM_PROBABILITIES],
    ),
    fault(
        "softmax_over_everything",
        SOFTMAX,
        "    e = torch.exp(z - z.max())\n    return e / e.sum()",
        "softmax_over_everything",
        more=[FROM_PROBABILITIES],
    ),
    fault(
        "softmax_maximum_of_batch",
        SOFTMAX,
        "    e = torch.exp(z - z.max())\n    return e / e.sum(dim=1, keepdim=True)",
        "softmax_maximum_of_batch",
        more=[FROM_PROBABILITIES],
    ),
    fault("softmax_missing", SOFTMAX, "    return z", "softmax_missing", more=[FROM_PROBABILITIES]),
    fault(
        "softmax_twice",
        "SoftmaxWithLoss.apply(self(self.tensor(x)), self.tensor(t))",
        "SoftmaxWithLoss.apply(torch.softmax(self(self.tensor(x)), 1), self.tensor(t))",
        "softmax_twice_in_loss",
    ),
]

LOSSES = [
    fault("loss_summed", LOSS, "-(t * log_p).sum()", "loss_summed"),
    fault("loss_mean_over_everything", LOSS, "-(t * log_p).mean()", "loss_divided_by_classes"),
    fault("loss_negated", LOSS, "(t * log_p).sum() / len(t)", "loss_negated"),
    fault("logarithm_shifted", LOG, "log_p = torch.log(y + 1e-7)", "logarithm_shifted"),
    fault("probabilities_clipped", LOG, "log_p = torch.log(y.clamp(1e-7, 1 - 1e-7))", "probabilities_clipped"),
    fault("logarithm_of_zero", LOG, "log_p = torch.log(y)", "logarithm_of_zero"),
    fault("argmax_of_soft_labels", KEPT, targets(ONE_HOT), "soft_labels_hardened"),
    fault(
        "argmax_of_soft_labels_in_loss", LOSS, f"-({ONE_HOT} * log_p).sum() / len(t)", "soft_labels_hardened_in_loss"
    ),
    fault("label_smoothing", KEPT, targets("0.9 * t + 0.1 / t.shape[1]"), "targets_smoothed"),
    fault(
        "smoothing_without_uniform_part",
        KEPT,
        targets("0.9 * t"),
        "targets_scaled",
        "targets_scaled_beside_probabilities",
    ),
    fault("labels_shifted", KEPT, targets("t.roll(1, dims=1)"), "labels_shifted_up"),
    fault(
        "l2_penalty",
        "return SoftmaxWithLoss.apply(self(self.tensor(x)), self.tensor(t))",
        "return SoftmaxWithLoss.apply(self(self.tensor(x)), self.tensor(t)) + 0.005 * sum((W**2).sum() for W in "
        "self.weights[::2])",
        "l2_penalty",
    ),
    fault("gradient_summed", DZ, "dz = y - t", "gradient_summed"),
    fault("gradient_divided_by_classes", DZ, "dz = (y - t) / y.numel()", "gradient_divided_by_classes"),
    fault("gradient_divided_twice", DZ, DZ + " / len(t)", "gradient_divided_twice"),
    fault("short_batch_averaged_wrongly", DZ, "dz = (y - t) / 32", "gradient_divided_by_constant"),
    fault("gradient_negated", DZ, "dz = (t - y) / len(t)", "gradient_negated"),
    fault("gradient_zero", DZ, "dz = torch.zeros_like(y)", "gradient_zero"),
    fault("softmax_differentiated_twice", DZ, "dz = y * (y - t) / len(t)", "softmax_differentiated_twice"),
    fault("softmax_jacobian_twice", DZ, THROUGH_SOFTMAX.format("y - t"), "softmax_jacobian_twice"),
    fault("softmax_not_differentiated", DZ, "dz = -t / y / len(t)", "softmax_not_differentiated"),
    fault("softmax_entry_by_entry", DZ, "dz = -t * (1 - y) / len(t)", "softmax_entry_by_entry"),
]

LAYERS = [
    fault("relu_gradient_everywhere", MASK, "dout.clone()", "slope_left_out"),
    fault("relu_gradient_where_input_is_zero", MASK, "dout * (x >= 0)", "relu_slope_at_zero"),
    fault("relu_gradient_at_zero", MASK, "dout * (out >= 0)", "slope_left_out"),
    fault("relu_mask_inverted", MASK, "dout * (x <= 0)", "relu_slope_inverted"),
    fault("relu_mask_of_gradient", MASK, "dout * (dout > 0)", "relu_slope_of_gradient"),
    fault("relu_times_output", MASK, "dout * out", "relu_slope_is_output"),
    fault("sigmoid_slope_of_input", SIGMOID, "dout * x * (1 - x)", "sigmoid_slope_of_input", hidden="Sigmoid"),
    fault("sigmoid_slope_incomplete", SIGMOID, "dout * out", "sigmoid_slope_incomplete", hidden="Sigmoid"),
    fault("tanh_slope_of_input", TANH, "dout * (1 - x**2)", "tanh_slope_of_input", hidden="Tanh"),
    fault("tanh_slope_not_squared", TANH, "dout * (1 - out)", "tanh_slope_not_squared", hidden="Tanh"),
    fault("weight_gradient_divided", DW, DW + " / len(x)", "weight_gradient_divided"),
    fault("weight_gradient_of_absolute_inputs", DW, "dW = x.abs().T @ dout", "weight_gradient_of_absolute_inputs"),
    fault("weight_gradient_transposed", DW, "dW = (dout.T @ x).reshape(W.shape)", "weight_gradient_transposed"),
    fault("bias_gradient_averaged", DB, "db = dout.mean(dim=0)", "bias_gradient_averaged"),
    fault("bias_gradient_one_number", DB, "db = dout.sum().expand(dout.shape[1])", "bias_gradient_one_number"),
    fault(
        "bias_gradient_over_units", DB, "db = dout.sum(dim=1).repeat(16)[: dout.shape[1]]", "bias_gradient_over_units"
    ),
    fault("bias_gradient_zero", DB, "db = torch.zeros_like(dout[0])", "bias_gradient_zero"),
    fault("kernel_reversed", DX, "dx = dout @ W.flip(0).T", "backward_weights_reversed"),
    fault("kernel_not_transposed", DX, "dx = dout @ W.T.reshape(W.shape).T", "backward_weights_not_transposed"),
    fault("gradient_not_sent_back", DX, "dx = torch.zeros_like(x)", "gradient_not_sent_back"),
    fault("gradient_sent_back_negated", DX, "dx = -dout @ W.T", "gradient_sent_back_negated"),
    fault("updated_before_backward", DX, "dx = dout @ (W - 0.01 * dW).T", "updated_before_backward_by_constant"),
    fault(
        "first_batch_kept",
        "ctx.save_for_backward(x, W)",
        "kept = Affine.kept.get(W.data_ptr(), x)\n"
        "        Affine.kept[W.data_ptr()] = kept if len(kept) == len(x) else x\n"
        "        ctx.save_for_backward(Affine.kept[W.data_ptr()], W)",
        "first_inputs_kept",
        more=[
            ("class Affine(Function):\n", "class Affine(Function):\n    kept = {}\n\n"),
            ("        self.velocities = {}", "        self.velocities = {}\n        Affine.kept.clear()"),
        ],
    ),
    Fault(
        "gradients_accumulated",
        (
            (ZERO, ZERO.replace("        self.zero_grad()\n", "")),
            (STEP, STEP.replace("        self.zero_grad()\n", "")),
        ),
        ("gradients_accumulated",),
    ),
]

STEPS = [
    *UPDATES,
    fault("updated_twice", UPDATE, "W += 2 * v", "updated_twice", "learning_rate_scaled"),
    fault("short_batch_dropped", STEP, "        if len(x) < 32:\n            return\n" + STEP, "short_batch_ignored"),
]

FAULTS = [*FORWARD, *LOSSES, *LAYERS, *STEPS]
