"""Find out from its signature how a method of a network under test is called."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What a parameter stands for, by its name in lower case.
ROLES = {
    "x": "x xs input inputs data image images batch_x x_batch xb x_train samples features",
    "t": "t target targets y ys label labels y_true t_true batch_y y_batch t_batch yb y_train t_train onehot one_hot",
    "out": "out output outputs y_hat yhat y_pred pred preds prediction predictions logits probs probabilities scores al",
    "rate": "rate learning_rate lr eta alpha step_size",
    "pairs": "mini_batch minibatch training_data train_data",
    "epochs": "epochs n_epochs num_epochs epoch iterations num_iterations n_iter max_iter steps",
    "size": "batch_size mini_batch_size minibatch_size",
    "gradients": "grads gradients",
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names.split()}


@dataclass(frozen=True)
class Method:
    """A method of a network.

    Attributes:
        name: its name.
        function: the bound method.
        roles: the role of each parameter that can be given.
        needed: the roles of the parameters without a default value.
    """

    name: str
    function: Callable[..., Any]
    roles: Mapping[str, str]
    needed: Collection[str]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Call the method with the values of its roles; values that it does not take are left out."""
        return self.function(**{name: values[role] for name, role in self.roles.items() if role in values})

    def takes(self, role: str) -> bool:
        """Return whether it has a parameter of this role."""
        return role in self.roles.values()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.roles)})"


def understand(name: str, function: Callable[..., Any]) -> Method | None:
    """Return how a method is called, or None if it has a required parameter whose role is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    roles = {p.name: ROLE_OF[p.name.lower()] for p in named if p.name.lower() in ROLE_OF}
    others = [name for name, role in roles.items() if role == "t" and name.lower() != "y"]
    for y in ("y", "Y"):  # the book's y is the output where there is a t as well
        if roles.get(y) == "t" and others:
            roles[y] = "out"
    for p in named:
        if p.name not in roles and p.default is p.empty:
            free = [role for role in ("x", "t") if role not in roles.values()]
            if not free or "out" in roles.values():
                return None
            roles[p.name] = free[0]
    return Method(name, function, roles, {roles[p.name] for p in named if p.default is p.empty})


def find_method(
    network: Any, names: Sequence[str], given: Collection[str], wanted: Collection[str] = ()
) -> Method | None:
    """Return the first method with one of these names that can be called.

    Args:
        network: the network under test.
        names: names of methods, most specific first.
        given: the roles for which there are values.
        wanted: roles that the method must have a parameter for.
    """
    for name in names:
        function = getattr(network, name, None)
        method = understand(name, function) if callable(function) else None
        if method and set(method.needed) <= set(given) and all(method.takes(role) for role in wanted):
            return method
    return None


def required_parameters(function: Callable[..., Any]) -> int | None:
    """Return the number of parameters without a default value, or None if it cannot be told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return sum(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
