"""`multiace demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Directory for models, report and numbers.")] = Path(
        "demo"
    ),
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each model.", show_default="25")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Choose the epochs, equal for all, that are expected to fit into this time; "
            "prints them, so that --epochs can repeat the run.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and epochs: same errors.")] = 0,
) -> None:
    """Train BOTNet, NequIP, NequIP-linear and MACE on bundled data and compare them.

    Writes models, numbers and a report to open in a browser. A demo that was stopped goes on when
    it is started again.
    """
    if epochs is not None and minutes is not None:
        raise typer.BadParameter("--epochs and --minutes exclude one another; give one of them.")
    from multiace.demo import run_demo

    run_demo(out, epochs=epochs, minutes=minutes, seed=seed)
