"""The article's network, built with real Keras."""

import keras


def build_model(hidden: tuple[int, ...] = (256, 100), inputs: int = 784, classes: int = 10) -> keras.Sequential:
    """Dense and ReLU for each hidden layer, then Dense and softmax; not compiled yet."""
    model = keras.Sequential()
    model.add(keras.Input(shape=(inputs,)))
    for units in hidden:
        model.add(keras.layers.Dense(units=units))
        model.add(keras.layers.Activation("relu"))
    model.add(keras.layers.Dense(units=classes))
    model.add(keras.layers.Activation("softmax"))
    return model
