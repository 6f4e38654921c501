"""The design space as data: `Design`, its rules, layout, cost and description."""

from multiace.design.describe import Description, describe, differences
from multiace.design.errors import DesignError
from multiace.design.spec import Design
from multiace.design.statistics import Statistics

__all__ = ["Description", "Design", "DesignError", "Statistics", "describe", "differences"]
