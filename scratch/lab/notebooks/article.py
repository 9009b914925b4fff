# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The article's program, from the inside
#
# [日本語](article.ja.ipynb)
#
# This notebook runs the program of the blog article
# 「Python の深層学習ライブラリ Keras で手書き文字の認識を始めよう」 (2018)
# with `scratch` in place of `keras`, and then looks at every step of it:
#
# 1. the program, and its results beside the article's table;
# 2. one digit on its way through the network;
# 3. what the weights have learned;
# 4. the gradients, computed by hand and by numerical differentiation;
# 5. the update of one weight;
# 6. a backward pass with a mistake, and how the mistake is found;
# 7. the time of an epoch on both backends;
# 8. every number of the network, in a page.
#
# Letters and names are those of the book ゼロから作る Deep Learning: `x` is the input, `t` the target, `W` and `b` are
# weights and biases, `dW` is the gradient of the loss with respect to `W`. The numbers in the text are those of MNIST
# with all 70,000 digits. Section 6 needs Keras and section 8 the lab's packages (`python -m pip install -e '.[keras,lab]'` in
# the folder of the project).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

from scratch.gradients import partial_derivative
from scratch.images import prepare
from scratch.utils import set_random_seed

set_random_seed(0)  # the same weights and the same order of the digits in each run
plt.rc("figure", dpi=90)
plt.rc("figure.constrained_layout", use=True)
plt.rc("image", cmap="gray_r", interpolation="nearest")

# %% [markdown]
# ## 1. The program
#
# Only the word `keras` in the imports is replaced.

# %%
from scratch.datasets import mnist

