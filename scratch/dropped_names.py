"""Names that Keras 3 has dropped, or scratch lacks, and what takes their place: errors say it in one sentence."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from opcode import opmap
from types import ModuleType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

MODULES = {  # of the package: what to import instead
    "utils.np_utils": "from scratch.utils import to_categorical, normalize",
    "utils.vis_utils": "from scratch.utils import plot_model",
    "layers.core": "from scratch.layers import Dense, Activation, Dropout, Flatten",
    "layers.normalization": "from scratch.layers import …",
    "layers.advanced_activations": "from scratch.layers import …",
}
METHODS = {  # of a model
    "predict_classes": "predict(x).argmax(axis=-1)",
    "predict_proba": "predict(x)",
    "fit_generator": "fit(generator, …)",
    "evaluate_generator": "evaluate(generator, …)",
    "predict_generator": "predict(generator, …)",
}
OVERRIDDEN = {  # methods that Keras calls if a subclass defines them: what scratch calls
    "call": "forward(x) and backward(dout)",
    "test_step": "evaluate(x, y)",
    "predict_step": "predict(x)",
}
LISTED = {  # what an error names of a module with many names that are not Keras's
    "scratch.models": ["Sequential", "load_model", "save_model", "model_from_json", "clone_model"],
    "scratch.utils": ["PyDataset", "clear_session", "normalize", "plot_model", "set_random_seed", "to_categorical"],
    "scratch.backend": ["clear_session", "epsilon", "floatx", "image_data_format"],
}
DEFAULTS: dict[str, dict[str, Sequence[object]]] = {  # of arguments that Keras has and scratch lacks, by their owner
    "compile": {"steps_per_execution": [1], "jit_compile": ["auto", False, None], "auto_scale_loss": [True]},
    "summary": {"positions": [None], "layer_range": [None], "expand_nested": [False], "show_trainable": [False]},
    "save": {"zipped": [None, True], "include_optimizer": [True]},
    "load_model": {"custom_objects": [None, {}], "safe_mode": [True]},
    "Layer": {"trainable": [True], "activity_regularizer": [None]},
    "Input": {"batch_size": [None], "sparse": [None, False], "tensor": [None], "optional": [False]},
    "Dense": {
        "kernel_constraint": [None],
        "bias_constraint": [None],
        "lora_rank": [None],
        "quantization_config": [None],
    },
    "Dropout": {"noise_shape": [None]},
    "Flatten": {"data_format": [None]},
    "ReLU": {"max_value": [None], "negative_slope": [0, 0.0], "threshold": [0, 0.0]},
    "Softmax": {"axis": [-1]},
    "BatchNormalization": {
        **{f"{name}_{kind}": [None] for name in ("beta", "gamma") for kind in ("regularizer", "constraint")},
        "synchronized": [False],
    },
    "Loss": {
        "name": [
            *("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"),
            *("mean_squared_error", "mean_absolute_error"),
        ],
        "dtype": [None, "float32"],
    },
    "Crossentropy": {"axis": [-1]},
    "SparseCategoricalCrossentropy": {"ignore_class": [None]},
    "Metric": {"dtype": [None, "float32"]},
    "LearningRateSchedule": {"name": ["ExponentialDecay", "PiecewiseConstant"]},
    "plot_model": {"show_dtype": [False], "expand_nested": [False], "show_trainable": [False], "splines": ["ortho"]},
    "Optimizer": {
        "name": ["SGD", "adam", "Adam", "rmsprop", "RMSprop", "adagrad", "Adagrad"],
        "use_ema": [False],
        "ema_momentum": [0.99],
        "ema_overwrite_frequency": [None],
        "loss_scale_factor": [None],
        "gradient_accumulation_steps": [None],
    },
}
HISTORY = {"acc": "accuracy", "val_acc": "val_accuracy"}


def refuse_keras_methods(cls: type) -> None:
    """Raise a ``TypeError`` if a subclass of a layer or a model defines a method that only Keras would call."""
    for name in OVERRIDDEN.keys() & vars(cls).keys():
        if "forward" not in vars(cls):
            raise TypeError(f"{cls.__name__} defines {name}, which scratch does not call; define {OVERRIDDEN[name]}.")
    step = vars(cls).get("train_step")
    if step is not None and len(inspect.signature(step).parameters) < 3:
        raise TypeError(f"{cls.__name__}.train_step must be train_step(self, x, y, sample_weight=None) in scratch.")


class DroppedModule(ModuleType):
    """A module that Keras no longer has; taking anything from it raises an ``ImportError`` that says what to import."""

    def __getattr__(self, name: str) -> Any:
        """Raise the error, except for the attributes that the import system itself looks for."""
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__.partition(".")[2]
        raise ImportError(f"Keras 3 has no module {module}, and neither has scratch; write {MODULES[module]!r}.")


def register(package: str) -> None:
    """Let ``import`` find the dropped modules of a package."""
    for name in MODULES:
        sys.modules[f"{package}.{name}"] = DroppedModule(f"{package}.{name}")


def refuse_unknown_names(*modules: ModuleType) -> None:
    """Let a name that a module does not have raise an error of one sentence, which lists what there is.

    Type checkers do not see these functions, and so still report such a name.
    """
    for module in modules:
        vars(module)["__getattr__"] = _unknown_name(module, vars(module).get("__getattr__"))


def _unknown_name(module: ModuleType, load: Callable[[str], Any] | None) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that asks ``load``, its own one, and then raises the error."""

    def find(name: str) -> Any:
        if load is not None and name in (*dir(module), *LISTED.get(module.__name__, ())):  # imported on first use
            return load(name)
        if name.startswith("_") or f"{module.__name__}.{name}" in sys.modules:  # the import system takes it from there
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        frame = sys._getframe(1)
        # An import statement would replace an AttributeError, and hasattr passes an ImportError on.
        is_import = frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]
        raise (ImportError if is_import else AttributeError)(f"{module.__name__} has no {name}{_instead(module, name)}")

    return find


