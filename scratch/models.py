"""``Sequential``: the model as Keras knows it, made of a network, its training and its summary."""

from collections.abc import Callable

from numpy.typing import ArrayLike

from scratch.summary import print_summary
from scratch.training import Trainer
from scratch.utils import Array


class Sequential(Trainer):
    """A linear stack of layers, used as ``keras.models.Sequential``.

    ```python
    model = Sequential([Dense(256, activation="relu", input_shape=(784,)), Dense(10, activation="softmax")])
    model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=100, epochs=10)
    ```

    Args:
        layers: the layers, first to last; more can be added with ``add``.
        name: a name of your own; ``sequential``, ``sequential_1``, … if not given.
        backend: ``'numpy'``, the reference, or ``'numba'``, compiled.
        dtype: float32 (default) or float64, for all layers that don't name one.
    """

    def gradients(self, x: ArrayLike, y: ArrayLike) -> tuple[float, list[Array]]:
        """Loss of a batch, and its gradient with respect to each array of ``get_weights()``."""
        trace = self.trace(x, y)
        return float(trace["loss"]), [grad.copy() for grad in self.grads.values()]

    def trace(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Run one batch forward and backward and return every tensor on the way, as copies, in order of computation.

        Args:
            x: samples (N, …).
            t: their targets, as the loss wants them.

        Returns:
            ``{layer}/out`` for each layer; ``loss``; ``loss/dx``, the gradient that the loss sends back (of the logits,
            after a softmax); then from the last layer to the first ``{layer}/dx``, ``{layer}/dW``, ``{layer}/db``.

        Raises:
            ValueError: if the model is not compiled, or x or t does not fit it.
        """
        loss, _ = self._compiled("trace")
        samples, targets = self._check_data(x, t, "trace")
        self.build(samples.shape)
        return self.trace_batch(loss, samples, targets)

    def summary(self, print_fn: Callable[[str], object] | None = None, line_length: int | None = None) -> None:
        """Print the layers, the shapes of their outputs and the numbers of their weights.

        Args:
            print_fn: takes the whole text, plain; without it the text goes to the terminal, in colour.
            line_length: width of the table; that of the terminal minus 4, at most 88, if not given.

        Raises:
            ValueError: if there is no room for the three columns.
        """
        print_summary(self, line_length, print_fn)
