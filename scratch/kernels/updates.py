"""Update rules of the optimizers, for a piece of the flat buffers: parameters W, gradients dW, state arrays v, u and s.

Each rule is the scalar form of what ``update_step`` of an optimizer does with whole arrays, and rounds after every
operation as NumPy does.  A fused step applies it to a few rows of W, as soon as their gradient has been computed and
while it is in the L2 cache, so that momentum or weight decay cost no pass over memory of their own.  Only clipping by a
norm needs all gradients first.
"""

import numpy as np
from numpy.typing import NDArray

from scratch import kernels
from scratch.kernels import Rule
from scratch.kernels.arrays import clear, copy, float64_sum
from scratch.kernels.jit import Int, inlined, subroutine, subroutine_without_fma
from scratch.kernels.job import Layer, State, Step
from scratch.kernels.packing import Tile, pieces
from scratch.kernels.plan import UPDATE_COLUMNS, UPDATE_STEP
from scratch.kernels.simd import get, put, vector_view
from scratch.kernels.workspace import Workspace

Array = NDArray[np.floating]

SGD, MOMENTUM, NESTEROV, ADAM, AMSGRAD, *_, ADAGRAD = range(len(kernels.UPDATE_RULES))
RMSPROP, RMSPROP_MOMENTUM, RMSPROP_CENTERED, RMSPROP_CENTERED_MOMENTUM = range(AMSGRAD + 1, ADAGRAD)

clips_by_norm = inlined(kernels.clips_by_norm)


@subroutine_without_fma
def apply_update(rule: Rule, step: Step, W: Array, dW: Array, v: Array, u: Array, s: Array) -> None:
    """Update some parameters.

    Args:
        rule: of the optimizer.
        step: its learning rate and step size.
        W: 1-D.
        dW: their gradients (same length); are overwritten.
        v: their first state array; not read by rules that have none.
        u: their second state array, likewise.
        s: their third state array, likewise.
    """
    number = W.dtype.type
    learning_rate, limit = number(step.learning_rate), number(rule.clipvalue)
    if limit > 0:
        for i in range(len(W)):
            dW[i] = -limit if dW[i] < -limit else limit if dW[i] > limit else dW[i]
    if rule.decays:
        decay = number(rule.weight_decay)
        for i in range(len(W)):
            W[i] -= W[i] * decay * learning_rate
    if rule.kind == SGD:
        for i in range(len(W)):
            W[i] -= learning_rate * dW[i]
    elif rule.kind == MOMENTUM:
        momentum = number(rule.momentum)
        for i in range(len(W)):
            v[i] = v[i] * momentum - learning_rate * dW[i]
            W[i] += v[i]
    elif rule.kind == NESTEROV:
        momentum = number(rule.momentum)
        for i in range(len(W)):
            v[i] = v[i] * momentum - learning_rate * dW[i]
            W[i] += momentum * v[i] - learning_rate * dW[i]
    elif rule.kind == ADAM or rule.kind == AMSGRAD:
        _apply_adam(rule, step, W, dW, v, u, s)
    elif rule.kind == ADAGRAD:
        epsilon = number(rule.epsilon)
        for i in range(len(W)):
            v[i] += dW[i] * dW[i]
            W[i] -= learning_rate * dW[i] / np.sqrt(v[i] + epsilon)
    else:
        _apply_rmsprop(rule, step, W, dW, v, u, s)


@subroutine_without_fma
def _apply_adam(rule: Rule, step: Step, W: Array, dW: Array, v: Array, u: Array, s: Array) -> None:
    """Update some parameters by Adam: v is the mean of the gradients, u that of their squares, s the largest u."""
    number = W.dtype.type
    alpha, epsilon = number(step.size), number(rule.epsilon)
    to_mean, to_square = number(1 - rule.momentum), number(1 - rule.rho)
    for i in range(len(W)):
        v[i] += (dW[i] - v[i]) * to_mean
        u[i] += (dW[i] * dW[i] - u[i]) * to_square
    if rule.kind == AMSGRAD:
        for i in range(len(W)):
            s[i] = s[i] if s[i] >= u[i] else u[i]
        u = s
    for i in range(len(W)):
        W[i] -= v[i] * alpha / (np.sqrt(u[i]) + epsilon)


@subroutine_without_fma
def _apply_rmsprop(rule: Rule, step: Step, W: Array, dW: Array, v: Array, u: Array, s: Array) -> None:
    """Update some parameters by RMSprop: v is the mean of the squares, s that of the gradients, u the momentum.

    Without momentum, u is the mean of the gradients.
    """
    number = W.dtype.type
    learning_rate, epsilon, momentum = number(step.learning_rate), number(rule.epsilon), number(rule.momentum)
    rho, to_mean = number(rule.rho), number(1 - rule.rho)
    for i in range(len(W)):
        v[i] = v[i] * rho + to_mean * (dW[i] * dW[i])
    if rule.kind == RMSPROP:
        for i in range(len(W)):
            W[i] -= learning_rate * dW[i] / np.sqrt(v[i] + epsilon)
        return
    if rule.kind == RMSPROP_MOMENTUM:
        for i in range(len(W)):
            dW[i] = learning_rate * dW[i] / np.sqrt(v[i] + epsilon)
    else:
        mean = s if rule.kind == RMSPROP_CENTERED_MOMENTUM else u
        for i in range(len(W)):
            mean[i] = mean[i] * rho + to_mean * dW[i]
            dW[i] = learning_rate * dW[i] / np.sqrt(v[i] - mean[i] * mean[i] + epsilon)
    if rule.kind == RMSPROP_MOMENTUM or rule.kind == RMSPROP_CENTERED_MOMENTUM:
        for i in range(len(W)):
            u[i] = u[i] * momentum + dW[i]
            dW[i] = u[i]
    for i in range(len(W)):
        W[i] -= dW[i]


