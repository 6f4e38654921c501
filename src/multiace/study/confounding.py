"""Say in words what a plan can and cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from multiace.study.factors import Factor
from multiace.study.model_matrix import Identification, Term
from multiace.study.study import Study


def confounding_notes(study: Study) -> list[str]:
    """Return sentences on interactions, aliases and levels that change several fields.

    Args:
        study: that was read.
    """
    if study.identification is None:
        return [
            *study.notes,
            "A search looks for good designs; it does not say what the effect of a choice is.",
        ]
    plan = study.config.plan.kind
    return [*study.notes, *identification_notes(study.identification, study.factors, plan)]


def identification_notes(found: Identification, factors: Sequence[Factor], plan: str) -> list[str]:
    """Return sentences on what the cells of a plan tell apart.

    Args:
        found: what they do.
        factors: of the study.
        plan: its kind.
    """
    notes = []
    names = [factor.name for factor in factors]
    if plan == "path":
        notes.append("Each step is compared with the cell before it: effects depend on the order.")
    elif plan == "one-at-a-time":
        first = ", ".join(f"{f.name}: {f.levels[0]}" for f in factors)
        notes.append(
            f"Effects are those beside the first levels of all others ({first}); with other "
            "levels they differ where choices interact, which this plan cannot show."
        )
    if found.identified:
        text = ", ".join(_words(term, names) for term in found.identified)
        notes.append(f"Interactions that the plan identifies: {text}.")
    if plan in ("fractional", "grid"):
        for factor, aliases in zip(names, found.aliases, strict=True):
            if aliases:
                text = ", ".join(_words(term, names) for term in aliases)
                notes.append(f"The effect of {factor} is aliased with the interactions {text}.")
    return notes


def _words(term: Term, names: Sequence[str]) -> str:
    return " x ".join(names[factor] for factor in term)
