"""``Session``: what all tabs of a lab share, the model, the data and the training; ``View``: what one tab looks at."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scratch.article import build_model, compile_model
from scratch.callbacks import BackupAndRestore
from scratch.classifiers import check_classifier, image_inputs
from scratch.datasets import mnist
from scratch.lab.digits import Digit, targets
from scratch.lab.frames import FrameMaker
from scratch.lab.inspection import Inspection, inspect
from scratch.lab.representation import Representation
from scratch.lab.states import State, network_at
from scratch.lab.texts import LabError, Language
from scratch.lab.training import Training
from scratch.lab.worker import Worker
from scratch.layers import Activation
from scratch.models import Sequential, load_model
from scratch.utils import Array, clear_session, set_random_seed


class Session:
    """The model, the data and the training of one lab.

    Args:
        model: the compiled model.
        data: the digits.
        source: the file of the model; None for the article's network.
        backup: resumes the training, and saves it.

    Raises:
        ValueError: if the model does not accept the images, or the data has more classes than the model.
    """

    def __init__(
        self, model: Sequential, data: mnist.Dataset, source: str | None = None, backup: BackupAndRestore | None = None
    ) -> None:
        self.model, self.data, self.source = model, data, source
        self.classes = check_model(model, data, source or f"Model {model.name!r}")
        self.digit: Digit | None = None  # the last one that a tab has chosen, with which a new tab begins
        self.listeners: set[Callable[[], None]] = set()  # called in the training's thread when there is news
        (x, y), (x_test, y_test) = [(image_inputs(model, images), labels) for images, labels in (data.train, data.test)]
        train, test = (x, targets(model, y, self.classes)), (x_test, targets(model, y_test, self.classes))
        self.make_frame = FrameMaker(model, train, (x_test, y_test), data.train[0].shape[1:])
        self.worker = Worker()
        self.representation = Representation(model, *data.test)
        self.training = Training(model, train, test, self.make_frame, self._notify, backup)

    def _notify(self) -> None:
        for listener in list(self.listeners):
            listener()

    def state(self, snapshot: int | None = None) -> State:
        """Return the present state, or that of a snapshot."""
        return self.training.take() if snapshot is None else self.training.snapshots[snapshot]

    def close(self, timeout: float | None = 1) -> None:
        """End the training's thread and the process that runs Keras, and give the model its own methods back.

        Args:
            timeout: seconds to wait for the thread; one that compiles kernels ends with the process.  None: no limit.
        """
        self.worker.close()
        self.training.end(timeout)
        self.training.release()

    def network(self, snapshot: int | None = None) -> Sequential:
        """Return a network with the present weights, or those of a snapshot; training does not change it."""
        return network_at(self.model, self.state(snapshot))


@dataclass
class View:
    """What one tab looks at.

    Attributes:
        session: what all tabs share.
        language: of the sentences that the tab gets.
        digit: its digit.
        notify: sends it an event.
        compared: the arrays of its last comparison with Keras.
        hunt: level and seed of its last hunt.
    """

    session: Session
    language: Language = "en"
    digit: Digit | None = None
    notify: Callable[[dict[str, object]], None] = lambda event: None
    compared: dict[str, Array] = field(default_factory=dict)
    hunt: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)  # compare runs in another thread than the rest
    _inspections: dict[tuple[int | None, int], Inspection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digit = self.session.digit

    def choose(self, digit: Digit) -> None:
        """Look at a digit."""
        self.digit = self.session.digit = digit
        with self._lock:
            self._inspections.clear()

    def inspection(self, snapshot: int | None = None, renew: bool = False) -> Inspection:
        """Return all tensors of one step on the digit.

        Args:
            snapshot: the number of a snapshot, or None for the weights of the training.
            renew: whether to copy the training's weights again; the tensors of one ``trace`` belong together.
        """
        with self._lock:
            digit, session = self.digit, self.session
            if digit is None:
                raise LabError("no digit")
            key = snapshot, id(digit)
            if renew or key not in self._inspections:
                state = session.state(snapshot)
                x = np.asarray(image_inputs(session.model, digit.after[None]))
                label = digit.label
                if label is None:  # nobody has said which digit it is: the target is what the network takes it for
                    label = int(network_at(session.model, state)(x).argmax())
                y = targets(session.model, np.array([label]), session.classes)
                if len(self._inspections) >= 2:
                    self._inspections.clear()  # a trace of the article's network has 2 MB
                self._inspections[key] = inspect(session.model, state, x, y)
            return self._inspections[key]


def make_session(
    data: mnist.Dataset, file: str | None, seed: int = 0, backup: BackupAndRestore | None = None
) -> Session:
    """Return a session with the model of a file, or with the article's network and new weights.

    Raises:
        ValueError: if the file cannot be used.
    """
    if file is None:
        set_random_seed(seed)
        clear_session()
        classes = int(max(data.train[1].max(), data.test[1].max())) + 1
        height, width = data.train[0].shape[1:]
        model = build_model(inputs=height * width, classes=classes)
        compile_model(model)
        return Session(model, data, backup=backup)
    model = load_model(file)
    if model.loss is None:
        if model.built and model.last_layer.activation == "linear":
            model.add(Activation("softmax"))
        compile_model(model)
    return Session(model, data, file, backup)


def check_model(model: Sequential, data: mnist.Dataset, name: str) -> int:
    """Return the number of classes of a model.

    Raises:
        ValueError: if the model is no classifier, or does not accept the images, or the data has more classes; the text
            calls the model ``name``.
    """
    if any(isinstance(layer, Sequential) for layer in model.layers):
        raise ValueError("The lab needs a model whose layers are not models; put all layers in one model.")
    check_classifier(model, name)
    classes = (model.output_shape or (None, 0))[-1] or 0
    highest = int(max(data.train[1].max(), data.test[1].max()))
    if highest >= classes:
        raise ValueError(f"The model has the classes 0 to {classes - 1}; the data has {highest} too.")
    image_inputs(model, data.test[0][:1], name)
    return classes
