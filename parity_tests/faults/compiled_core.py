"""Faults in the kernels of the compiled core, which ``fit`` uses by default: lines of source that are replaced."""

from parity_tests.faults.catalogue import planted_in_kernel
from scratch.kernels import elementwise, gemm, masks, micro_kernel, passes, sparsity, updates

planted_in_kernel(
    elementwise,
    """
    for c in range(1, logits.shape[1]):
        largest = logits[i, c] if logits[i, c] > largest else largest
    """,
    "largest = logits.dtype.type(0)",
    name="fused_softmax_overflows",
    mistake="Softmax does not subtract the maximum of each row.",
)
planted_in_kernel(
    elementwise,
    "dz[i, c] = logits.dtype.type(cross_entropy_gradient(probabilities[s, c], t[s, c], t_sum)) / batch_size",
    "dz[i, c] = cross_entropy_gradient(probabilities[s, c], t[s, c], t_sum)",
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
    gemm,
    "sums[j] += a * get(B, start + j)",
    "sums[j] = a * get(B, start + j)",
    name="one_row_not_summed",
    mistake="The product of a single row with W has only the last term of each block.",
)
planted_in_kernel(
    passes,
    "_loss(job.state.activations, job.t, job.losses, job.probabilities, layer, batch, tile)",
    """
    full = Batch(first, batch_size, batch.step)
    _loss(job.state.activations, job.t, job.losses, job.probabilities, layer, full, tile)
    """,
    name="short_batch_divided_by_full_size",
    mistake="The gradient of a last batch with fewer samples is divided by the size of a full batch.",
)
planted_in_kernel(
    passes,
    "activation_gradient(before.activation, dx, out)",
    "activation_gradient(before.activation, dx, dx)",
    name="relu_mask_of_gradient",
    mistake="The derivative of an activation is computed from the gradient instead of the output.",
)
planted_in_kernel(
    passes,
    """
    if chunk == 0 and layer.b >= 0:
        sum_columns(dz, space.sums, space.numbers)
        use_bias_gradient(rule, batch.step, state, layer, space)
    """,
    "pass",
    name="bias_not_updated",
    mistake="Biases are not updated.",
)
planted_in_kernel(
    passes,
    "return min(chunk * length, size), min((chunk + 1) * length, size)",
    "return min(chunk * length, size), min((chunk + 1) * length + step, size)",
    name="shard_updated_twice",
    mistake="Two chunks overlap, and both update the weights that they share.",
)
planted_in_kernel(
    passes,
    "source, destination = order[batch.first + i] * D + k0, place + i * D + k0",
    "source, destination = (batch.first + i) * D + k0, place + i * D + k0",
    name="samples_not_shuffled",
    mistake="Samples are read in their original order, and their targets in the order of the epoch.",
)
planted_in_kernel(
    passes,
    "b = Bias(state.parameters, np.int64(-1) if number else layer.b)",
    "b = Bias(state.parameters, layer.b)",
    name="bias_in_both_sums",
    mistake="The bias is added to both sums of a layer with many inputs.",
)
planted_in_kernel(
    passes,
    "add_sums(second, i1 - i0, C)",
    "add_sums(second, (i1 - i0) // 2, C)",
    name="second_sums_of_half_the_rows",
    mistake="The second sum is added for the first half of a chunk's samples only.",
)
planted_in_kernel(
    passes,
    "sample = batch.first + i",
    "sample = i",
    name="losses_of_first_batch",
    mistake="Losses, outputs and targets are those of the first batch in every batch.",
)
planted_in_kernel(
    micro_kernel,
    "width = min(C.columns, vectors * lanes)",
    "width = min(C.columns, vectors * lanes) if C.columns > vectors * lanes else max(1, C.columns - 1)",
    name="last_columns_left_out",
    mistake="A product leaves out the last columns if their number is not a multiple of the vector width.",
)
planted_in_kernel(
    micro_kernel,
    """
    for r in range(min(height, count - group * height)):
        for j in range(width):
            to = place + r * ldc + j
            put(out, to, get(out, to) + get(edge, r * vectors * lanes + j))
    """,
    """
    for r in range(min(height, count - group * height - 1)):
        for j in range(width):
            to = place + r * ldc + j
            put(out, to, get(out, to) + get(edge, r * vectors * lanes + j))
    """,
    name="last_row_left_out",
    mistake="A product leaves out its last row.",
)
planted_in_kernel(
    gemm,
    "start += panels * columns.to_panel",
    "start += columns.to_panel",
    name="panels_read_twice",
    mistake="A product reads the second of four panels of B again in place of the fifth.",
)
planted_in_kernel(
    sparsity,
    """
    for i in range(whole if k < last else i0, i1, GROUP):
        for r in range(GROUP):
            put(values, (i - i0) * KC + (k - k0) * GROUP + r, get(A, k * M + min(i + r, i1 - 1)))
    """,
    """
    for i in range(whole, i1, GROUP):
        for r in range(GROUP):
            put(values, (i - i0) * KC + (k - k0) * GROUP + r, get(A, k * M + min(i + r, i1 - 1)))
    """,
    name="last_terms_not_packed",
    mistake="The last terms of a dense product are those of an earlier one if their number is not a multiple of four.",
)
planted_in_kernel(
    sparsity,
    "word |= np.uint64((get(A, first + i) != 0) | (get(A, second + i) != 0)) << np.uint64(i)",
    "word |= np.uint64((get(A, first + i) > 0) | (get(A, second + i) > 0)) << np.uint64(i)",
    name="negative_terms_skipped",
    mistake="The sparse product skips negative numbers as if they were zero.",
)
planted_in_kernel(
    sparsity,
    "return word | (last << np.uint64(start) if start > 0 else last >> np.uint64(-start))",
    "return word",
    name="last_vector_not_scanned",
    mistake="The sparse product takes the last terms of a row for zeros.",
)
planted_in_kernel(
    sparsity,
    "word = (word | (word >> ONE)) & EVEN_BITS",
    "word = word & EVEN_BITS",
    name="second_column_not_scanned",
    mistake="The sparse product does not look at the second of two columns.",
)
planted_in_kernel(
    sparsity,
    "word = _nonzero(A, i * K + k, second * K + k, count)",
    "word = _nonzero(A, i * K + k, i * K + k, count)",
    name="second_row_not_scanned",
    mistake="The sparse product does not look at the second of two rows.",
)
planted_in_kernel(
    updates,
    "W[i] += momentum * v[i] - learning_rate * dW[i]",
    "W[i] += v[i]",
    name="fused_nesterov_without_look_ahead",
    mistake="Nesterov momentum updates like momentum.",
)
planted_in_kernel(
    updates,
    "W[i] -= W[i] * decay * learning_rate",
    "W[i] -= W[i] * decay",
    name="fused_decay_without_learning_rate",
    mistake="Weight decay is not multiplied by the learning rate.",
)
planted_in_kernel(
    updates,
    "dW[i] = -limit if dW[i] < -limit else limit if dW[i] > limit else dW[i]",
    "dW[i] = limit if dW[i] > limit else dW[i]",
    name="fused_clipvalue_one_sided",
    mistake="Only positive entries of a gradient are clipped.",
)
planted_in_kernel(
    updates,
    "return clipping_factor(norm, rule.clipnorm), clipping_factor(np.sqrt(squares[last]), rule.clipnorm)",
    "return clipping_factor(norm, rule.clipnorm), clipping_factor(norm, rule.clipnorm)",
    name="bias_clipped_by_norm_of_W",
    mistake="The gradient of b is clipped by the norm of dW.",
)
planted_in_kernel(
    updates,
    "factor = clipping_factor(np.sqrt(float64_sum(squares)), rule.global_clipnorm)",
    "factor = clipping_factor(np.sqrt(float64_sum(squares[layer.squares :])), rule.global_clipnorm)",
    name="fused_global_norm_of_last_layers",
    mistake="The global norm leaves out the layers before.",
)
planted_in_kernel(
    updates,
    "u[i] += (dW[i] * dW[i] - u[i]) * to_square",
    "u[i] += (dW[i] * dW[i] - u[i]) * to_mean",
    name="fused_adam_betas_exchanged",
    mistake="Adam's running mean of the squares forgets as fast as that of the gradients.",
)
planted_in_kernel(
    updates,
    "v[i] = v[i] * rho + to_mean * (dW[i] * dW[i])",
    "v[i] = v[i] * rho + dW[i] * dW[i]",
    name="fused_rmsprop_adds_whole_square",
    mistake="RMSprop adds the whole square of the gradient.",
)
planted_in_kernel(
    updates,
    "s[i] = s[i] if s[i] >= u[i] else u[i]",
    "s[i] = u[i]",
    name="fused_amsgrad_ignored",
    mistake="Adam divides by the present mean of the squares, although amsgrad asks for the largest one.",
)
planted_in_kernel(
    updates,
    "mean[i] = mean[i] * rho + to_mean * dW[i]",
    "mean[i] = mean[i] * rho",
    name="fused_rmsprop_mean_not_subtracted",
    mistake="Centered RMSprop subtracts nothing, as its mean gradient stays 0.",
)
planted_in_kernel(
    updates,
    "u[i] = u[i] * momentum + dW[i]",
    "u[i] = dW[i]",
    name="fused_rmsprop_momentum_ignored",
    mistake="The momentum of RMSprop is ignored.",
)
planted_in_kernel(
    updates,
    "v[i] += dW[i] * dW[i]",
    "v[i] = dW[i] * dW[i]",
    name="fused_adagrad_forgets",
    mistake="AdaGrad divides by the present gradient only.",
)
planted_in_kernel(
    passes,
    """
    if masks.starts[index] >= 0:
        drop(masks, index, batch.first, tile, numbers, (before.dz, before.dz, D))
    """,
    "pass",
    name="fused_dropout_not_in_backward",
    mistake="The gradient flows back through the numbers that were dropped.",
)
planted_in_kernel(
    masks,
    "place = masks.starts[layer] + first * columns + start",
    "place = masks.starts[layer] + start",
    name="fused_dropout_mask_of_first_batch",
    mistake="Each step of a call drops the same numbers.",
)
planted_in_kernel(
    masks,
    "kept = get(numbers, x + i) * factor",
    "kept = get(numbers, x + i)",
    name="fused_dropout_without_factor",
    mistake="What a mask keeps is not divided by 1 − rate.",
)
planted_in_kernel(
    passes,
    "dx, out = vector_view(numbers, before.dz + start, length), vector_view(numbers, before.out + start, length)",
    "dx, out = vector_view(numbers, before.dz + start, length), vector_view(numbers, layer.x + start, length)",
    name="fused_dropout_before_derivative",
    mistake="The derivative of an activation is computed from what Dropout has made of its output.",
)
