"""The comparisons of the book's chapter 6 on MNIST (学習に関するテクニック), each as a table and a picture.

Each module is one experiment: ``TITLE``, ``run(bench)``, which trains and returns a ``Result``, and
``draw(figure, data)``, which draws it.  An experiment takes layers and optimizers from the package that its ``Bench``
names, ``scratch`` or ``keras``, which have the same names; all numbers that decide a training are drawn in NumPy.
"""

from scratch.experiments import (
    batch_normalization,
    hyperparameters,
    initial_values,
    optimizers,
    overfitting,
)

EXPERIMENTS = {
    "optimizers": optimizers,
    "initial-values": initial_values,
    "batch-normalization": batch_normalization,
    "overfitting": overfitting,
    "hyperparameters": hyperparameters,
}
