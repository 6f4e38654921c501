"""Run a test on random designs: a few, and many where there is time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from tests.laws.strategies import accepted, designs

from multiace.design import Design

MANY = 20


def on_random_designs(few: int) -> Callable[[Callable[[Design], None]], Callable[[int], None]]:
    """Test a statement about a Design on `few` random ones, and on `MANY` times more if slow."""

    def decorate(statement: Callable[[Design], None]) -> Callable[[int], None]:
        def of_fields(fields) -> None:
            design = accepted(fields)
            assume(design is not None)
            statement(design)

        of_fields.__name__ = statement.__name__

        @pytest.mark.parametrize(
            "n_designs", [few, pytest.param(few * MANY, marks=pytest.mark.slow)]
        )
        def test(n_designs: int) -> None:
            quiet = settings(max_examples=n_designs, suppress_health_check=list(HealthCheck))
            quiet(given(fields=designs())(of_fields))()

        test.__name__, test.__doc__ = statement.__name__, statement.__doc__
        return test

    return decorate
