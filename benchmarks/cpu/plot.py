"""Draw a result of benchmarks.cpu.run.

    python -m benchmarks.cpu.plot [FILE]

writes FILE with the suffix .png: bars of ratios and, of a full grid, times per atom.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from benchmarks.cpu.report import HERE, compare

COLOURS = {"mace": "C1", "nequip": "C2", "multiace": "C0"}


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the ratios, and the scaling where there is a grid."""
    grids = {peer: result["grid"] for peer, result in content["peers"].items() if "grid" in result}
    n_panels = 1 + len(grids)
    figure, axes = plt.subplots(
        1, n_panels, figsize=(6.4 + 3.6 * len(grids), 4.6), layout="constrained", squeeze=False
    )
    _draw_ratios(axes[0, 0], content["records"])
    for panel, (peer, cases) in zip(axes[0, 1:], grids.items(), strict=True):
        _draw_scaling(panel, peer, cases)
    for panel in axes[0]:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def _draw_ratios(axes: Any, records: dict[str, Any]) -> None:
    names = list(records)[::-1]
    ratios = [records[name]["ratio"] for name in names]
    colours = [COLOURS["mace" if name.startswith("mace") else "nequip"] for name in names]
    bars = axes.barh([name.replace("_", " ") for name in names], ratios, color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlabel("time of the peer / of multiace")
    axes.margins(x=0.12)


def _draw_scaling(axes: Any, peer: str, cases: dict[str, Any]) -> None:
    """Draw the time per atom of energies and forces over the number of atoms."""
    channels = 128 if peer == "mace" else 32
    rows = [
        (case["about"]["atoms"][0], compare(case["energy_forces"], "exact"))
        for name, case in cases.items()
        if name.startswith(f"{peer}{channels}_") and name.endswith("_threads1")
    ]
    rows.sort(key=lambda row: row[0])
    atoms = [n for n, _ in rows]
    for label, key in ((peer, "peer_ms"), ("multiace", "ours_ms")):
        times = [1e3 * record[key] / n for n, record in rows]
        axes.plot(atoms, times, marker="o", color=COLOURS[label], label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("atoms of silicon")
    axes.set_ylabel("energy and forces / µs per atom")
    axes.legend(frameon=False)


def main() -> None:
    """Draw the file that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=HERE / "results/cpu_headline.json")
    path = parser.parse_args().file
    draw(json.loads(path.read_text(encoding="utf-8")), path.with_suffix(".png"))


if __name__ == "__main__":
    main()