def _instead(module: ModuleType, name: str) -> str:
    """Return the end of the error: what to use instead of a name that the module does not have."""
    if name == "Model":
        return ", as scratch has no functional API; list the layers in a Sequential model."
    if module.__name__ == "scratch.ops":
        return ", as it is not keras.ops; use NumPy."
    values = vars(module)
    own = [key for key, value in values.items() if getattr(value, "__module__", "") == module.__name__]
    names = LISTED.get(module.__name__) or values.get("__all__") or own
    listed = (key for key in names if key[0] != "_" and not isinstance(values.get(key), tuple | list | dict))
    return f"; it has {', '.join(listed)}."


def unknown_arguments(given: Mapping[str, object], *owners: str) -> list[str]:
    """Return the names of arguments that ``DEFAULTS`` does not have with their value: Keras's defaults change nothing.

    Args:
        given: values by name.
        *owners: the method, or the class and its base classes.
    """
    known = {name: values for owner in owners for name, values in DEFAULTS.get(owner, {}).items()}
    return [
        name
        for name, value in given.items()
        if not any(type(value) is type(default) and value == default for default in known.get(name, ()))
    ]


def refuse_unknown_arguments(label: str, given: Mapping[str, object], *owners: str) -> None:
    """Raise a ``TypeError``, which calls the function or class ``label``, if there are ``unknown_arguments``."""
    if names := unknown_arguments(given, *owners):
        raise _unknown(label, names)


def refuse_in_constructor(new: object, given: Mapping[str, object]) -> None:
    """Do as ``refuse_unknown_arguments`` for the constructor of a new object; the error also corrects the spelling."""
    cls = type(new)
    if names := unknown_arguments(given, *(base.__name__ for base in cls.__mro__)):
        raise _unknown(cls.__name__, names, sorted(set(_arguments(cls)) - given.keys()))


def _unknown(label: str, names: Sequence[str], arguments: Sequence[str] = ()) -> TypeError:
    """Return the error for unknown arguments; it names one of ``arguments`` that is spelled like one of them."""
    from difflib import get_close_matches  # only for an error

    meant = [match for name in names for match in get_close_matches(name, arguments, 1, 0.8)]
    hint = f"; it has {meant[0]!r}" if meant else ""
    return TypeError(f"scratch's {label} has no argument {', '.join(map(repr, names))}{hint}.")


def _arguments(cls: type) -> Iterator[str]:
    """Yield the names of the arguments of a class of scratch, or derived from one."""
    for base in cls.__mro__:
        if base is cls or base.__module__.partition(".")[0] == "scratch":
            for name, parameter in inspect.signature(base).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY or (
                    base is cls and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                ):
                    yield name


def renamed(**new_names: str) -> Callable[[F], F]:
    """Let a function raise a ``TypeError`` that says how an argument is called now.

    Args:
        **new_names: the new name by the old one.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            for old in named.keys() & new_names.keys():
                owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
                raise TypeError(f"{owner} has no argument {old!r}; Keras 3 calls it {new_names[old]!r}.")
            return function(*arguments, **named)

        return cast(F, call)

    return decorate


class HistoryDict(dict[str, list[float]]):
    """Values by name; a name that Keras has dropped raises a ``KeyError`` that says the new one."""

    def __missing__(self, name: str) -> list[float]:
        """Raise the error."""
        if name in HISTORY and HISTORY[name] in self:
            raise KeyError(
                f"Keras 3 calls {name!r} {HISTORY[name]!r}, unless the model is compiled with metrics=['acc']."
            )
        raise KeyError(name)
