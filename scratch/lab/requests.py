"""The form of requests and answers, and the checks of a request's fields."""

from typing import Any

from scratch.lab.texts import LabError
from scratch.utils import Array

Fields = dict[str, Any]
Answer = tuple[Fields, dict[str, Array]]  # the fields of a result, and its arrays


def take(fields: Fields, name: str, kind: type, *, optional: bool = False) -> Any:
    """Return a field of a request.

    Raises:
        LabError: if it is missing or of another type.
    """
    value = fields.get(name)
    if value is None and optional:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():  # JavaScript writes 10²³ as 1e+23
        value = int(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise LabError("bad field", field=name, expected=kind.__name__, got=repr(value)[:40])
    return value


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise a ``LabError`` if the number in a field of a request is not in the range, whose ends belong to it."""
    if not low <= value <= high:
        raise LabError("out of range", field=name, low=low, high=high, got=str(value).removesuffix(".0")[:40])
