"""Curves in the same style for all experiments."""

from typing import Any

from matplotlib.axes import Axes

from scratch.experiments.bench import Curve

# Paul Tol's bright scheme, distinguishable for the colour-blind; the line styles tell them apart without colour.
STYLES = [("#4477aa", "-"), ("#ee6677", "--"), ("#228833", "-."), ("#aa3377", ":")]


def draw_curves(axes: Axes, curves: dict[str, Curve], legend: bool = True, **labels: Any) -> None:
    """Draw the curves ``name: (x, y)``; values that are not finite leave a gap.

    Args:
        axes: where.
        curves: at most four.
        legend: whether to name the curves.
        **labels: ``title``, ``xlabel``, ``ylabel``, ``ylim`` and other properties of the axes.
    """
    for (name, (x, y)), (colour, style) in zip(curves.items(), STYLES, strict=False):
        axes.plot(x, y, style, color=colour, label=name, linewidth=1.8)
    axes.set(**labels)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(frameon=False)
