"""Comparisons in JSON."""

import math
from typing import Any

from parity_tests.comparison import Comparison


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison with finite numbers: JSON has no infinity."""
    numbers = {"difference": comparison.difference, "bound": comparison.bound, "ratio": comparison.ratio}
    finite = {name: float(number) if math.isfinite(number) else str(number) for name, number in numbers.items()}
    return finite | {"failure": comparison.failure}
