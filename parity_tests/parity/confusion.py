"""``python -m parity_tests.parity.confusion``: which mistakes are named when faults are planted into foreign networks.

It prints the table of ``diagnosis/README.md``; with ``--all``, also one line for each fault.  It takes some minutes.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from parity_tests.diagnosis.mistakes import MISTAKES
from parity_tests.implementations.protocol import CannotRunError
from parity_tests.parity.foreign_faults import Fault, diagnosis_of
from parity_tests.parity.networks import book_faults, torch_faults
from scratch.utils import print_now

FAULTS: dict[str, list[Fault]] = {"book_style": book_faults.FAULTS, "torch_style": torch_faults.FAULTS}
DTYPES = ("float64", "float32")
REFUSED = "the exception of the network"
FAMILIES = {mistake.name: mistake.change.__module__.rpartition(".")[2] for mistake in MISTAKES} | {REFUSED: "exception"}
OTHERS = "side effects"  # findings that are not in the dictionary: modified arguments, dtypes


class Result(NamedTuple):
    """What was planted, the findings one of which must be the first, and those that were made, first one first."""

    fault: str
    right: tuple[str, ...]
    found: list[str]

    @property
    def family(self) -> str:
        """The module of the dictionary that has the mistake."""
        return FAMILIES.get(self.right[0], OTHERS)

    @property
    def verdict(self) -> str:
        """Whether the first finding is right."""
        return "MISSED" if not self.found else "right" if self.found[0] in self.right else "WRONG"


def found_in(fault: Fault, network: str, dtype: str | None) -> list[str]:
    """Return the names of the findings in a network with a fault, first one first; its exception if it is refused.

    Raises:
        CannotRunError: if another network cannot be run, or with another exception.
    """
    try:
        report = diagnosis_of(fault.factory(network, dtype), **fault.settings)
    except CannotRunError as error:
        if fault.refused and fault.refused in str(error):
            return [REFUSED]
        raise
    return list(dict.fromkeys(finding.name for finding in report.findings))


def results_of(network: str, dtype: str) -> list[Result]:
    """Return the results for all faults of a network that can be seen in a dtype."""
    faults = [fault for fault in FAULTS[network] if dtype in fault.dtypes]
    return [Result(f.name, (REFUSED,) if f.refused else f.mistakes, found_in(f, network, dtype)) for f in faults]


def confusion_table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a table in Markdown of what was planted, what may be found, and what was found."""
    yield from ("| planted fault | right diagnosis | found | first |", "|---|---|---|---|")
    for result in results:
        yield f"| {result.fault} | {' or '.join(result.right)} | {', '.join(result.found) or '-'} | {result.verdict} |"


def summary(columns: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    """Yield a table of how many first findings are right, by family, and every result whose first one is not."""
    yield f"| family | {' | '.join(columns)} |"
    yield "|---|" + "---|" * len(columns)
    families = dict.fromkeys([*FAMILIES.values(), OTHERS])
    for family in [*families, "all"]:
        chosen = [[r for r in results if family in ("all", r.family)] for results in columns.values()]
        cells = [f"{sum(r.verdict == 'right' for r in part)} of {len(part)}" if part else "-" for part in chosen]
        if set(cells) != {"-"}:
            yield f"| {family} | {' | '.join(cells)} |"
    yield from ("", "| network | planted fault | right diagnosis | found |", "|---|---|---|---|")
    for name, results in columns.items():
        for r in results:
            if r.verdict != "right":
                yield f"| {name} | {r.fault} | {' or '.join(r.right)} | {', '.join(r.found) or 'not detected'} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and return the exit status: 0."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.parity.confusion", description=__doc__)
    parser.add_argument("--all", action="store_true", help="also print one line for each fault")
    options = parser.parse_args(arguments)
    columns: dict[str, list[Result]] = {}
    for network, dtype in product(FAULTS, DTYPES):
        name = f"{network}, {dtype}"
        columns[name] = results_of(network, dtype)
        for line in (name, "", *confusion_table(columns[name]), "") if options.all else ():
            print_now(line)
    for line in summary(columns):
        print_now(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
