"""Fashion-MNIST: layers by name, functions as loss and metric."""

import numpy as np
from keras import layers, losses, metrics, models, optimizers
from keras.datasets import fashion_mnist

class_names = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
(train_images, train_labels), (test_images, test_labels) = fashion_mnist.load_data()
train_images, test_images = train_images / 255.0, test_images / 255.0

model = models.Sequential(
    [
        layers.Flatten(input_shape=(28, 28), name="pixels"),
        layers.Dense(40, activation="relu", name="hidden"),
        layers.Dense(len(class_names), activation="softmax", name="classes"),
    ]
)
model.compile(
    optimizer=optimizers.SGD(learning_rate=0.05),
    loss=losses.sparse_categorical_crossentropy,
    metrics=[metrics.sparse_categorical_accuracy],
)
print(model.get_layer("hidden").name, model.get_layer(index=2).name)
history = model.fit(train_images, train_labels, epochs=3, batch_size=64)
score = model.evaluate(test_images, test_labels)
weights, biases = model.get_layer("hidden").get_weights()
print(weights.shape, biases.shape)

predictions = model.predict(test_images)
print(class_names[np.argmax(predictions[0])], "was", class_names[test_labels[0]])
