"""A yes-or-no question on unbalanced data, with class weights and one sigmoid unit."""

import numpy as np
from keras.layers import Dense, Dropout
from keras.models import Sequential

rng = np.random.default_rng(8)
X = rng.normal(size=(300, 8))
y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(scale=0.3, size=300) > 2).astype(int)
X_train, X_test, y_train, y_test = X[:240], X[240:], y[:240], y[240:]
counts = np.bincount(y_train)
class_weight = {0: 1.0, 1: float(counts[0] / counts[1])}

model = Sequential()
model.add(Dense(12, input_dim=8, activation="relu"))
model.add(Dropout(0.25))
model.add(Dense(8, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(X_train, y_train, epochs=4, batch_size=20, class_weight=class_weight, verbose=0)
score = model.evaluate(X_test, y_test)
predictions = model.predict(X_test)
rounded = (predictions > 0.5).astype(int)
