"""The answer of a study in three sentences, which say no more than its statistics support."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from multiace.study.results import Response, Results
from multiace.study.statistics import CONFIDENCE, Effect, Fit

SIGNIFICANT = 1.0 - CONFIDENCE
MOST_EFFECTS = 3
"""Effects that a sentence names; the others are counted."""


def answer(results: Results) -> tuple[str, str, str]:
    """Return three sentences: in domain, out of domain, and on what this rests.

    Nothing is called better or worse from one seed, from cells whose validation error was still
    falling, from unfinished studies, from errors that some runs lack, or where a difference is not
    significant after Holm's correction.
    """
    first = _sentence("In domain", ["in_domain"], results)
    second = _sentence("Out of domain", ["out_of_domain", "scan", "probe"], results)
    return first, second, _basis(results)


def obstacle_to_ranking(results: Results) -> str | None:
    """Return why nothing may be called better or worse; None if it may."""
    if results.config.plan.kind == "search":
        return "a search looks for good designs and does not compare choices"
    waiting = results.status.count("waiting") + results.status.count("running")
    if waiting:
        return f"{waiting} of {len(results.status.runs)} runs are not done yet"
    if not results.outcomes:
        return "no run is done"
    if len(results.seeds) < 2:
        return "one seed says nothing of the scatter between seeds"
    falling = results.falling_cells
    if falling:
        return (
            f"in {len(falling)} of {len(results.cells)} cells the validation error was still "
            "falling by more than 5 % in the last fifth of training"
        )
    return None


def significant(fit: Fit) -> list[Effect]:
    """Return the effects that are significant after Holm's correction, the largest first."""
    found = [e for e in fit.effects if e.p_holm is not None and e.p_holm < SIGNIFICANT]
    return sorted(found, key=lambda effect: -abs(effect.estimate))


def percent(log_ratio: float) -> str:
    """Return a difference of log errors as the change of the error.

    Example:
        >>> percent(math.log(1.25)), percent(math.log(0.9)), percent(math.log(7.0))
        ('+25 %', '−10 %', '× 7.0')
    """
    ratio = math.exp(log_ratio)
    if ratio > 3.0:
        return f"× {ratio:.1f}"
    return f"{100.0 * (ratio - 1.0):+.0f} %".replace("-", "−")


def _sentence(start: str, domains: Sequence[str], results: Results) -> str:
    obstacle = obstacle_to_ranking(results)
    if obstacle is not None:
        return f"{start}, no choice is called better or worse: {obstacle}."
    found = list(zip(results.responses, results.fits, strict=False))
    clauses = [
        _clause(response, fit, results)
        for domain in domains
        for response, fit in found
        if response.domain == domain
    ]
    clauses += [
        f"nothing is said of the {response.what}, as {obstacle}"
        for response, obstacle in results.not_compared
        if response.domain in domains and response.domain != "probe"
    ]
    return f"{start}, {'; '.join(clauses) or 'nothing was evaluated'}."


def _clause(response: Response, fit: Fit, results: Results) -> str:
    effects = significant(fit)
    if all(effect.p is None for effect in fit.effects):
        return (
            f"no effect on the {response.what} could be tested, as no scatter is left to judge by"
        )
    if not effects:
        return f"no significant effect on the {response.what} was found{_resolution(fit)}"
    shown = [_words(effect, results) for effect in effects[:MOST_EFFECTS]]
    more = len(effects) - len(shown)
    if more:
        shown.append(f"{more} more in the table")
    return f"the {response.what} changes with {'; '.join(shown)}{_resolution(fit)}"


def _words(effect: Effect, results: Results) -> str:
    factor = results.factors[effect.factor]
    assert effect.low is not None
    assert effect.high is not None
    interval = f"{percent(effect.estimate)}, from {percent(effect.low)} to {percent(effect.high)}"
    if results.config.plan.kind == "path":
        return f"the step '{factor.name}' ({interval})"
    level, first = factor.levels[effect.level], factor.levels[0]
    return f"{factor.name}: {level} instead of {first} ({interval})"


def _resolution(fit: Fit) -> str:
    """Say how large effects may be that were not found."""
    others = [e for e in fit.effects if e.p_holm is not None and e.p_holm >= SIGNIFICANT]
    if not others:
        return ""
    low = min(e.low for e in others if e.low is not None)
    high = max(e.high for e in others if e.high is not None)
    count = "the other comparison is" if len(others) == 1 else f"{len(others)} others are"
    return f"; {count} not significant, within {percent(low)} to {percent(high)}"


def _range(values: Sequence[float]) -> str:
    """Return the ends of values, as one number where they print alike."""
    return " to ".join(dict.fromkeys(f"{value:.1f}" for value in (min(values), max(values))))


def _basis(results: Results) -> str:
    """Say what the statistics rest on."""
    n_seeds, outcomes = len(results.seeds), results.outcomes
    failed = results.status.count("failed")
    parts = [
        f"This rests on {len(outcomes)} runs of {len(results.cells)} cells with {n_seeds} "
        f"seed{'s' if n_seeds != 1 else ''}" + (f", {failed} runs having failed" if failed else "")
    ]
    spread = [
        100.0 * (math.exp(fit.residual) - 1.0)
        for response, fit in zip(results.responses, results.fits, strict=False)
        if fit.residual is not None and response.domain != "probe"
    ]
    if spread:
        compared = sum(len(fit.effects) for fit in results.fits)
        parts.append(
            f"95 % intervals from residuals of {_range(spread)} % in the "
            f"error of a run, and Holm's correction for {compared} comparisons"
        )
    identification = results.identification
    if identification is not None and any(identification.aliases):
        parts.append("effects are read as if choices did not interact, which the plan cannot tell")
    elif any(fit.error_term == "cells" for fit in results.fits):
        parts.append("choices interact, so that effects are averages over what was combined")
    times = [o.microseconds_per_atom for o in outcomes if o.microseconds_per_atom is not None]
    if times:
        low, high = float(np.min(times)), float(np.max(times))
        parts.append(f"energy and forces of an atom took {low:.0f} to {high:.0f} µs")
    return "; ".join(parts) + "."
