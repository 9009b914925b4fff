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
# # 記事のプログラムを内側から見る
#
# [English](article.ipynb)
#
# ブログ記事「Python の深層学習ライブラリ Keras で手書き文字の認識を始めよう」（2018）のプログラムを、`keras` の代わりに `scratch` で実行し、計算の中身を順に見ていきます。
#
# 1. プログラムの実行と、記事の表との比較
# 2. 数字 1 枚がネットワークを通るようす
# 3. 学習した重み
# 4. 勾配を手で計算し、数値微分とも比べる
# 5. 重み 1 個の更新
# 6. 間違いのある逆伝播と、その見つけ方
# 7. 二つのバックエンドの 1 エポックの時間
# 8. ネットワークのすべての数を 1 つのページで見る
#
# 文字と名前は『ゼロから作る Deep Learning』に合わせています。
# `x` は入力、`t` は教師データ、`W` と `b` は重みとバイアス、`dW` は損失の `W` に関する勾配です。
# 本文の数値は、MNIST の全 70,000 枚を使ったときのものです。
# 6 節には Keras、8 節にはラボのパッケージが必要です（プロジェクトのフォルダーで `python -m pip install -e '.[keras,lab]'`）。
# 図の中の語は英語です（日本語フォントのない環境でも表示できるように）。

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

from scratch.gradients import partial_derivative
from scratch.images import prepare
from scratch.utils import set_random_seed

set_random_seed(0)  # 毎回同じ重みと、同じ順序の数字になる
plt.rc("figure", dpi=90)
plt.rc("figure.constrained_layout", use=True)
plt.rc("image", cmap="gray_r", interpolation="nearest")

# %% [markdown]
# ## 1. プログラム
#
# import 文の `keras` を `scratch` に置き換えただけです。

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
# パラメーターは記事と同じ 227,670 個です。
# 3 節で使うために、1 層目の重みの初期値を `W0` として取っておきます。

# %%
W0 = model.layers[0].params["W"].copy()

model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
first = model.fit(x_train, y_train, batch_size=100, epochs=10, validation_data=(x_test, y_test))

# %% [markdown]
# 10 エポック後のテストデータの正答率（`val_accuracy`）は 0.940 です。
# 記事の表はここから始まります。表の 1 行目の損失は 0.1978 ですが、上の最初のエポックでは 1.0402 です。
# 記事の表は、`fit` のセルをもう一度実行し、学習済みの重みから続けたときのものです。

# %%
second = model.fit(x_train, y_train, batch_size=100, epochs=10, validation_data=(x_test, y_test))

