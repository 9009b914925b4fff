"""A part of the training data decides when to stop."""

from keras.callbacks import EarlyStopping
from keras.datasets import mnist
from keras.layers import Dense, Flatten, Input
from keras.models import Sequential
from keras.optimizers import Adagrad

(images, labels), _ = mnist.load_data()

model = Sequential()
model.add(Input((28, 28)))
model.add(Flatten())
model.add(Dense(30, activation="sigmoid"))
model.add(Dense(10, activation="softmax"))
model.compile(loss="sparse_categorical_crossentropy", optimizer=Adagrad(0.1), metrics=["accuracy"])

early_stopping = EarlyStopping(monitor="val_accuracy", mode="max", patience=1, min_delta=0.3)
history = model.fit(
    images / 255, labels, batch_size=50, epochs=6, validation_split=0.2, callbacks=[early_stopping], verbose=2
)
print("stopped after", len(history.history["loss"]), "epochs")
