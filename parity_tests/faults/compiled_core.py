"""Faults in the kernels of the compiled core, which ``fit`` uses by default: lines of source that are replaced."""

from parity_tests.faults.catalogue import planted_in_kernel
from scratch.kernels import elementwise, gemm, passes, sparsity

planted_in_kernel(
    elementwise,
    """
    for c in range(1, len(logits)):
        largest = logits[c] if logits[c] > largest else largest
    """,
    "largest = logits.dtype.type(0)",
    name="fused_softmax_overflows",
    mistake="Softmax does not subtract the maximum of each row.",
)
planted_in_kernel(
    elementwise,
    "dz[c] = logits.dtype.type(cross_entropy_gradient(probabilities[c], t[c], t_sum)) / batch_size",
    "dz[c] = cross_entropy_gradient(probabilities[c], t[c], t_sum)",
    name="fused_gradient_not_divided",
    mistake="The gradient of the loss is not divided by the batch size.",
)
planted_in_kernel(
    elementwise,
    "x[i] = relu(x[i])",
    "x[i] = x[i] if x[i] > 0 else x[i] * x.dtype.type(0.01)",
    name="fused_leaky_relu",
    mistake="ReLU has a slope of 0.01 for negative inputs.",
)
planted_in_kernel(
    passes,
    "n = job.t.dtype.type(batch.n)",
    "n = job.t.dtype.type(job.x.shape[1])",
    name="short_batch_divided_by_full_size",
    mistake="The gradient of a last batch with fewer samples is divided by the size of a full batch.",
)
planted_in_kernel(
    passes,
    "activation_gradient(activation, dx[i - i0], out[i, j:end], dz_before[i, j:end])",
    "activation_gradient(activation, dx[i - i0], dx[i - i0], dz_before[i, j:end])",
    name="relu_mask_of_gradient",
    mistake="The derivative of an activation is computed from the gradient instead of the output.",
)
planted_in_kernel(
    passes,
    """
    if chunk == 0 and job.layers[layer, B_ADDRESS] != 0:
        apply_update(_bias(job, layer), column_sums(dz), learning_rate)
    """,
    "pass",
    name="bias_not_updated",
    mistake="Biases are not updated.",
)
planted_in_kernel(
    passes,
    "start, end = min(chunk * length, size), min((chunk + 1) * length, size)",
    "start, end = min(chunk * length, size), min((chunk + 1) * length + step, size)",
    name="shard_updated_twice",
    mistake="Two chunks overlap, and both update the weights that they share.",
)
planted_in_kernel(
    passes,
    "row = job.order[batch.first + i]",
    "row = batch.first + i",
    name="samples_not_shuffled",
    mistake="Samples are read in their original order, and their targets in the order of the epoch.",
)
planted_in_kernel(
    passes,
    "sample = batch.first + i",
    "sample = i",
    name="losses_of_first_batch",
    mistake="Losses, outputs and targets are those of the first batch in every batch.",
)
planted_in_kernel(
    gemm,
    "vectors = (panel.width + lanes - 1) // lanes",
    "vectors = max(1, panel.width // lanes)",
    name="last_columns_left_out",
    mistake="A product leaves out the last columns if their number is not a multiple of the vector width.",
)
planted_in_kernel(
    gemm,
    """
    for r in range(i, min(i + MR, len(out))):
        add(edge[(r - i) * ldc :][: panel.width], out[r, j : j + panel.width])
    """,
    """
    for r in range(i, min(i + MR, len(out) - 1)):
        add(edge[(r - i) * ldc :][: panel.width], out[r, j : j + panel.width])
    """,
    name="last_row_left_out",
    mistake="A product leaves out its last row.",
)
planted_in_kernel(
    sparsity,
    "found[k] |= row[k] != 0",
    "found[k] |= row[k] > 0",
    name="negative_terms_skipped",
    mistake="The sparse product skips negative numbers as if they were zero.",
)
planted_in_kernel(
    sparsity,
    "found[g] = (column[i] != 0) | (column[i + 1] != 0) | (column[i + 2] != 0) | (column[i + 3] != 0)",
    "found[g] = (column[i] != 0) | (column[i + 1] != 0) | (column[i + 2] != 0)",
    name="last_row_of_group_not_scanned",
    mistake="The sparse product does not look at the last of four rows.",
)
