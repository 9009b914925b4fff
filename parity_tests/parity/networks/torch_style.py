"""A PyTorch module whose layers are hand-written functions with forward and backward.

The faults are edits of this text: some use tensors that the right functions only keep.
"""
# ruff: noqa: RET504, RUF059

from itertools import pairwise

import numpy as np
import torch
from torch.autograd import Function


def softmax(z):
    e = torch.exp(z - z.max(dim=1, keepdim=True).values)
    return e / e.sum(dim=1, keepdim=True)


class Affine(Function):
    """x·W + b."""

    @staticmethod
    def forward(ctx, x, W, b):
        ctx.save_for_backward(x, W)
        out = x @ W + b
        return out

    @staticmethod
    def backward(ctx, dout):
        x, W = ctx.saved_tensors
        dW = x.T @ dout
        db = dout.sum(dim=0)
        dx = dout @ W.T
        return dx, dW, db


class Relu(Function):
    """max(0, x)."""

    @staticmethod
    def forward(ctx, x):
        out = x.clamp(min=0)
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx, dout):
        x, out = ctx.saved_tensors
        return dout * (x > 0)


class Sigmoid(Function):
    """1 / (1 + exp(-x))."""

    @staticmethod
    def forward(ctx, x):
        out = torch.sigmoid(x)
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx, dout):
        x, out = ctx.saved_tensors
        return dout * out * (1 - out)


class Tanh(Function):
    """The hyperbolic tangent."""

    @staticmethod
    def forward(ctx, x):
        out = torch.tanh(x)
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx, dout):
        x, out = ctx.saved_tensors
        return dout * (1 - out**2)


class SoftmaxWithLoss(Function):
    """Softmax and the mean cross-entropy, differentiated together."""

    @staticmethod
    def forward(ctx, z, t):
        y = softmax(z)
        ctx.save_for_backward(y, t)
        c = z - z.max(dim=1, keepdim=True).values
        log_p = c - torch.log(torch.exp(c).sum(dim=1, keepdim=True))
        return -(t * log_p).sum() / len(t)

    @staticmethod
    def backward(ctx, dout):
        y, t = ctx.saved_tensors
        dz = (y - t) / len(t)
        return dout * dz, None


class Network(torch.nn.Module):
    """Dense layers with one activation function, a softmax, and the cross-entropy; in float32, as usual in PyTorch.

    Args:
        sizes: inputs, then the units of each layer.
        hidden: the class of the activation between the layers.
        dtype: the dtype in which it computes.
        momentum, nesterov, weight_decay: settings of SGD, with Keras's meaning.
    """

    def __init__(self, sizes, hidden="Relu", dtype="float32", momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__()
        self.dtype = getattr(torch, dtype)
        self.activation = globals()[hidden]
        shapes = [shape for inputs, units in pairwise(sizes) for shape in ((inputs, units), (units,))]
        self.weights = torch.nn.ParameterList([torch.zeros(shape, dtype=self.dtype) for shape in shapes])
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocities = {}

    def forward(self, x):
        layers = len(self.weights) // 2
        for i in range(layers):
            W, b = self.weights[2 * i], self.weights[2 * i + 1]
            x = Affine.apply(x, W, b)
            if i < layers - 1:
                x = self.activation.apply(x)
        return x

    def tensor(self, a):
        return torch.from_numpy(a).to(self.dtype)

    def get_weights(self):
        return [W.detach().numpy().copy() for W in self.weights]

    def set_weights(self, weights):
        with torch.no_grad():
            for W, new in zip(self.weights, weights, strict=True):
                W.copy_(torch.from_numpy(np.array(new)))

    def outputs(self, x):
        with torch.no_grad():
            return softmax(self(self.tensor(x))).numpy()

    def criterion(self, x, t):
        return SoftmaxWithLoss.apply(self(self.tensor(x)), self.tensor(t))

    def loss(self, x, t):
        with torch.no_grad():
            return self.criterion(x, t).numpy()

    def gradients(self, x, t):
        self.zero_grad()
        self.criterion(x, t).backward()
        return [W.grad.numpy().copy() for W in self.weights]

    def step(self, x, t, learning_rate):
        self.zero_grad()
        self.criterion(x, t).backward()
        with torch.no_grad():
            for key, W in enumerate(self.weights):
                grad = W.grad
                W -= learning_rate * self.weight_decay * W
                v = self.momentum * self.velocities.get(key, 0) - learning_rate * grad
                self.velocities[key] = v
                W += self.momentum * v - learning_rate * grad if self.nesterov else v
