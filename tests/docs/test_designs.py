"""The tables of docs/designs.md are those of the presets."""

from pathlib import Path

from multiace.design import Design
from multiace.presets import PRESETS

ROOT = Path(__file__).parents[2]

STEPS = {
    "map before the edges": "atomic_basis.before_edges",
    "map after pooling": "atomic_basis.after_pooling",
    "correlation ν": "product_basis.correlation",
    "map W of the message": "update.linear",
    "self-connection": "update.self_connection",
    "nonlinearity": "update.nonlinearity",
    "readout": "readout.kind",
}
LAYERS = {"first": 0, "between": 1, "last": -1}
NONE = "–"


def agree(some: list[str], others: list[str]) -> bool:
    return all(a == b or NONE in (a, b) for a, b in zip(some, others, strict=True))


def value(design: Design, field: str, layer: int) -> str:
    content = design.per_layer(field)[layer]
    if field == "readout.kind" and content == "mlp":
        activation = design.readout.activation
        return "two linear maps" if activation == "none" else f"MLP ({activation})"
    if field == "update.nonlinearity" and content == "gate":
        return f"gate ({design.update.activation})"
    return str(content).replace("_then_", ", then ").replace("_", " ")


def preset_table() -> str:
    """Return the table preset x step as Markdown; layers that agree share a row."""
    designs = {name: preset() for name, preset in PRESETS.items()}
    lines = [
        "| step | layer | " + " | ".join(f"`{name}`" for name in designs) + " |",
        "|---|---|" + "---|" * len(designs),
    ]
    for step, field in STEPS.items():
        rows = {
            label: [value(design, field, layer) for design in designs.values()]
            for label, layer in LAYERS.items()
        }
        # MACE has two layers: nothing lies between its first and its last.
        for column, design in enumerate(designs.values()):
            if design.layers == 2:
                rows["between"][column] = NONE
        merged: list[tuple[str, list[str]]] = []
        for label, cells in rows.items():
            if merged and agree(merged[-1][1], cells):
                before, other = merged.pop()
                pairs = zip(other, cells, strict=True)
                merged.append((f"{before}, {label}", [b if a == NONE else a for a, b in pairs]))
            else:
                merged.append((label, cells))
        for label, cells in merged:
            label = "all" if label.count(",") == 2 else label
            lines.append(f"| {step} | {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_table_of_presets_by_step_is_up_to_date():
    text = (ROOT / "docs" / "designs.md").read_text(encoding="utf-8")
    assert preset_table() in text, f"docs/designs.md should contain:\n\n{preset_table()}\n"
