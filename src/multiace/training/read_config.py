"""Read a training config from YAML, and say what is wrong with it in its own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from multiace.checkpoint import load_model
from multiace.design.errors import error_messages
from multiace.presets.load import KEYWORDS
from multiace.training.config import TrainingConfig

MAX_ERRORS = 10
MAX_VALUES = 100_000

_SHORTHAND = {"design": KEYWORDS}
"""Keys that a group takes besides its fields."""


class ConfigError(ValueError):
    """A config that cannot be used: names the key, its value, the rule and the way out."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that also reads 1e-3 as a number, as YAML 1.2 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def read_config(
    path: str | Path, changes: Sequence[str] = (), *, from_model: str | Path | None = None
) -> TrainingConfig:
    """Read a training config from a YAML file.

    Args:
        path: the file.
        changes: `key=value` texts that go before the file, as `--set` takes them; keys are
            dotted, values YAML.
        from_model: model file whose design is taken where the config has none.

    Raises:
        ConfigError: all that is wrong, each with its key, line, value and rule.
        OSError: the file cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    content, lines = parse_yaml(text, str(path))
    for change in changes:
        content = _changed(content, change)
        lines.pop(change.partition("=")[0].strip(), None)
    if from_model is not None and "design" not in content:
        content = {**content, "design": load_model(from_model).design.to_dict()}
    return make_config(content, {key: f"{path}:{line}" for key, line in lines.items()})


def make_config(
    content: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> TrainingConfig:
    """Check plain data and return it as a config.

    Args:
        content: nested mappings, as YAML gives them.
        places: where each dotted key was written, for messages.

    Raises:
        ConfigError: all that is wrong, each with its key, value and rule.

    Example:
        >>> make_config({"epochs": 10, "out": "run", "design": "mace", "data": {"trian": "a.xyz"}})
        Traceback (most recent call last):
            ...
        multiace.training.read_config.ConfigError: 'data.trian' is not an option. Did you mean...
    """
    try:
        return TrainingConfig.model_validate(dict(content))
    except ValidationError as error:
        messages = error_messages(
            error, TrainingConfig, content, places=places, shorthand=_SHORTHAND
        )
        more = len(messages) - MAX_ERRORS
        shown = messages[:MAX_ERRORS] + ([f"... and {more} more."] if more > 0 else [])
        raise ConfigError("\n".join(shown)) from None


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the mapping in a YAML text and the line of each dotted key.

    Raises:
        ConfigError: not YAML, not a mapping, a key given twice or a key that is not text.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        _check_size(node, name)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply to be a config.") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name} must hold `key: value` lines, got {type(content).__name__}.")
    lines: dict[str, int] = {}
    for key, line in _keys_of(node, ""):
        if key in lines:
            raise ConfigError(
                f"{name}:{line}: '{key}' was already given in line {lines[key]}. Keep one of them."
            )
        lines[key] = line
    return content, lines


def _check_size(node: yaml.Node | None, name: str) -> None:
    """Refuse a few lines whose references (`*name`) stand for more than a config can hold.

    Raises:
        ConfigError: more than `MAX_VALUES` keys and values with all references written out.
    """
    left = [node]
    n_values = 0
    while left:
        value = left.pop()
        n_values += 1
        if n_values > MAX_VALUES:
            raise ConfigError(
                f"{name} has more than {MAX_VALUES:,} keys and values with its references (*name) "
                "written out. Write what is meant without them."
            )
        if isinstance(value, yaml.MappingNode):
            left += [part for pair in value.value for part in pair]
        elif isinstance(value, yaml.SequenceNode):
            left += value.value


def _keys_of(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = f"{prefix}{key_node.value}"
        yield key, line
        yield from _keys_of(value_node, f"{key}.")


def _changed(content: Mapping[str, Any], change: str) -> dict[str, Any]:
    """Return the content with one `key=value` applied."""
    key, equals, text = change.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set takes key=value, e.g. loss.forces=100, got {change!r}.")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"The value in --set {change!r} is not valid YAML: {error}") from None
    return _with_value(content, names, value)


def _with_value(content: Mapping[str, Any], names: list[str], value: Any) -> dict[str, Any]:
    result = dict(content)
    if len(names) == 1:
        result[names[0]] = value
        return result
    inner = result.get(names[0])
    if isinstance(inner, str) and names[0] == "design":
        inner = {"file" if Path(inner).suffix else "preset": inner}
    result[names[0]] = _with_value(inner if isinstance(inner, Mapping) else {}, names[1:], value)
    return result
