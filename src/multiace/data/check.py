"""`check_files`: all that can be said against data before anything trains on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiace.data.atomic_energies import (
    composition,
    dependent_elements,
    is_isolated_atom,
    isolated_atom_energies,
    null_space,
)
from multiace.data.errors import DataError, DataWarning, Findings
from multiace.data.frame_reader import LabelNames
from multiace.data.strict import Reading, scan_files
from multiace.elements import sorted_elements, symbol_of
from multiace.geometry import Structure


@dataclass(frozen=True)
class Check:
    """What a check has found.

    Args:
        reading: the structures that could be read.
        findings: problems and warnings.
    """

    reading: Reading
    findings: Findings

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return {
            "files": list(self.reading.files),
            "structures": [len(structures) for structures in self.reading.sets],
            "n_problems": self.findings.n_problems,
            "n_warnings": self.findings.n_warnings,
            "problems": [problem.to_json() for problem in self.findings.problems],
            "warnings": [warning.to_json() for warning in self.findings.warnings],
        }


def check_files(
    files: Sequence[str],
    names: LabelNames = LabelNames(),  # noqa: B008, frozen
    *,
    unit_check: bool = True,
) -> Check:
    """Check files as training does, and what they are to one another.

    Beyond `read_files`, labels under names that are not read are problems, and reference energies
    that least squares could not find are warnings.

    Args:
        files: paths, or `bundled:NAME`.
        names: names of the labels.
        unit_check: check units, signs and orders of components.

    Example:
        >>> check = check_files(["bundled:malonaldehyde/stretch"])
        >>> check.findings.n_problems, len(check.reading.structures)
        (0, 33)
    """
    findings = Findings()
    reading = scan_files(files, names, findings, unit_check=unit_check, unread_labels=DataError)
    findings.extend(_references(reading.structures))
    return Check(reading, findings)


def _references(structures: Sequence[Structure]) -> Iterator[DataWarning]:
    """Yield why E0 cannot come from these files."""
    condensed = [s for s in structures if s.labels.energy is not None and not is_isolated_atom(s)]
    if not condensed:
        return
    elements = sorted_elements(n for s in condensed for n in set(s.numbers.tolist()))
    try:
        known = set(isolated_atom_energies(structures))
    except DataError:  # a problem of its own
        return
    missing = [symbol_of(number) for number in elements if symbol_of(number) not in known]
    dependent = dependent_elements(np.array([composition(s, elements) for s in condensed]))
    if missing and dependent:
        yield DataWarning(
            f"E0 cannot come from these files: there is no isolated atom of {', '.join(missing)}, "
            f"and the compositions have rank {len(elements) - len(dependent)} for {len(elements)} "
            f"elements ({null_space(elements, dependent)})",
            field="energy",
            hint="Add isolated atoms or give their energies.",
        )
