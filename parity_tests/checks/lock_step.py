"""Lock-step training: both programs take the same steps from the same weights and are compared after each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.comparison import Comparison, compare
from parity_tests.reference.cases import ARTICLE, Case
from parity_tests.reference.error_model import LAMBDA, Rounding

STEPS = 10
U = Rounding("float32").u


def lock_step(
    backend: str, case: Case, x: np.ndarray, labels: np.ndarray, steps: Iterable[Any], keras_model: Any = None
) -> Iterator[list[Comparison]]:
    """Train both programs on the same batches; yield the comparisons of loss, accuracy and weights after each step.

    Neither program is reset, so differences accumulate, and each step is held to what it may add.  Let d be the
    difference of a weight before the step.  The error model starts from scratch's weights with the bound λ·d, because a
    measured difference is no bound; a unit whose sign differs between the programs then counts as uncertain.  The step
    itself adds β − λ·d in each program, with β the bound after the step:

        difference after the step ≤ d + 2·(β − λ·d).

    Args:
        backend: backend of scratch.
        case: the network.
        x: samples (N, features).
        labels: their classes (N,).
        steps: what to index the samples with, one entry for each step.
        keras_model: a Keras model, or one that replays a recorded training; that of the case if not given.
    """
    model, keras_model = case.scratch_model(backend), keras_model or case.keras_model()
    one_hot = np.eye(case.widths[-1])
    for step, rows in enumerate(steps, 1):
        xb, yb = x[rows].astype(np.float32), one_hot[labels[rows]]
        keras_before = dict(zip(model.params, keras_model.get_weights(), strict=True))
        before = {name: np.abs(W - keras_before[name]).astype(np.float64) for name, W in model.params.items()}
        network = case.bounded_network().with_weights(model.params, {name: LAMBDA * d for name, d in before.items()})
        bounded_loss = network.step(xb.astype(np.float64), yb)["loss"]
        ours, theirs = model.train_on_batch(xb, yb), keras_model.train_on_batch(xb, yb.astype(np.float32))
        yield [
            compare(f"step {step}: loss", np.float64(ours[0]), np.float64(theirs[0]), 2 * bounded_loss.bound + U),
            _compare_correct(step, ours[1], theirs[1], len(xb)),
            *(
                compare(f"step {step}: {name}", W, after, before[name] + 2 * (bounded.bound - LAMBDA * before[name]))
                for (name, W), after, bounded in zip(
                    model.params.items(), keras_model.get_weights(), network.params.values(), strict=True
                )
            ),
        ]


def _compare_correct(step: int, ours: float, theirs: float, samples: int) -> Comparison:
    """Compare the numbers of correct predictions; one near tie in a batch may be decided differently."""
    return compare(f"step {step}: correct predictions", np.round(ours * samples), np.round(theirs * samples), 1.0)


def check_lock_step(backend: str) -> Iterator[Comparison]:
    """Ten steps of the article's network."""
    x = np.concatenate([replace(ARTICLE, seed=seed).x for seed in range(4)])
    labels = np.random.default_rng(5).integers(10, size=len(x))
    steps = np.arange(STEPS * ARTICLE.batch).reshape(STEPS, ARTICLE.batch) % len(x)
    for rows in lock_step(backend, ARTICLE, x, labels, steps):
        yield from rows
