"""What the demo prints: what it does, the table of errors, what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from multiace.demo.benchmark import TESTS
from multiace.demo.models import MODELS, Result

SCAN_NAMES = {
    "dihedral": "CHO rotation, 0 to 180°",
    "proton_transfer": "proton transfer",
    "stretch": "O–H stretch to 4 Å",
}


def introduction(out: Path, epochs: int, seed: int) -> Text:
    """Say what is about to happen."""
    return Text(
        f"Training {', '.join(MODELS)} on malonaldehyde (GFN2-xTB, 300 K, 450 structures), "
        f"{epochs} epochs each, seed {seed}.\nEverything is written to {out}/.\n"
    )


def result_table(results: Mapping[str, Result]) -> Table:
    """Return errors, cost and size of each model; the lowest error of each row is bold."""
    table = Table(title="Errors on data that were not trained on", title_justify="left")
    table.add_column("RMSE")
    for name in results:
        table.add_column(name, justify="right")
    for title, unit, column in (("energy", "meV", "energy"), ("forces", "meV/Å", "forces")):
        for temperature, test in TESTS.items():
            domain = "in domain" if temperature == min(TESTS) else "out of domain"
            label = f"{title}, {temperature} K, {domain} ({unit})"
            values = [getattr(result, column)[test] for result in results.values()]
            table.add_row(label, *_best_in_bold(values))
        table.add_section()
    for scan, label in SCAN_NAMES.items():
        values = [result.scan_energy[scan] for result in results.values()]
        table.add_row(f"energy, {label} (meV)", *_best_in_bold(values))
    table.add_section()
    table.add_row("parameters", *(f"{result.parameters:,}" for result in results.values()))
    table.add_row("training time (s)", *(f"{result.seconds:.0f}" for result in results.values()))
    return table


def next_steps(out: Path, epochs: int) -> Text:
    """Say what the files are and what to type next."""
    run = out / MODELS["MACE"]
    return Text(
        f"""
Look at   {out}/learning_curves.png, errors_by_temperature.png, scans.png
Numbers   {out}/results.json

Next:
  multiace describe botnet --diff nequip            what separates two designs
  multiace evaluate {run}/model.safetensors YOUR.xyz
  multiace train {run}/config.yaml --set epochs={10 * epochs} --out runs/mace
In Python:
  atoms.calc = multiace.ASECalculator("{run}/model.safetensors")
""".rstrip()
    )


def _best_in_bold(values: list[float]) -> list[Text]:
    """Format errors with three digits, the lowest in bold.

    Example:
        >>> [str(text) for text in _best_in_bold([1.234, 56.78, 1234.5])]
        ['1.23', '56.8', '1,234']
    """
    digits = [f"{v:.3g}" if v < 999.5 else f"{v:,.0f}" for v in values]
    best = min(values)
    return [
        Text(text, style="bold" if value == best else "")
        for text, value in zip(digits, values, strict=True)
    ]
