"""Faults in the forward pass of ``book_style``."""

from parity_tests.parity.foreign_faults import Edit, fault

EXP = "    e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)"
OUT = "out = np.dot(x, W) + b"
RELU = "self.out = np.where(self.mask, x, x.dtype.type(0))"
MASK = "dx = dout * self.mask"
FROM_LOGITS: Edit = (  # the loss takes the probabilities of the (mistaken) softmax
    "    z = z - z.max(axis=1, keepdims=True)\n    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))\n",
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
    fault(
        "inputs_standardised",
        "x = self.converted(x)\n        for",
        "x = self.converted(x)\n        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-8)\n        for",
        "inputs_standardised",
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
        "softmax_sum_over_samples",
        EXP,
        "    e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / e.sum(axis=0)",
        "softmax_sum_over_samples_outside_loss",
    ),
    fault(
        "softmax_sum_shifted",
        EXP,
        "    e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / (e.sum(axis=1, keepdims=True) + 1e-8)",
        "softmax_sum_shifted_outside_loss",
        dtypes=("float64",),  # 1e-8 is below the rounding error of float32
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
        "softmax_twice",
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
