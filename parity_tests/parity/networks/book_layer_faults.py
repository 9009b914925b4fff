"""Faults in the gradients of the layers of ``book_style``."""

from parity_tests.parity.foreign_faults import fault

DW = "np.dot(self.x.T, dout)"
DB = "np.sum(dout, axis=0)"
DX = "dx = np.dot(dout, W.T)"
MASK = "dx = dout * self.mask"
SIGMOID = "dout * self.out * (1 - self.out)"
TANH = "dout * (1 - self.out**2)"
BACKWARD = "            dout = layer.backward(dout)\n"
RETURN = "return list(self.grads.values())"
GRADS = '            self.grads[f"W{layer.number}"] = layer.dW\n            self.grads[f"b{layer.number}"] = layer.db\n'

LAYERS = [
    fault("relu_gradient_everywhere", MASK, "dx = dout", "slope_left_out"),
    fault("relu_gradient_at_zero", MASK, "dx = dout * (self.out >= 0)", "slope_left_out"),
    fault("relu_gradient_where_input_is_zero", "self.mask = x > 0", "self.mask = x >= 0", "relu_slope_at_zero"),
    fault("relu_mask_inverted", MASK, "dx = dout * ~self.mask", "relu_slope_inverted"),
    fault("relu_mask_of_gradient", MASK, "dx = dout * (dout > 0)", "relu_slope_of_gradient"),
    fault("relu_times_output", MASK, "dx = dout * self.out", "relu_slope_is_output"),
    fault("relu_slope_of_sigmoid", MASK, "dx = dout * self.out * (1 - self.out)", "slope_of_sigmoid"),
    fault("sigmoid_slope_of_tanh", SIGMOID, "dout * (1 - self.out**2)", "slope_of_tanh", hidden="Sigmoid"),
    fault(
        "weight_gradient_before_slope",
        BACKWARD,
        "            affine = hasattr(layer, 'number')\n"
        "            before = None if affine and layer.last else before if affine else dout\n"
        + BACKWARD
        + "            if affine and before is not None:\n"
        "                layer.dW = np.dot(layer.x.T, before)\n",
        "weight_gradient_before_slope",
    ),
    fault(
        "inputs_before_activation",
        "            x = layer.forward(x)\n",
        "            x = layer.forward(x)\n"
        "            if hasattr(layer, 'number'):\n"
        "                layer.x, z = layer.x if layer.number == 1 else z, x\n",
        "inputs_before_activation",
    ),
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
