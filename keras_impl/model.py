"""The article's network in Keras."""

import keras


def build_model(hidden: tuple[int, ...] = (256, 100), inputs: int = 784, classes: int = 10) -> keras.Sequential:
    """Return the article's network, not compiled: Dense and ReLU for each hidden layer, then Dense and softmax.

    Args:
        hidden: units of the hidden layers.
        inputs: number of input values per sample.
        classes: units of the output layer.
    """
    model = keras.Sequential()
    model.add(keras.Input(shape=(inputs,)))
    for units in hidden:
        model.add(keras.layers.Dense(units=units))
        model.add(keras.layers.Activation("relu"))
    model.add(keras.layers.Dense(units=classes))
    model.add(keras.layers.Activation("softmax"))
    return model
