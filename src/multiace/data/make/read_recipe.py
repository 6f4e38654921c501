"""Read a recipe from YAML or options, and say what is wrong with it in its own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from multiace.data.make.recipe import KINDS, Recipe
from multiace.design.errors import error_messages


class RecipeError(ValueError):
    """A recipe that cannot be followed: names the key, its value, the rule and the way out."""


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises:
        RecipeError: all that is wrong, each with its key, value and rule.
        OSError: the file cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, Mapping):
        raise RecipeError(f"{path} must hold `key: value` lines, got {type(content).__name__}.")
    try:
        return make_recipe(content)
    except RecipeError as error:
        raise RecipeError(f"{path}:\n{error}") from None


def make_recipe(content: Mapping[str, Any]) -> Recipe:
    """Check plain data and return it as a recipe.

    Args:
        content: nested mappings, as YAML gives them.

    Raises:
        RecipeError: all that is wrong, each with its key, value and rule.

    Example:
        >>> make_recipe({"structure": "molecule:H2O", "sets": {"a": {"kind": "mdd"}}})
        Traceback (most recent call last):
            ...
        multiace.data.make.read_recipe.RecipeError: sets.a.kind must be one of md, bond, ... Did...
    """
    content = dict(content)
    messages: list[str] = []
    sets = content.get("sets")
    if isinstance(sets, Mapping):
        content["sets"] = {name: _set(str(name), sets[name], messages) for name in sets}
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        found = error_messages(error, Recipe, content)
        if messages:  # they say it better
            found = [text for text in found if not text.lstrip("'").startswith("sets.")]
        raise RecipeError("\n".join([*found, *messages])) from None
    return recipe


def _set(name: str, content: Any, messages: list[str]) -> Any:
    """Return one set, or its content with messages of what is wrong with it."""
    if not isinstance(content, Mapping):
        messages.append(f"sets.{name} must hold `key: value` lines, got {content!r}.")
        return content
    kind = content.get("kind")
    model = KINDS.get(str(kind))
    if model is None:
        close = difflib.get_close_matches(str(kind), KINDS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        messages.append(f"sets.{name}.kind must be one of {', '.join(KINDS)}, got {kind!r}.{hint}")
        return content
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        prefix = f"sets.{name}"
        for text in error_messages(error, model, content):
            of_key = re.match(r"'[^']*' is (not an option|missing)", text)
            messages.append(f"'{prefix}.{text[1:]}" if of_key else f"{prefix}: {text}")
        return content


def recipe_as_yaml(recipe: Recipe) -> str:
    """Return a recipe as YAML with every field that is not at its default."""
    content = recipe.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
