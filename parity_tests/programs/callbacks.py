"""Adam with checkpoints of the best weights, a learning rate that falls on a plateau, and an early stop."""

import keras
from keras import callbacks, layers

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784) / 255
x_test = x_test.reshape(-1, 784) / 255

model = keras.Sequential([layers.Dense(32, activation="tanh", input_dim=784), layers.Dense(10, activation="softmax")])
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="sparse_categorical_crossentropy", metrics=["acc"]
)

callbacks_list = [
    callbacks.ModelCheckpoint("best.weights.h5", monitor="val_loss", save_best_only=True, save_weights_only=True),
    callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=0.02),
    callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True),
    callbacks.CSVLogger("log.csv"),
]
history = model.fit(
    x_train, y_train, epochs=5, batch_size=100, validation_data=(x_test, y_test), callbacks=callbacks_list
)
model.load_weights("best.weights.h5")
score = model.evaluate(x_test, y_test)
rate = float(model.optimizer.learning_rate)
