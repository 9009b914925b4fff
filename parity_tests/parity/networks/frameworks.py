"""Right networks in frameworks; each is imported only by the function that builds a network in it."""

import numpy as np


def torch_module(*, log_probabilities=False):
    import torch

    layers = [
        torch.nn.Linear(20, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 12),
        torch.nn.ReLU(),
        torch.nn.Linear(12, 5),
    ]
    return (
        torch.nn.Sequential(*layers, torch.nn.LogSoftmax(dim=1)) if log_probabilities else torch.nn.Sequential(*layers)
    )


def jax_function():
    import jax
    import jax.numpy as jnp

    @jax.jit
    def logits(params, x):
        for W, b in params[:-1]:
            x = jnp.maximum(x @ W + b, 0)
        return x @ params[-1][0] + params[-1][1]

    return logits


def mlp_classifier():
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(hidden_layer_sizes=(16, 12), solver="sgd", alpha=0, momentum=0)


def keras_model():
    import keras

    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dense(12, "relu"), keras.layers.Dense(5, "softmax")]
    model = keras.Sequential([keras.Input((20,)), *layers])
    model.compile("sgd", "categorical_crossentropy")
    return model


def scratch_model(backend, dtype="float32"):
    from scratch import Input, Sequential, layers

    kinds = [(16, "relu"), (12, "relu"), (5, "softmax")]
    model = Sequential([Input((20,)), *(layers.Dense(units, kind, dtype=dtype) for units, kind in kinds)])
    model.compile("sgd", "categorical_crossentropy", backend=backend)
    model(np.zeros((1, 20)))
    return model
