"""Read a training config from YAML, and say what is wrong with it in its own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from multiace.checkpoint import load_model
from multiace.training.config import TrainingConfig

MAX_ERRORS = 10

_SHORTHAND = {"design": ("preset", "size", "file")}
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
        messages = list(dict.fromkeys(_messages(error, content, places or {})))
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
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}") from None
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


def _messages(
    error: ValidationError, content: Mapping[str, Any], places: Mapping[str, str]
) -> Iterator[str]:
    """Yield one message for each key that is wrong."""
    known = set(option_keys(TrainingConfig))
    by_key: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        by_key.setdefault(_key_of(details["loc"], content, known), []).append(details)
    meant = {
        _nearest(key, known)
        for key, details in by_key.items()
        if details[0]["type"] == "extra_forbidden"
    }
    for key, details in by_key.items():
        if details[0]["type"] == "missing" and key in meant:
            continue
        place = places.get(key)
        yield _message(key, details, known) + (f" ({place})" if place else "")


def _key_of(loc: tuple[int | str, ...], content: Mapping[str, Any], known: set[str]) -> str:
    """Return the dotted key of an error, without pydantic's names of the branches of a union."""
    names: list[str] = []
    value: Any = content
    for part in loc:
        key = ".".join([*names, str(part)])
        inside = isinstance(value, Mapping) and (part in value or str(part) in value)
        if not (inside or key in known):
            continue
        names.append(str(part))
        value = value.get(part) if isinstance(value, Mapping) else None
    return ".".join(names)


def _message(key: str, details: Sequence[ErrorDetails], known: set[str]) -> str:
    first = details[0]
    kinds = {detail["type"] for detail in details}
    if kinds == {"extra_forbidden"}:
        close = _nearest(key, known)
        return f"'{key}' is not an option." + (f" Did you mean '{close}'?" if close else "")
    if kinds == {"missing"}:
        return f"'{key}' is missing: {_description(key)}"
    if first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error", first["msg"]))
        return f"{key}: {text}" if key and not text.startswith(key) else text
    rules = dict.fromkeys(_rule(detail) for detail in details if detail["type"] != "missing")
    return f"{key} must be {' or '.join(rules)}, got {first['input']!r}. {_description(key)}"


def _rule(details: ErrorDetails) -> str:
    text = details["msg"]
    for start in ("Input should be ", "Value error, "):
        text = text.removeprefix(start)
    text = text.replace("String should match pattern", "text of the form")
    return text.replace(", unable to parse string as a number", "").replace("a valid ", "a ")


def _nearest(key: str, known: set[str]) -> str | None:
    """Return the option most like a key: beside it first, then one of that name elsewhere."""
    group, _, name = key.rpartition(".")
    beside = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == group}
    close = difflib.get_close_matches(name, list(beside), n=1, cutoff=0.6)
    if close:
        return beside[close[0]]
    elsewhere = sorted((k for k in known if k.rpartition(".")[2] == name), key=len)
    if elsewhere:
        return elsewhere[0]
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.7)
    return close[0] if close else None


def option_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of each option of a config.

    Example:
        >>> "loss.second.rate" in set(option_keys(TrainingConfig))
        True
    """
    for name, field in model.model_fields.items():
        yield prefix + name
        group = _group_of(field.annotation)
        if group is not None:
            yield from option_keys(group, f"{prefix}{name}.")
        for extra in _SHORTHAND.get(prefix + name, ()):
            yield f"{prefix}{name}.{extra}"


def _group_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field, looking through `Model | None`."""
    candidates = (annotation, *get_args(annotation))
    for candidate in candidates:
        if (
            isinstance(candidate, type)
            and issubclass(candidate, BaseModel)
            and not candidate.__pydantic_generic_metadata__["origin"]
        ):
            return candidate
    return None


def _description(key: str) -> str:
    """Return what a field says of itself."""
    model: type[BaseModel] | None = TrainingConfig
    text = ""
    for name in key.split("."):
        field = model.model_fields.get(name) if model is not None else None
        if field is None:
            return text
        text = field.description or ""
        model = _group_of(field.annotation)
    return text
