"""Tables of every field of a config, from the JSON schema that pydantic derives from the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def config_reference(model: type[BaseModel], elsewhere: dict[str, str] | None = None) -> str:
    """Return one section for each group of fields, each a table of fields.

    Args:
        model: the config.
        elsewhere: name of a group -> page that describes it, relative to this page.

    Returns:
        Markdown, with an anchor `#a.b` for the field `a.b`.
    """
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    pages = elsewhere or {}
    lines = ["## Fields", "", *_table(schema, "", definitions, pages)]
    for heading, anchor, group in _groups(schema, "", definitions, pages):
        lines += [f"## `{heading}` {{ #{anchor} }}", ""]
        if description := group.get("description"):
            lines += [_sentence(description), ""]
        lines += _table(group, f"{anchor}.", definitions, pages)
    return "\n".join(lines)


def _groups(
    schema: Schema, prefix: str, definitions: Schema, pages: dict[str, str]
) -> Iterator[tuple[str, str, Schema]]:
    """Yield heading, anchor and schema of the groups of fields below a schema, depth first."""
    for name, field in schema.get("properties", {}).items():
        for target in _references(field):
            group = definitions[target]
            if "properties" not in group or target in pages or target.startswith("Apart_"):
                continue
            anchor = f"{prefix}{name}"
            heading = f"{anchor}.NAME" if "additionalProperties" in field else anchor
            kind = group["properties"].get("kind", {}).get("const")
            if kind is not None:
                heading, anchor = f"{heading}: {{kind: {kind}}}", f"{anchor}.{kind}"
            yield heading, anchor, group
            yield from _groups(group, f"{anchor}.", definitions, pages)


def _references(field: Schema) -> list[str]:
    """Return the definitions that a field, or an entry of its mapping, refers to itself."""
    inner = [*field.get("anyOf", []), *field.get("oneOf", [])]
    if isinstance(field.get("additionalProperties"), dict):
        inner.append(field["additionalProperties"])
    own = [field["$ref"].rpartition("/")[2]] if "$ref" in field else []
    return own + [target for option in inner for target in _references(option)]


def _table(schema: Schema, prefix: str, definitions: Schema, pages: dict[str, str]) -> list[str]:
    lines = ["| field | meaning | value | default |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        anchor = f"{prefix}{name}"
        grouped = _is_group(field, definitions, pages)
        cells = (
            f"[`{name}`](#{anchor})" if grouped else f"`{name}`{{ #{anchor} }}",
            _sentence(field.get("description") or _described(field, definitions)),
            _value(field, definitions, pages),
            _default(name, field, schema.get("required", [])),
        )
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return [*lines, ""]


def _is_group(field: Schema, definitions: Schema, pages: dict[str, str]) -> bool:
    """Tell whether a field has one section of its own, which has its anchor."""
    targets = _references(field)
    return len(targets) == 1 and targets[0] not in pages and "properties" in definitions[targets[0]]


def _described(field: Schema, definitions: Schema) -> str:
    return " ".join(definitions[name].get("description", "") for name in _references(field))


def _default(name: str, field: Schema, required: list[str]) -> str:
    if name in required:
        return "**required**"
    value = field.get("default")
    if isinstance(value, dict) and _references(field):
        return "see there"
    if "default" not in field:
        return "empty"
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('"', "")


def _value(field: Schema, definitions: Schema, pages: dict[str, str]) -> str:
    """Return in words which values a field takes."""
    if "$ref" in field:
        return _reference(field["$ref"].rpartition("/")[2], definitions, pages)
    for key in ("anyOf", "oneOf"):
        if key in field:
            options = [_value(option, definitions, pages) for option in field[key]]
            return " or ".join(dict.fromkeys(options))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind: str = field.get("type", "any")
    if kind == "array" and "prefixItems" in field:
        return f"{len(field['prefixItems'])} numbers"
    if kind == "array":
        return f"list of {_value(field.get('items', {}), definitions, pages)}"
    if kind == "object":
        inner = field.get("additionalProperties")
        inner = _value(inner, definitions, pages) if isinstance(inner, dict) else "any"
        return f"mapping to {inner}"
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true, false"}
    return words.get(kind, kind) + _bounds(field)


def _reference(target: str, definitions: Schema, pages: dict[str, str]) -> str:
    if target in pages:
        return f"[{target.lower()}]({pages[target]})"
    group = definitions[target]
    if target.startswith("PerLayer_"):
        value = _value(group["oneOf"][0], definitions, pages)
        return f"{value}; may differ by layer"
    return "group" if "properties" in group else _value(group, definitions, pages)


def _bounds(field: Schema) -> str:
    """Return limits as words; those of 64-bit integers say nothing to anybody."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [
        f"{sign} {field[key]:g}"
        for key, sign in signs.items()
        if key in field and abs(field[key]) < 2**63
    ]
    return " " + ", ".join(limits) if limits else ""


def _sentence(text: str) -> str:
    """Return the first paragraph of a description, safe in Markdown outside code."""
    first = " ".join(text.split("\n\n")[0].split())
    parts = first.split("`")
    parts[::2] = [
        part.replace("*", r"\*").replace("_", r"\_").replace("[", r"\[") for part in parts[::2]
    ]
    return "`".join(
        part.replace("<", "&lt;") if i % 2 == 0 else part for i, part in enumerate(parts)
    )
