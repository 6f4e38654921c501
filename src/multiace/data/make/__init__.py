"""Reference data made by tblite: molecular dynamics, scans, paths and atoms."""

from multiace.data.make.labelling import CalculationError, tblite_calculator
from multiace.data.make.read_recipe import RecipeError, make_recipe, read_recipe, recipe_as_yaml
from multiace.data.make.recipe import Recipe
from multiace.data.make.run import Made, Progress, make

__all__ = [
    "CalculationError",
    "Made",
    "Progress",
    "Recipe",
    "RecipeError",
    "make",
    "make_recipe",
    "read_recipe",
    "recipe_as_yaml",
    "tblite_calculator",
]
