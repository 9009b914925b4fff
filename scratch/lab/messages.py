"""Binary messages: a JSON header and the arrays that it lists.

    uint32 little-endian   length of the header
    header                 UTF-8 JSON, padded with spaces until the arrays begin at a multiple of 8
    arrays                 each at the ``offset`` that the header names, a multiple of 8, from the end of the header

The server sends these messages to the page, and exchanges them with the process that runs Keras.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratch.utils import Array

Header = dict[str, Any]
ALIGNMENT = 8
DTYPES = ("uint8", "int32", "float32", "float64")


def pack(header: Header, arrays: Mapping[str, Array] | None = None) -> bytes:
    """Return a message.

    Args:
        header: JSON data; floats that are not finite become the texts "NaN", "Infinity" and "-Infinity".
        arrays: arrays of one of ``DTYPES`` by name.
    """
    listed, blocks, offset = [], [], 0
    for name, array in (arrays or {}).items():
        content = np.ascontiguousarray(array)
        if content.dtype.name not in DTYPES:
            raise ValueError(f"A message takes arrays of {', '.join(DTYPES)}; got {content.dtype} for {name!r}.")
        listed.append({"name": name, "dtype": content.dtype.name, "shape": list(np.shape(array)), "offset": offset})
        block = content.tobytes()
        blocks += [block, bytes(-len(block) % ALIGNMENT)]
        offset += len(block) + -len(block) % ALIGNMENT
    text = json.dumps(_finite(header | {"arrays": listed}), allow_nan=False).encode()
    text += b" " * (-(4 + len(text)) % ALIGNMENT)
    return b"".join([struct.pack("<I", len(text)), text, *blocks])


def unpack(message: bytes) -> tuple[Header, dict[str, Array]]:
    """Return the header and the arrays of a message.

    Raises:
        ValueError: if it is not a message.
    """
    try:
        (length,) = struct.unpack_from("<I", message)
        header: Header = json.loads(message[4 : 4 + length])
        arrays = {}
        for entry in header["arrays"]:
            dtype, count = np.dtype(entry["dtype"]), int(np.prod(entry["shape"], dtype=int))
            array = np.frombuffer(message, dtype, count, 4 + length + entry["offset"])
            arrays[entry["name"]] = array.reshape(entry["shape"])
    except (struct.error, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"A message with a header and arrays was expected ({error}).") from None
    return header, arrays


def _finite(value: Any) -> Any:
    """Return JSON data in which floats that JSON lacks are texts."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if np.isfinite(number) else str(number).replace("inf", "Infinity").replace("nan", "NaN")
    return int(value) if isinstance(value, np.integer) else value
