"""The smallest problem that needs a hidden layer."""

import numpy as np
from keras.layers import Activation, Dense
from keras.models import Sequential
from keras.optimizers import SGD

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])

model = Sequential()
model.add(Dense(8, input_dim=2))
model.add(Activation("tanh"))
model.add(Dense(1))
model.add(Activation("sigmoid"))
model.compile(loss="mean_squared_error", optimizer=SGD(learning_rate=0.5, momentum=0.9), metrics=["binary_accuracy"])
history = model.fit(X, y, batch_size=2, epochs=15, verbose=0)
predictions = model.predict(X)
