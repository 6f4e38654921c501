"""Factors of a study, and what their levels change in a training config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiace.presets.build import merge
from multiace.presets.load import design_fields
from multiace.study.errors import Places, StudyError

RESERVED = {
    "epochs": "the budget decides it",
    "minutes": "the budget decides it",
    "early_stopping": "runs would end after different budgets",
    "seed": "seeds are those of the study",
    "seeds": "seeds are those of the study",
    "out": "runs are kept in the directory of the study",
    "data.tests": "test sets are under evaluations",
    "log": "the study keeps the metrics of its runs",
    "fine_tuning": "runs of a study start from random weights",
}
"""Fields of the training config that a study sets itself, and why."""

_SHARED = {"device": "runs are computed alike", "kernels": "runs are computed alike"}
"""Fields that only the base may set, and why."""


@dataclass(frozen=True)
class Factor:
    """One choice.

    Args:
        name: of the choice.
        levels: names of its values; others are compared with the first.
        changes: for each level, dotted fields of the training config and their values.
    """

    name: str
    levels: tuple[str, ...]
    changes: tuple[Mapping[str, Any], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that any of the levels sets.

        Example:
            >>> Factor("T", ("2", "3"), ({}, {"design.layers": 3})).fields
            ('design.layers',)
        """
        return tuple(dict.fromkeys(field for change in self.changes for field in change))


def changed(content: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training config with dotted fields changed.

    A `design` as a whole, or one with a preset or a file, replaces the design; other groups are
    merged.

    Args:
        content: nested mappings, the design as its fields.
        change: dotted field -> value.

    Example:
        >>> changed({"design": {"layers": 2, "l_max": 1}}, {"design.layers": 3})
        {'design': {'layers': 3, 'l_max': 1}}
    """
    result = dict(content)
    for field, value in change.items():
        if field == "design":
            result["design"] = design_fields(value)
            continue
        nested = value
        for name in reversed(field.split(".")):
            nested = {name: nested}
        result = merge(result, nested)
    return result


def check_factors(factors: Sequence[Factor], places: Places) -> None:
    """Refuse factors whose levels cannot be told apart from others or from the study's own fields.

    Raises:
        StudyError: a reserved field, a field that two factors set, or two equal levels.
    """
    for factor in factors:
        key = f"factors.{factor.name}"
        for level, change in zip(factor.levels, factor.changes, strict=True):
            for field in change:
                _refuse_reserved(field, places.at(f"{key}.{level}.{field}"))
        for index, level in enumerate(factor.levels):
            for other in factor.levels[:index]:
                if factor.changes[factor.levels.index(other)] == factor.changes[index]:
                    raise StudyError(
                        f"factors.{factor.name}: the levels {other!r} and {level!r} change the "
                        f"same fields to the same values. Keep one of them."
                        f"{places.at(f'{key}.{level}')}"
                    )
    _refuse_shared_fields(factors, places)


def _refuse_reserved(field: str, place: str) -> None:
    for reserved, reason in (RESERVED | _SHARED).items():
        if _within(field, reserved):
            raise StudyError(f"A factor cannot change {field!r}: {reason}.{place}")


def _refuse_shared_fields(factors: Sequence[Factor], places: Places) -> None:
    """Refuse two factors that set one field; a whole design may come before its fields."""
    for index, factor in enumerate(factors):
        for before in factors[:index]:
            for field in factor.fields:
                for other in before.fields:
                    clash = _within(field, other) or _within(other, field)
                    if clash and not (other == "design" and field != "design"):
                        place = places.at(f"factors.{factor.name}")
                        raise StudyError(
                            f"The factors {before.name!r} and {factor.name!r} are confounded: "
                            f"both set {field if len(field) >= len(other) else other!s}. "
                            "Make one factor of them with a level for each combination, or leave "
                            f"the field to one of them.{place}"
                        )


def _within(field: str, group: str) -> bool:
    return field == group or field.startswith(f"{group}.")


def compound_levels(factors: Sequence[Factor]) -> list[str]:
    """Say which levels change several fields at once, so that these cannot be told apart.

    Example:
        >>> change = {"design.radial.hidden": [], "design.radial.species": "sender"}
        >>> compound_levels([Factor("radial", ("MLP", "table"), ({}, change))])
        ["Level 'table' of radial changes radial.hidden, radial.species together: ..."]
    """
    notes = []
    for factor in factors:
        reference = factor.changes[0]
        for level, change in zip(factor.levels[1:], factor.changes[1:], strict=True):
            fields = [
                field.removeprefix("design.")
                for field in dict.fromkeys([*reference, *change])
                if reference.get(field) != change.get(field)
            ]
            if len(fields) > 1:
                notes.append(
                    f"Level {level!r} of {factor.name} changes {', '.join(fields)} together: "
                    "its effect is theirs in sum."
                )
    return notes
