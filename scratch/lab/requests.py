"""The form of requests and answers, and the check of a request's fields."""

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
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise LabError("bad field", name=name, expected=kind.__name__, got=repr(value)[:40])
    return value
