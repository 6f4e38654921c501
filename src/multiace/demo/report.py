"""What the demo prints: what it does, the table of errors, what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from multiace.demo.benchmark import TESTS
from multiace.demo.models import MODELS, Result

SCAN_NAMES = {
    "dihedral": "CHO rotation",
    "proton_transfer": "proton transfer",
    "stretch": "O–H breaking",
}


def introduction(out: Path, epochs: int, seed: int) -> Text:
    """Say what is about to happen."""
    return Text(
        f"Training {', '.join(MODELS)} on malonaldehyde:\n"
        f"450 structures of 300 K (GFN2-xTB), {epochs} epochs each, seed {seed}.\n"
        f"Everything is written to {out}/.\n"
    )


def result_table(results: Mapping[str, Result]) -> Table:
    """Return errors, size and time of each model; the lowest error of each row is bold."""
    table = Table(
        title="Errors on structures that were not trained on (RMSE)", title_justify="left"
    )
    table.add_column("test")
    table.add_column("error of")
    for name in results:
        table.add_column(name, justify="right")
    for temperature, test in TESTS.items():
        place = "in" if temperature == min(TESTS) else "out of"
        energies = [result.energy[test] for result in results.values()]
        forces = [result.forces[test] for result in results.values()]
        table.add_row(f"{temperature} K,", "energy (meV)", *_best_in_bold(energies))
        table.add_row(f"{place} domain", "forces (meV/Å)", *_best_in_bold(forces))
        table.add_section()
    for scan, label in SCAN_NAMES.items():
        energies = [result.scan_energy[scan] for result in results.values()]
        table.add_row(label, "energy (meV)", *_best_in_bold(energies))
    table.add_section()
    table.add_row("parameters", "", *(f"{result.parameters:,}" for result in results.values()))
    table.add_row("training", "time (s)", *(f"{result.seconds:.0f}" for result in results.values()))
    return table


def next_steps(out: Path, epochs: int) -> Text:
    """Say what the files are and what to type next."""
    run = out / MODELS["MACE"]
    longer = f"--set epochs={10 * epochs} --set schedule.epochs={10 * epochs}"
    return Text(
        f"""
BOTNet starts from the energies of isolated atoms; the others also from the mean
of the data, which helps near the data and is wrong by eV where a bond breaks.

Open      {out}/report.html in a browser; its figures are in {out}/figures
Numbers   {out}/results.json

Next:
  multiace describe botnet --diff nequip            what separates two designs
  multiace evaluate {run}/model.safetensors YOUR.xyz
  multiace train {run}/config.yaml --out runs/mace \\
      {longer}
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
    digits = [f"{v:#.3g}".rstrip(".") if v < 999.5 else f"{v:,.0f}" for v in values]
    best = min(values)
    return [
        Text(text, style="bold" if value == best else "")
        for text, value in zip(digits, values, strict=True)
    ]