(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train.shape, y_train.shape, x_test.shape, y_test.shape

# %%
from scratch.utils import to_categorical

x_train = x_train.reshape(-1, 784) / 255
x_test = x_test.reshape(-1, 784) / 255
y_train = to_categorical(y_train)
y_test = to_categorical(y_test)
x_train.shape, y_train.shape, x_test.shape, y_test.shape

# %%
from scratch.layers import Activation, Dense
from scratch.models import Sequential

model = Sequential()
model.add(Dense(units=256, input_shape=(784,)))
model.add(Activation("relu"))
model.add(Dense(units=100))
model.add(Activation("relu"))
model.add(Dense(units=10))
model.add(Activation("softmax"))
model.summary()

# %% [markdown]
# The network has 227,670 parameters, as in the article. The initial weights `W0` of the first layer are kept for
# section 3.

# %%
W0 = model.layers[0].params["W"].copy()

model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
first = model.fit(x_train, y_train, batch_size=100, epochs=10, validation_data=(x_test, y_test))

# %% [markdown]
# The test accuracy (`val_accuracy`) is 0.940 after ten epochs. The article's table begins there: the loss in its first
# row is 0.1978, and in our first epoch it is 1.0402. The table shows a second run of the cell with `fit`, which continues
# with the trained weights.

# %%
second = model.fit(x_train, y_train, batch_size=100, epochs=10, validation_data=(x_test, y_test))

# %%
article = {  # epochs 1 to 10 of the article's table
    "loss": [0.1978, 0.1888, 0.1800, 0.1724, 0.1653, 0.1588, 0.1527, 0.1471, 0.1418, 0.1366],
    "accuracy": [0.9441, 0.9466, 0.9492, 0.9515, 0.9534, 0.9553, 0.9569, 0.9587, 0.9603, 0.9617],
    "val_loss": [0.1907, 0.1847, 0.1757, 0.1695, 0.1638, 0.1584, 0.1530, 0.1508, 0.1439, 0.1411],
    "val_accuracy": [0.9445, 0.9459, 0.9486, 0.9498, 0.9514, 0.9522, 0.9538, 0.9561, 0.9572, 0.9578],
}
figure, panels = plt.subplots(1, 2, figsize=(10, 3.5))
for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
    for key, color, label in ((name, "C0", "training digits"), ("val_" + name, "C1", "test digits")):
        panel.plot(range(1, 21), first.history[key] + second.history[key], color=color, label=label)
        panel.plot(range(11, 21), article[key], "o", color=color, markersize=4, label="article: " + label)
    panel.set(xlabel="epoch", ylabel=name, xticks=range(2, 21, 2))
    panel.grid(alpha=0.3)
panels[0].set_ylim(0.1, 0.6)
panels[1].set_ylim(0.84, 0.98)
panels[1].legend(loc="lower right")
plt.show()

# %%
difference = max(abs(np.subtract(second.history[key], article[key])).max() for key in article)
print(f"largest difference from the article's 40 numbers: {difference:.4f}")
print(f"after the second fit: accuracy {second.history['accuracy'][-1]:.4f}, article 0.9617")
print(f"                  val_accuracy {second.history['val_accuracy'][-1]:.4f}, article 0.9578")

# %% [markdown]
# The lines go through the article's points; the largest difference is 0.0034. The numbers are not equal, because initial
# weights and the order of the digits are random, and the article does not name a seed. The loss and the accuracy of the
# training digits are means over the epoch, during which the weights change; those of the test digits are measured at its
# end.
#
# ## 2. One digit on its way through the network
#
# The digit is drawn here, and prepared as MNIST's digits were: 20 pixels high, grey at the edges, with its centre of
# mass in the middle of 28 × 28 pixels.

# %%
sheet = Image.new("L", (280, 280), 255)
five = [(190, 60), (105, 60), (98, 130), (150, 118), (188, 145), (190, 190), (150, 222), (90, 205)]
ImageDraw.Draw(sheet).line(five, fill=0, width=20, joint="curve")
digit = prepare(np.array(sheet))
x5 = digit.reshape(1, 784) / 255
t5 = to_categorical([5], 10)

figure, panels = plt.subplots(1, 3, figsize=(10, 3), width_ratios=(1, 1, 1.4))
panels[0].imshow(sheet, cmap="gray")
panels[0].set(title="drawing", xlabel="pixel", ylabel="pixel")
panels[1].imshow(digit)
panels[1].set(title="input x", xlabel="pixel", ylabel="pixel")
panels[2].bar(range(10), model.predict(x5, verbose=0)[0])
panels[2].set(xlabel="digit", ylabel="probability", xticks=range(10), title="output of the network")
plt.show()

# %% [markdown]
# `model.trace(x, t)` runs one forward and one backward pass, changes nothing, and returns every array in the order of
# computation. `out` is a layer's output, `dx` the gradient with respect to its input.

# %%
trace_of_five = model.trace(x5, t5)
for name, array in trace_of_five.items():
    print(f"{name:18}{array.shape!s:14}min {array.min():9.2e}   max {array.max():9.2e}")

# %% [markdown]
# The hidden activations as pictures, one square for each unit: the 256 units of the first layer as 16 × 16 squares, the
# 100 of the second as 10 × 10. Red is positive, blue is negative. ReLU sets the negative ones to 0.


# %%
def draw_signed(panel, array, title, limit=None):  # red is positive, blue negative, white 0
    limit = limit or abs(array).max()
    image = panel.imshow(array, cmap="RdBu_r", vmin=-limit, vmax=limit)
    panel.set(title=title, xticks=[], yticks=[])
    return image


hidden = ("dense/out", "activation/out", "dense_1/out", "activation_1/out")
figure, panels = plt.subplots(1, 4, figsize=(10, 2.9))
for panel, name in zip(panels, hidden, strict=True):
    side = int(trace_of_five[name].size ** 0.5)
    image = draw_signed(panel, trace_of_five[name].reshape(side, side), name)
    figure.colorbar(image, ax=panel, location="bottom", label="activation")
plt.show()

# %% [markdown]
# Each number of `dense/out` is a sum: `out[j] = Σ x[i]·W[i, j] + b[j]`. Here is that of the most active unit, with its
# 784 products as a picture. Where `x` is 0, so is the product.

# %%
W, b = model.layers[0].params["W"], model.layers[0].params["b"]
unit = int(trace_of_five["dense/out"].argmax())
products = x5[0] * W[:, unit]

figure, panels = plt.subplots(1, 3, figsize=(10, 3))
panels[0].imshow(digit)
panels[0].set(title="x", xticks=[], yticks=[])
image = draw_signed(panels[1], W[:, unit].reshape(28, 28), f"W[:, {unit}]")
figure.colorbar(image, ax=panels[1], label="weight")
image = draw_signed(panels[2], products.reshape(28, 28), f"x · W[:, {unit}]")
figure.colorbar(image, ax=panels[2], label="product")
plt.show()
print(f"sum of the products + b[{unit}]: {products.sum() + b[unit]:.6f}")
print(f"dense/out[0, {unit}] of the trace: {trace_of_five['dense/out'][0, unit]:.6f}")

# %% [markdown]
# ## 3. What the weights have learned
#
# These are the eight units of the first layer whose weights have changed most, each with its 784 weights as a picture.
# The initial weights `W0` are random. What was learned is `W − W0`; in `W` it is covered by the random part, which is
# still there.

# %%
changed = np.argsort(-np.linalg.norm(W - W0, axis=0))[:8]
figure, panels = plt.subplots(3, 8, figsize=(10, 4.1))
for row, (name, array) in zip(panels, {"W0": W0, "W": W, "W − W0": W - W0}.items(), strict=True):
    for panel, j in zip(row, changed, strict=True):
        title = f"unit {j}" if name == "W0" else ""
        image = draw_signed(panel, array[:, j].reshape(28, 28), title, limit=0.15)
    row[0].set_ylabel(name)
figure.colorbar(image, ax=panels, label="weight", extend="both")
plt.show()

# %% [markdown]
# `W − W0` is exactly 0 at the edge. The gradient is `dW[i, j] = Σ x[n, i]·dout[n, j]`, a sum over the digits `n` of the
# batch. Where a pixel `x[n, i]` is 0 in all digits, every term is 0, and the weight stays at its random initial value.
# In MNIST 67 of the 784 pixels are 0 in all 60,000 training digits.

# %%
always_zero = (x_train == 0).all(axis=0)
print(f"pixels that are always 0: {always_zero.sum()}")
print(f"weights of these pixels that have changed: {(W != W0)[always_zero].sum()} of {W[always_zero].size}")
print(f"weights of the other pixels that have changed: {(W != W0)[~always_zero].mean():.1%}")

# %% [markdown]
# ## 4. The gradients, by hand
#
# This is the whole network in NumPy, in float64, for the first 100 training digits. First forward, then backward: the
# gradient of softmax and cross-entropy together is `(y − t) / N`, ReLU passes the gradient where its output is positive,
# and a Dense layer computes `dW`, `db` and the gradient for the layer below.

# %%
x, t = x_train[:100], y_train[:100]
W1, b1, W2, b2, W3, b3 = (array.astype("float64") for array in model.get_weights())


def forward(x):  # the outputs of both hidden layers, (N, 256) and (N, 100), and the probabilities, (N, 10)
    h1 = np.maximum(x @ W1 + b1, 0)
    h2 = np.maximum(h1 @ W2 + b2, 0)
    e = np.exp(h2 @ W3 + b3)
    return h1, h2, e / e.sum(axis=1, keepdims=True)


def loss():  # the cross-entropy, averaged over the batch
    y = forward(x)[-1]
    return -np.sum(t * np.log(y)) / len(x)


h1, h2, y = forward(x)
dz3 = (y - t) / len(x)
dW3, db3 = h2.T @ dz3, dz3.sum(axis=0)
dz2 = dz3 @ W3.T * (h2 > 0)
dW2, db2 = h1.T @ dz2, dz2.sum(axis=0)
dz1 = dz2 @ W2.T * (h1 > 0)
dW1, db1 = x.T @ dz1, dz1.sum(axis=0)

# %% [markdown]
# The model computes in float32, which has about seven decimal digits. The largest difference is divided by the largest
# entry of the gradient.

# %%
trace = model.trace(x, t)
by_hand = {"dense/dW": dW1, "dense/db": db1, "dense_1/dW": dW2, "dense_1/db": db2}
by_hand |= {"dense_2/dW": dW3, "dense_2/db": db3}
errors = {name: abs(trace[name] - array).max() / abs(array).max() for name, array in by_hand.items()}
for name, error in errors.items():
    print(f"{name:12}{trace[name].shape!s:12}relative difference {error:.1e}")

# %% [markdown]
# Both could have the same mistake. Numerical differentiation needs no formula of a gradient: it changes one weight by
# ±0.0001 and ±0.0002, and computes the slope from the four losses. That takes four forward passes for each weight, so
# here it is done for 20 random weights of each layer, of those whose gradient is more than 1 % of the largest.

# %%
rng = np.random.default_rng(0)
figure, panels = plt.subplots(1, 3, figsize=(10, 3.4))
numerical_errors = {}
for panel, (name, array) in zip(panels, {"dense": W1, "dense_1": W2, "dense_2": W3}.items(), strict=True):
    dW = trace[f"{name}/dW"]
    entries = rng.permutation(np.argwhere(abs(dW) > 0.01 * abs(dW).max()))[:20]
    numerical = np.array([partial_derivative(loss, array, tuple(entry)) for entry in entries])
    backward = dW[tuple(entries.T)]
    numerical_errors[name] = abs(numerical - backward).max() / abs(dW).max()
    panel.axline((0, 0), slope=1, color="lightgray")
    panel.plot(numerical, backward, ".")
    panel.set(title=f"{name}/dW", xlabel="numerical gradient", ylabel="backward pass")
    panel.ticklabel_format(scilimits=(-2, 2))
plt.show()
for name, error in numerical_errors.items():
    print(f"{name + '/dW':12}relative difference {error:.1e}")

# %% [markdown]
# All points are on the line: backpropagation computes the gradient of the loss.
#
# ## 5. The update of one weight
#
# SGD computes `W ← W − η·dW`, with the learning rate η = 0.01. This is the weight of the last layer with the largest
# gradient.

# %%
dW = trace["dense_2/dW"]
i, j = (int(n) for n in np.unravel_index(abs(dW).argmax(), dW.shape))
before = model.layers[4].params["W"].copy()
model.train_on_batch(x, t)
after = model.layers[4].params["W"].copy()

print(f"W[{i}, {j}] before        {before[i, j]:+.8f}")
print(f"dW[{i}, {j}]              {dW[i, j]:+.8f}")
print(f"−0.01 · dW[{i}, {j}]      {-0.01 * dW[i, j]:+.8f}")
print(f"W[{i}, {j}] after         {after[i, j]:+.8f}")
print("all weights of the layer are W − η·dW:", np.allclose(after, before - 0.01 * dW, rtol=0, atol=1e-7))


# %%
def loss_with(w):  # the loss with W3[i, j] = w and all other weights as before the update
    kept, W3[i, j] = W3[i, j], w
    value = loss()
    W3[i, j] = kept
    return value


w0, w1 = float(before[i, j]), float(after[i, j])
step = abs(w1 - w0)
figure, panels = plt.subplots(1, 2, figsize=(10, 3.5))
views = {"the loss along this weight": 1.5, "the step": 2 * step}  # half the width of each picture
for panel, (title, reach) in zip(panels, views.items(), strict=True):
    w = np.linspace(w0 - reach, w0 + reach, 41)
    panel.plot(w, [loss_with(value) for value in w], label="loss")
    tangent = loss_with(w0) + dW[i, j] * (w - w0)
    panel.plot(w, tangent, "--", color="gray", label=f"tangent, slope {dW[i, j]:.4f}")
    panel.plot(w0, loss_with(w0), "o", color="C1", label="before")
    panel.plot(w1, loss_with(w1), "o", color="C2", label="after")
    panel.set(title=title, xlabel=f"W[{i}, {j}]", ylabel="loss of the batch")
    panel.grid(alpha=0.3)
panels[0].legend()
plt.show()

# %% [markdown]
# The gradient is the slope of the curve, and the step goes downhill. It is so small that the two points coincide on the
# left; on the right, curve and tangent are almost the same line. All 227,670 parameters take such a step at once, 600
# times in an epoch.
#
# ## 6. A backward pass with a mistake
#
# A network in the style of the book with one mistake: `np.sum(dout)` lacks `axis=0`, so that the gradient of `b2` is
# one number instead of ten. NumPy does not complain, because it broadcasts the number.


# %%
class Net:
    def __init__(self, inputs, hidden, classes):
        rng = np.random.default_rng(0)
        self.params = {"W1": rng.normal(0, 0.1, (inputs, hidden)), "b1": np.zeros(hidden)}
        self.params |= {"W2": rng.normal(0, 0.1, (hidden, classes)), "b2": np.zeros(classes)}

    def logarithms(self, x):  # of the probabilities, (N, classes)
        self.h = np.maximum(x @ self.params["W1"] + self.params["b1"], 0)
        z = self.h @ self.params["W2"] + self.params["b2"]
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    def predict(self, x):
        return np.exp(self.logarithms(x))

    def loss(self, x, t):
        return -np.sum(t * self.logarithms(x)) / len(x)

    def gradient(self, x, t):
        dout = (self.predict(x) - t) / len(x)
        grads = {"W2": self.h.T @ dout, "b2": np.sum(dout)}  # the mistake
        dout = dout @ self.params["W2"].T * (self.h > 0)
        return grads | {"W1": x.T @ dout, "b1": np.sum(dout, axis=0)}


class Corrected(Net):
    def gradient(self, x, t):
        dout = (self.predict(x) - t) / len(x)
        return super().gradient(x, t) | {"b2": np.sum(dout, axis=0)}


# %% [markdown]
# Does the accuracy show it? Both networks learn the same 20,000 digits from the same weights, in two epochs with
# batches of 100 and the learning rate 0.1.


# %%
def train(net):  # returns the test accuracy after every 20 steps
    accuracy = []
    digits = min(20_000, len(x_train))
    for step in range(400):
        batch = np.arange(100 * step, 100 * step + 100) % digits
        for key, gradient in net.gradient(x_train[batch], y_train[batch]).items():
            net.params[key] -= 0.1 * gradient
        if step % 20 == 19:
            accuracy.append(np.mean(net.predict(x_test).argmax(axis=1) == y_test.argmax(axis=1)))
    return accuracy


curves = {"with the mistake": train(Net(784, 50, 10)), "corrected": train(Corrected(784, 50, 10))}
figure, panel = plt.subplots(figsize=(6, 3.2))
for (label, accuracy), style in zip(curves.items(), ("-", "--"), strict=True):
    panel.plot(20 * np.arange(1, len(accuracy) + 1), accuracy, style, label=f"{label}: {accuracy[-1]:.4f}")
panel.set(xlabel="step", ylabel="test accuracy")
panel.legend()
panel.grid(alpha=0.3)
plt.show()

# %% [markdown]
# It does not: the curves are almost the same. `parity_tests` compares every tensor with Keras instead. It says where
# the network differs, and searches for a mistake with which a reference network returns the same numbers.

# %%
from parity_tests.checking import check_implementation

diagnosis = check_implementation(Net, (20, 16, 5))
print(diagnosis)

# %% [markdown]
# Outputs and loss are right, the gradients differ in every situation, and finding 1 names the mistake: the sum over all
# classes is always 0, so `b2` never changes. The other network has `axis=0`:

# %%
corrected = check_implementation(Corrected, (20, 16, 5))
print(corrected)

# %% [markdown]
# The same without a notebook: `python -m parity_tests --implementation my_network.py:Net`.
#
# ## 7. The time of an epoch
#
# `backend="numpy"` computes with NumPy only, in the code that is meant to be read. The default, `backend="numba"`, runs
# compiled training steps. Here both train the article's network on 20,000 digits, in turns; dots are runs, and the bar is
# the fastest one, which other programs have disturbed least. The ratio depends on the machine and on what else it does;
# `python -m benchmarks` measures with more care, and beside Keras, PyTorch and JAX.


# %%
def build(backend):  # the article's network
    layers = [Dense(256, "relu", input_shape=(784,)), Dense(100, "relu"), Dense(10, "softmax")]
    model = Sequential(layers, backend=backend)
    model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    return model


models = {backend: build(backend) for backend in ("numpy", "numba")}
seconds = {backend: [] for backend in models}
for _ in range(6):
    for backend, network in models.items():
        start = time.perf_counter()
        network.fit(x_train[:20_000], y_train[:20_000], batch_size=100, verbose=0)
        seconds[backend].append(time.perf_counter() - start)

fastest = min(seconds["numba"][1:])
figure, panel = plt.subplots(figsize=(8, 2))
for row, backend in enumerate(seconds):
    times = np.array(seconds[backend][1:]) / fastest  # without the first, which may compile
    panel.barh(row, times.min(), height=0.5, alpha=0.4)
    panel.plot(times, [row] * len(times), "k.")
panel.set(xlabel="time of an epoch ÷ fastest epoch of numba", yticks=range(2), yticklabels=list(seconds))
plt.show()
print(f"numpy ÷ numba, fastest runs: {min(seconds['numpy'][1:]) / fastest:.1f}")

# %% [markdown]
# ## 8. Every number, in a page
#
# `show(model)` opens the study lab on the model of this notebook: draw a digit, choose a value and see where it comes from,
# or train on and watch the weights change. Below the cell is the page; it is served by the notebook's own process, so it is
# there while that runs on your machine, in Jupyter or VS Code, and looks like this:
#
# ![The study lab: a digit, one step of the network as rows of pictures, and the products behind one value](../lab.png)
#
# The page trains this very model. `page.close()` ends it, and the model can be trained by `fit` again.

# %%
from scratch.lab import show

page = show(model)
page

# %% [markdown]
# ## Where to read on
#
# - [`scratch`](../../README.md): the code in the order in which it is read in an hour, a picture of one training step, and
#   the book's chapters with their place in the code.
# - [`parity_tests`](../../../parity_tests/README.md): how a network of your own is checked, and where the bounds come from.
# - [`benchmarks`](../../../benchmarks/README.md): the measured times.