# %%
article = {  # 記事の表のエポック 1～10
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
# 線は記事の点の上を通り、差は最大でも 0.0034 です。
# 数値が完全には一致しないのは、重みの初期値と数字の順序が乱数で決まり、記事にはシードが書かれていないためです。
# 学習データの損失と正答率は、重みが変わっていく 1 エポックの間の平均です。テストデータのものは、エポックの終わりに測った値です。
#
# ## 2. 数字 1 枚がネットワークを通るようす
#
# 数字をここで描き、MNIST の数字と同じように加工します。
# 高さを 20 ピクセルにし、縁を灰色にして、重心を 28 × 28 ピクセルの中央に置きます。

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
# `model.trace(x, t)` は順伝播と逆伝播を 1 回ずつ行い、すべての配列を計算した順に返します。モデルは変わりません。
# `out` は層の出力、`dx` は層の入力に関する勾配です。

# %%
trace_of_five = model.trace(x5, t5)
for name, array in trace_of_five.items():
    print(f"{name:18}{array.shape!s:14}min {array.min():9.2e}   max {array.max():9.2e}")

# %% [markdown]
# 隠れ層の出力を図で見ます。1 個のユニットが 1 個のマスです。
# 1 層目の 256 個は 16 × 16、2 層目の 100 個は 10 × 10 に並べました。
# 赤は正、青は負の値です。ReLU は負の値を 0 にします。


# %%
def draw_signed(panel, array, title, limit=None):  # 赤は正、青は負、白は 0
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
# `dense/out` の値は、どれも `out[j] = Σ x[i]·W[i, j] + b[j]` という和です。
# 出力が最も大きいユニットについて、784 個の積を図にします。
# `x` が 0 の場所では積も 0 です。

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
# ## 3. 学習した重み
#
# 1 層目のうち、重みが最も大きく変わった 8 個のユニットです。それぞれの 784 個の重みを図にしました。
# 初期値 `W0` は乱数です。
# 学習したのは `W − W0` ですが、`W` では初めの乱数がそのまま残っていて、それに隠れています。

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
# 周辺部では `W − W0` がちょうど 0 です。
# 勾配 `dW[i, j] = Σ x[n, i]·dout[n, j]` は、バッチの数字 `n` についての和です。
# あるピクセル `x[n, i]` がすべての数字で 0 なら、どの項も 0 なので、重みは乱数の初期値のまま変わりません。
# MNIST では、784 個のピクセルのうち 67 個が、学習用の 60,000 枚すべてで 0 です。

# %%
always_zero = (x_train == 0).all(axis=0)
print(f"pixels that are always 0: {always_zero.sum()}")
print(f"weights of these pixels that have changed: {(W != W0)[always_zero].sum()} of {W[always_zero].size}")
print(f"weights of the other pixels that have changed: {(W != W0)[~always_zero].mean():.1%}")

# %% [markdown]
# ## 4. 勾配を手で計算する
#
# ネットワーク全体を NumPy の float64 で計算します。データは学習用の最初の 100 枚です。
# まず順伝播、次に逆伝播です。
# softmax と交差エントロピーを合わせた勾配は `(y − t) / N` です。
# ReLU は出力が正のところだけ勾配を通します。
# Dense 層は `dW` と `db`、そして一つ前の層へ渡す勾配を計算します。

# %%
x, t = x_train[:100], y_train[:100]
W1, b1, W2, b2, W3, b3 = (array.astype("float64") for array in model.get_weights())


def forward(x):  # 隠れ層の出力 (N, 256) と (N, 100)、確率 (N, 10)
    h1 = np.maximum(x @ W1 + b1, 0)
    h2 = np.maximum(h1 @ W2 + b2, 0)
    e = np.exp(h2 @ W3 + b3)
    return h1, h2, e / e.sum(axis=1, keepdims=True)


def loss():  # バッチで平均した交差エントロピー
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
# モデルは float32 で計算するので、有効数字は約 7 桁です。
# 最大の差を、勾配の最大の要素で割って表示します。

# %%
trace = model.trace(x, t)
by_hand = {"dense/dW": dW1, "dense/db": db1, "dense_1/dW": dW2, "dense_1/db": db2}
by_hand |= {"dense_2/dW": dW3, "dense_2/db": db3}
errors = {name: abs(trace[name] - array).max() / abs(array).max() for name, array in by_hand.items()}
for name, error in errors.items():
    print(f"{name:12}{trace[name].shape!s:12}relative difference {error:.1e}")

# %% [markdown]
# 両方に同じ間違いがあるかもしれません。
# 数値微分には勾配の式がいりません。
# 重み 1 個を ±0.0001 と ±0.0002 だけ変え、4 個の損失から傾きを求めます。
# 重み 1 個につき順伝播が 4 回必要なので、ここでは各層の 20 個だけを調べます。
# 勾配が最大値の 1 % を超える重みから、ランダムに選びます。

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
# 点はすべて直線の上にあります。誤差逆伝播法で求めた値は、確かに損失の勾配です。
#
# ## 5. 重み 1 個の更新
#
# SGD は `W ← W − η·dW` を計算します。学習率 η は 0.01 です。
# 最後の層で勾配が最も大きい重みを見ます。

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
def loss_with(w):  # W3[i, j] = w とし、ほかの重みは更新前のままにした損失
    kept, W3[i, j] = W3[i, j], w
    value = loss()
    W3[i, j] = kept
    return value


w0, w1 = float(before[i, j]), float(after[i, j])
step = abs(w1 - w0)
figure, panels = plt.subplots(1, 2, figsize=(10, 3.5))
views = {"the loss along this weight": 1.5, "the step": 2 * step}  # 図の幅の半分
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
# 勾配は曲線の傾きで、更新は損失が減る方向に進みます。
# 1 回の更新はとても小さいので、左の図では二つの点が重なります。
# 右の図では、曲線と接線がほとんど同じ直線に見えます。
# 227,670 個のパラメーターすべてが、このような更新を同時に、1 エポックに 600 回行います。
#
# ## 6. 間違いのある逆伝播
#
# 本のスタイルで書いたネットワークに、間違いが一つあります。
# `np.sum(dout)` に `axis=0` がないので、`b2` の勾配は 10 個ではなく 1 個の数になります。
# NumPy はその数をブロードキャストするので、エラーになりません。


# %%
class Net:
    def __init__(self, inputs, hidden, classes):
        rng = np.random.default_rng(0)
        self.params = {"W1": rng.normal(0, 0.1, (inputs, hidden)), "b1": np.zeros(hidden)}
        self.params |= {"W2": rng.normal(0, 0.1, (hidden, classes)), "b2": np.zeros(classes)}

    def logarithms(self, x):  # 確率の対数 (N, クラス数)
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
        grads = {"W2": self.h.T @ dout, "b2": np.sum(dout)}  # 間違い
        dout = dout @ self.params["W2"].T * (self.h > 0)
        return grads | {"W1": x.T @ dout, "b1": np.sum(dout, axis=0)}


class Corrected(Net):
    def gradient(self, x, t):
        dout = (self.predict(x) - t) / len(x)
        return super().gradient(x, t) | {"b2": np.sum(dout, axis=0)}


# %% [markdown]
# 正答率を見れば分かるでしょうか。
# 二つのネットワークに、同じ初期値から同じ 20,000 枚を学習させます。
# 2 エポック、バッチサイズ 100、学習率 0.1 です。


# %%
def train(net):  # 20 ステップごとのテスト正答率を返す
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
# 分かりません。二つの曲線はほとんど同じです。
# `parity_tests` は正答率ではなく、すべてのテンソルを Keras と比べます。
# どこで違うかを示し、どの間違いを入れれば参照用のネットワークが同じ数値を返すかを探します。

# %%
from parity_tests.checking import check_implementation

diagnosis = check_implementation(Net, (20, 16, 5))
print(diagnosis)

# %% [markdown]
# 出力（outputs）と損失（loss）は正しく、勾配（gradients）はどの状況でも違います。
# 指摘 1 が間違いの内容です。「`db` が 1 個の数 `np.sum(dout)` になっている。`np.sum(dout, axis=0)` でなければならない」。
# 全クラスの和は常に 0 なので、`b2` はまったく変わりません。
# もう一方のネットワークには `axis=0` があります。

# %%
corrected = check_implementation(Corrected, (20, 16, 5))
print(corrected)

# %% [markdown]
# ノートブックを使わずに調べるには `python -m parity_tests --implementation my_network.py:Net` を実行します。
#
# ## 7. 1 エポックの時間
#
# `backend="numpy"` は NumPy だけで計算し、読むために書かれています。
# 既定の `backend="numba"` は、コンパイルした学習ステップを実行します。
# ここでは記事のネットワークに 20,000 枚を交互に学習させます。
# 点は 1 回ごとの時間、棒は最も速い回です（ほかのプログラムの影響が最も少ない回）。
# 比はマシンと、そのとき動いているほかのプログラムによって変わります。
# `python -m benchmarks` はより正確に測り、Keras、PyTorch、JAX とも比べます。


# %%
def build(backend):  # 記事のネットワーク
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
    times = np.array(seconds[backend][1:]) / fastest  # コンパイルを含むことがある 1 回目を除く
    panel.barh(row, times.min(), height=0.5, alpha=0.4)
    panel.plot(times, [row] * len(times), "k.")
panel.set(xlabel="time of an epoch ÷ fastest epoch of numba", yticks=range(2), yticklabels=list(seconds))
plt.show()
print(f"numpy ÷ numba, fastest runs: {min(seconds['numpy'][1:]) / fastest:.1f}")

# %% [markdown]
# ## 8. すべての数を 1 つのページで
#
# `show(model)` は、このノートブックのモデルでスタディラボを開きます。数字を描き、値を選んでその計算をたどり、さらに学習させて重みの変化を観察できます。
# ページはセルの下に表示されます。ノートブック自身のプロセスが配信するので、自分のマシンの Jupyter や VS Code で実行している間だけ使えます。画面は次のとおりです。
#
# ![スタディラボ: 数字、ネットワークの 1 ステップ、1 つの値のもとになる積](../lab.png)
#
# ページはこのモデルそのものを学習させます。`page.close()` で終わると、再び `fit` で学習できます。

# %%
from scratch.lab import show

page = show(model)
page

# %% [markdown]
# ## さらに読む
#
# - [`scratch`](../../README.md): 1 時間で読む順路、学習 1 ステップの図、本の章とコードの対応表（英語）
# - [`parity_tests`](../../../parity_tests/README.md): 自作のネットワークの検査、許容誤差の根拠（英語）
# - [`benchmarks`](../../../benchmarks/README.md): 測定結果（英語）
