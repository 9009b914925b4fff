"""The terms of the report pages."""

from parity_tests.report.html import Markup, definitions

GLOSSARY = {
    "bound": "The largest difference that rounding can cause, computed for each entry by the error model, that is, the "
    "network in float64 with a bound on the error beside every number. A difference above it is a mistake.",
    "part of its bound": "Difference divided by bound, at the entry where this is largest: “3 % of 1e-07” is a "
    "difference of 3e-09 where 1e-07 is allowed; “20 × 1e-07” is a failure. “equal” is no difference at all.",
    "difference": "The absolute difference between scratch (or the network under test) and Keras.",
    "ULP": "Unit in the last place: the distance between two neighbouring floating-point numbers, about 1.2e-07 of a "
    "number in float32 and 2.2e-16 in float64.",
    "RMS distance from float64": "The root mean square of a tensor's errors, measured against the same network in "
    "float64. It compares the accuracy of the programs, where a bound only limits it.",
    "layer by layer": "The code that runs one operation after another, as on the numpy backend. The numba backend runs "
    "it, with compiled operations, for everything but usual training.",
    "fused step": "The numba backend's compiled training step: forward pass, backward pass and update in one call.",
    "shared code": "Code that does not depend on the backend; its checks run once.",
    "lock-step": "Training of both programs from the same weights on the same batches, compared after each step.",
    "central differences": "A numerical derivative: (f(x + h) − f(x − h)) / 2h, improved with steps of 2h, in float64.",
    "situation": "Weights and a batch that reveal certain mistakes, for example exact zeros before a ReLU.",
    "follows from": "The entry is wrong only because an earlier one is: mending the finding with this number mends it.",
}
OWN_SUITE = tuple(term for term in GLOSSARY if term not in ("situation", "follows from"))
NETWORK = ("bound", "part of its bound", "ULP", "central differences", "situation", "follows from")


def glossary(terms: tuple[str, ...]) -> Markup:
    """Return the meaning of terms; each has the anchor glossary-term."""
    return definitions([(term, GLOSSARY[term]) for term in terms], "glossary-")
