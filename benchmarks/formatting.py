"""Format measurements for people."""

import math


def format_number(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def format_quantity(value: float, unit: str) -> str:
    """Return a time (unit ``'s'``) or a size (``'B'``) with three digits and a prefix: 0.0123 s is 12.3 ms."""
    scales = [(1, "s"), (1e-3, "ms"), (1e-6, "µs")] if unit == "s" else [(1e9, "GB"), (1e6, "MB")]
    scale, name = next((pair for pair in scales if value >= pair[0]), scales[-1])
    return f"{format_number(value / scale)} {name}"