@subroutine
def square_sum(x: Array, start: Int, rows: Int, ld: Int, columns: tuple[Int, Int], sums: Array) -> float:
    """Return the sum of the squares of a part of a matrix, accumulated in float64, column by column.

    Args:
        x: 1-D array that contains it.
        start: where its first row begins.
        rows: number of rows.
        ld: leading dimension, the distance of two rows.
        columns: the first column, and the one after the last.
        sums: float64, for the sums of the columns.
    """
    (j0, j1), total = columns, 0.0
    clear(sums, np.int64(0), j1 - j0)
    for r in range(rows):
        for j in range(j1 - j0):
            number = np.float64(get(x, start + r * ld + j0 + j))
            put(sums, j, get(sums, j) + number * number)
    for j in range(j1 - j0):
        total += get(sums, j)
    return total


@inlined
def clipping_factor(norm: float, limit: float) -> float:
    """Return the factor that limits a norm; NaN if the norm is NaN, as in ``SGD``."""
    return limit / (limit if limit > norm else norm)


@subroutine_without_fma
def scale(x: Array, factor: float) -> None:
    """Multiply a 1-D array by a factor, which is rounded to the array's dtype, in place."""
    rounded = x.dtype.type(factor)
    for i in range(len(x)):
        x[i] *= rounded


@subroutine
def use_gradient(rule: Rule, step: Step, state: State, layer: Layer, tile: Tile, space: Workspace) -> None:
    """Apply ``space.numbers``, the gradient of a tile of W, or store it and its squares to be clipped by a norm."""
    (i0, i1, j0, j1), H, dW = tile, layer.units, space.numbers
    columns = j1 - j0
    count, length = pieces(tile, H)
    for r in range(count):
        _use_piece(rule, step, state, layer.W + (i0 + r) * H + j0, vector_view(dW, r * length, length))
    if clips_by_norm(rule):
        panels = (H + UPDATE_COLUMNS - 1) // UPDATE_COLUMNS
        for r in range(0, i1 - i0, UPDATE_STEP):
            rows = min(UPDATE_STEP, i1 - i0 - r)
            first = layer.squares + (i0 + r) // UPDATE_STEP * panels
            for j in range(0, columns, UPDATE_COLUMNS):
                part = j, min(j + UPDATE_COLUMNS, columns)
                squares = square_sum(dW, r * columns, rows, columns, part, space.sums)
                state.squares[first + (j0 + j) // UPDATE_COLUMNS] = squares


@subroutine
def use_bias_gradient(rule: Rule, step: Step, state: State, layer: Layer, space: Workspace) -> None:
    """Apply the gradient of b, ``space.numbers``, or store it and its square."""
    db = vector_view(space.numbers, np.int64(0), layer.units)
    _use_piece(rule, step, state, layer.b, db)
    if clips_by_norm(rule):
        whole = np.int64(0), len(db)
        state.squares[layer.squares_end - 1] = square_sum(db, np.int64(0), np.int64(1), len(db), whole, space.sums)


@subroutine
def _use_piece(rule: Rule, step: Step, state: State, start: Int, dW: Array) -> None:
    """Apply the gradient of the parameters that begin at ``start``, or store it."""
    if clips_by_norm(rule):
        copy(dW, np.int64(0), state.gradients, start, len(dW))
    else:
        _apply_piece(rule, step, state, start, dW)


@inlined
def _apply_piece(rule: Rule, step: Step, state: State, start: Int, dW: Array) -> None:
    """Update the parameters that begin at ``start``."""
    count, size = len(dW), len(state.parameters)
    v, u = vector_view(state.arrays, start, count), vector_view(state.arrays, start + size, count)
    s = vector_view(state.arrays, start + 2 * size, count)
    apply_update(rule, step, vector_view(state.parameters, start, count), dW, v, u, s)


@subroutine
def clip_and_apply(rule: Rule, step: Step, state: State, layer: Layer, tile: Tile, with_bias: bool) -> None:
    """Clip the stored gradients of a tile of W, and perhaps of b, by their norms, and apply them."""
    (i0, _, j0, _), H = tile, layer.units
    factor, factor_of_b = _clipping_factors(rule, state.squares, layer)
    count, length = pieces(tile, H)
    for r in range(count):
        _clip_piece(rule, step, state, layer.W + (i0 + r) * H + j0, length, factor)
    if with_bias and layer.b >= 0:
        _clip_piece(rule, step, state, layer.b, H, factor_of_b)


@subroutine
def _clip_piece(rule: Rule, step: Step, state: State, start: Int, count: Int, factor: float) -> None:
    dW = vector_view(state.gradients, start, count)
    scale(dW, factor)
    _apply_piece(rule, step, state, start, dW)


@subroutine
def _clipping_factors(rule: Rule, squares: Array, layer: Layer) -> tuple[float, float]:
    """Return the factors for the gradients of W and b.

    The squares are summed in an order that does not depend on the number of threads.  It is not NumPy's, so a norm may
    differ from that of ``SGD`` by some units in the last place of float64, and the factor, rounded to float32, is
    another one in fewer than one of a million steps.
    """
    if rule.clipnorm > 0:
        last = layer.squares_end - 1
        norm = np.sqrt(float64_sum(squares[layer.squares : last]))
        return clipping_factor(norm, rule.clipnorm), clipping_factor(np.sqrt(squares[last]), rule.clipnorm)
    factor = clipping_factor(np.sqrt(float64_sum(squares)), rule.global_clipnorm)
    return factor, factor
