"""PyTorch: a hand-written training loop over ``nn.Sequential``."""

from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.peers.base import Peer, batch_indices
from benchmarks.tasks import LEARNING_RATE, Array, Task


class TorchPeer(Peer):
    """The training loop that a PyTorch user writes: gather a batch, forward, backward, update, loss and accuracy."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        widths = [task.x.shape[1], *task.hidden]
        layers = [layer for a, b in zip(widths, task.hidden, strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.model = nn.Sequential(*layers, nn.Linear(widths[-1], task.classes))
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE)
        self.x, self.labels = torch.from_numpy(task.x), torch.from_numpy(task.labels)

    def set_weights(self, weights: Sequence[Array]) -> None:
        with torch.no_grad():
            for parameter, W in zip(self.model.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(W.T))  # nn.Linear stores W as (outputs, inputs)

    def get_weights(self) -> list[Array]:
        return [parameter.detach().numpy().T.copy() for parameter in self.model.parameters()]

    def train(self, samples: int, shuffle: bool) -> None:
        total, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for indices in torch.from_numpy(batch_indices(samples, self.task.batch_size, shuffle)):
            x, labels = self.x[indices], self.labels[indices]
            self.optimizer.zero_grad()
            logits = self.model(x)
            loss = self.loss(logits, labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
            correct += (logits.argmax(1) == labels).sum()

    def predict(self, x: Array) -> Array:
        with torch.inference_mode():
            return self.model(torch.from_numpy(x)).softmax(1).numpy()
