"""Fashion-MNIST as in a course for beginners: the default optimizer, activations and initial values as functions."""

from keras import Sequential, activations, initializers, models
from keras.datasets import fashion_mnist
from keras.layers import Dense

(train_input, train_target), (test_input, test_target) = fashion_mnist.load_data()
train_scaled = train_input.reshape(-1, 28 * 28) / 255.0
test_scaled = test_input.reshape(-1, 28 * 28) / 255.0
val_scaled, val_target = train_scaled[-100:], train_target[-100:]
train_scaled, train_target = train_scaled[:-100], train_target[:-100]

model = Sequential(name="clothes")
model.add(
    Dense(
        30,
        activation=activations.sigmoid,
        kernel_initializer=initializers.he_normal(seed=1),
        bias_initializer=initializers.constant(0.1),
        input_shape=(784,),
        name="hidden",
    )
)
model.add(Dense(10, activation=activations.softmax, kernel_initializer=initializers.random_normal(stddev=0.05)))
model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(train_scaled, train_target, epochs=2, validation_data=(val_scaled, val_target))

score = model.evaluate(test_scaled, test_target, verbose=0)
print(f"{model.metrics_names[1]}: {100 * score[1]:.2f}%")
models.save_model(model, "clothes.keras")
predictions = models.load_model("clothes.keras").predict(test_scaled)
