from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multiace.study.answer import answer, obstacle_to_ranking
from multiace.study.arrays import grid
from multiace.study.config import StudyConfig
from multiace.study.factors import Factor
from multiace.study.model_matrix import identify
from multiace.study.results import Outcome, Response, Results, still_falling
from multiace.study.statistics import correct, fit_effects
from multiace.study.status import RunStatus, Status

FACTORS = (
    Factor("nonlinearity", ("silu", "linear"), ({}, {})),
    Factor("energies", ("E0", "shift"), ({}, {})),
)
EFFECT = 0.2
"""Of linear instead of silu, in log error; energies have none."""

CONVERGED = tuple((float(epoch), float(epoch), 30.0) for epoch in range(1, 11))
FALLING = tuple((float(epoch), float(epoch), 100.0 / epoch) for epoch in range(1, 11))


def results(n_seeds=3, curve=CONVERGED, effect=EFFECT, unfinished=0, kind="grid") -> Results:
    """Return the results of a study whose truth is known."""
    rng = np.random.default_rng(0)
    config = StudyConfig.model_validate(
        {
            "title": "t",
            "base": {},
            "factors": {"a": {"x": {}, "y": {}}},
            "plan": {"kind": kind, **({"trials": 4} if kind == "search" else {})},
            "seeds": n_seeds,
            "budget": {"epochs": 10},
            "evaluations": {"in_domain": {"300 K": "a.xyz"}, "out_of_domain": {"600 K": "b.xyz"}},
            "out": "o",
        }
    )
    cells = grid((2, 2))
    outcomes = []
    for seed in range(n_seeds):
        for levels in cells:
            error = 30.0 * np.exp(effect * levels[0] + 0.01 * rng.normal())
            errors = {("300 K", "forces"): error, ("600 K", "forces"): 3.0 * error}
            cell = f"{levels}"
            outcomes.append(
                Outcome("r", cell, levels, seed, errors, {}, {}, 10.0, 10, 5.0, 100, 1e5, curve)
            )
    states = ["done"] * len(outcomes) + ["waiting"] * unfinished
    runs = [RunStatus("r", "c", 1, state, 1.0, 1.0, 1.0, "", 1.0, "") for state in states]
    responses = tuple(
        Response("force error", d, (n,), "forces", "meV/Å")
        for d, n in (("in_domain", "300 K"), ("out_of_domain", "600 K"))
    )
    identification = identify(cells, (2, 2))
    fits = [
        fit_effects(
            [o.levels for o in outcomes],
            [o.seed for o in outcomes],
            [r.log_value(o) for o in outcomes],
            (2, 2),
            identification.identified,
        )
        for r in responses
    ]
    return Results(
        path=Path("o"),
        config=config,
        factors=FACTORS,
        identification=identification,
        notes=(),
        evaluations={},
        status=Status("t", tuple(runs)),
        outcomes=tuple(outcomes),
        responses=responses,
        fits=tuple(correct(fits)),
    )


def test_a_significant_effect_is_named_with_its_interval_and_another_is_not():
    first, second, basis = answer(results())
    assert "nonlinearity: linear instead of silu (+23 %," in first
    assert "energies: shift" not in first
    assert first.startswith("In domain")
    assert second.startswith("Out of domain")
    assert "12 runs of 4 cells with 3 seeds" in basis


def test_without_effect_none_is_claimed():
    first, _, _ = answer(results(effect=0.0))
    assert "no significant effect on the force error was found" in first
    assert "instead of" not in first


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_seeds": 1}, "one seed"),
        ({"curve": FALLING}, "in 4 of 4 cells the validation error was still falling"),
        ({"unfinished": 2}, "2 of 14 runs are not done yet"),
        ({"kind": "search"}, "a search looks for good designs"),
    ],
)
def test_nothing_is_ranked_without_ground(options, reason):
    found = results(**options)
    for sentence in answer(found)[:2]:
        assert reason in sentence
        assert "instead of" not in sentence
        assert "%" not in sentence.replace("5 %", "")


def test_nothing_is_said_of_errors_that_some_runs_lack_or_that_leave_no_scatter():
    found = results()
    (in_domain, out_of_domain), fits = found.responses, found.fits
    untested = replace(
        fits[1], effects=tuple(replace(e, p=None, p_holm=None) for e in fits[1].effects)
    )
    obstacle = "it is missing or not positive in 1 of 12 runs (cell, seed 1)"
    lacking = replace(
        found,
        responses=(out_of_domain,),
        fits=(untested,),
        not_compared=((in_domain, obstacle),),
    )
    first, second, _ = answer(lacking)
    assert first == f"In domain, nothing is said of the force error, as {obstacle}."
    assert "no effect on the force error could be tested" in second
    assert "significant" not in first + second


def test_one_falling_cell_is_enough():
    found = results()
    (first, *others) = found.outcomes
    assert obstacle_to_ranking(found) is None
    changed = replace(found, outcomes=(replace(first, curve=FALLING), *others))
    assert "in 1 of 4 cells" in obstacle_to_ranking(changed)


@pytest.mark.parametrize(
    ("last", "falling"), [(95.1, False), (94.9, True), (120.0, False)], ids=str
)
def test_five_percent_in_the_last_fifth_decide(last, falling):
    curve = [(1.0, 200.0), (8.0, 100.0), (9.0, 110.0), (10.0, last)]
    assert still_falling(curve) == falling


def test_a_run_without_validation_before_the_last_fifth_counts_as_falling():
    assert still_falling([])
    assert still_falling([(1.0, np.nan), (10.0, np.nan)])
    assert still_falling([(1.0, np.nan), (8.0, 0.9), (10.0, 0.5)])
    assert not still_falling([(1.0, np.nan), (8.0, 0.9), (10.0, 0.9)])
    assert still_falling([(10.0, 1.0)])
