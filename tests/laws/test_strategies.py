"""The random designs reach every field and every word of the design space."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel
from tests.laws.potentials import evaluate, for_random_designs
from tests.laws.strategies import accepted, designs, literals
from tests.laws.systems import CHIRAL, SYMBOLS

from multiace.design import Design
from multiace.design.describe import describe
from multiace.design.parameters import count_parameters
from multiace.potential import Potential

DRAWS = 240
MOSTLY = 0.8


def draws() -> list[dict[str, Any]]:
    """Return many draws of the fields of a Design."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=DRAWS, suppress_health_check=list(HealthCheck))
    @given(designs())
    def collect(fields: dict[str, Any]) -> None:
        found.append(fields)

    collect()
    return found


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Return every field of a group and its groups, dotted name -> annotation."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found.update(leaves(field.annotation, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = field.annotation
    return found


def value_of(fields: Any, path: str) -> Any:
    for name in path.split("."):
        fields = fields[name]
    return fields


def test_most_combinations_are_accepted_and_every_value_of_every_field_is_drawn():
    all_draws = draws()
    taken = [design for design in map(accepted, all_draws) if design is not None]
    assert len(taken) > MOSTLY * len(all_draws)
    for path, annotation in leaves(Design).items():
        drawn = [value_of(design.to_dict(), path) for design in taken]
        assert len({json.dumps(value) for value in drawn}) > 1, path
        words = json.dumps(drawn)
        assert all(json.dumps(word) in words for word in literals(annotation)), path


@pytest.mark.parametrize("prune", [True, False])
def test_every_design_has_the_parameters_it_describes_and_evaluates(prune: bool) -> None:
    def law(potential: Potential) -> None:
        design, elements, statistics = potential.design, potential.elements, potential.statistics
        full = Potential(design, elements, statistics, dtype=torch.float64, prune=prune)
        assert full.n_parameters == sum(
            count_parameters(design, len(elements), prune=prune).values()
        )
        assert np.isfinite(evaluate(full, CHIRAL).forces).all()
        if prune:
            assert full.n_parameters == describe(design, SYMBOLS).active_parameters

    for_random_designs(law, 20)
