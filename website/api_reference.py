"""Pages of the Python interface: what mkdocstrings is asked to describe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """Modules that one page describes, with a sentence on what they are for."""

    title: str
    about: str
    modules: tuple[str, ...]


AREAS: dict[str, Area] = {
    "potential": Area(
        "Models and potentials",
        "Load a model, or build one from a design, and evaluate it.",
        (
            "multiace.potential",
            "multiace.model",
            "multiace.build",
            "multiace.baseline",
            "multiace.repulsion",
            "multiace.ensemble",
            "multiace.program",
        ),
    ),
    "design": Area(
        "Designs and presets",
        "The design space as data: write, check, compare and describe designs.",
        ("multiace.design", "multiace.presets"),
    ),
    "geometry": Area(
        "Structures and graphs",
        "Structures, neighbour lists, graphs and batches.",
        ("multiace.geometry",),
    ),
    "data": Area(
        "Data",
        "Read, check, divide, summarise, store, make and fetch reference data.",
        ("multiace.data", "multiace.data.store", "multiace.data.make", "multiace.data.fetch"),
    ),
    "training": Area(
        "Training", "Train from Python.", ("multiace.training", "multiace.training.loss")
    ),
    "fitting": Area(
        "Fitting", "Fit designs that are linear in their weights.", ("multiace.fitting",)
    ),
    "checkpoint": Area(
        "Model files", "Read and write models without pickle.", ("multiace.checkpoint",)
    ),
    "deploy": Area(
        "ASE, LAMMPS, tracing",
        "Run a potential in the codes that people use.",
        (
            "multiace.deploy.ase",
            "multiace.deploy.dynamics",
            "multiace.deploy.lammps",
            "multiace.deploy.trace",
        ),
    ),
    "analysis": Area(
        "Analysis",
        "Predictions, errors, and which laws a potential keeps.",
        ("multiace.analysis",),
    ),
    "probes": Area(
        "Probes",
        "Look at a potential-energy surface.",
        ("multiace.probes",),
    ),
    "study": Area("Studies", "Ablation studies from Python.", ("multiace.study",)),
    "report": Area(
        "Reports",
        "Report on runs, or compose self-contained pages of figures and tables.",
        ("multiace.report.runs", "multiace.report", "multiace.figures.static"),
    ),
    "parts": Area(
        "Parts of a model",
        "One step of the equation a module, for those who change it.",
        (
            "multiace.one_particle.radial",
            "multiace.envelope",
            "multiace.one_particle.chemical",
            "multiace.one_particle.basis",
            "multiace.layer.atomic_basis",
            "multiace.layer.product_basis",
            "multiace.layer.message",
            "multiace.layer.update",
            "multiace.layer.layer",
            "multiace.readout",
        ),
    ),
    "o3": Area(
        "Rotations",
        "Irreps, harmonics, Clebsch-Gordan coefficients and couplings.",
        (
            "multiace.o3.irreps",
            "multiace.o3.harmonics",
            "multiace.o3.clebsch_gordan",
            "multiace.o3.couplings",
            "multiace.o3.rotation",
        ),
    ),
    "kernels": Area(
        "Kernels",
        "Which backend computes, and how to add one.",
        ("multiace.kernels.dispatch", "multiace.kernels.operation", "multiace.kernels.tables"),
    ),
    "units": Area("Units and elements", "Constants.", ("multiace.units", "multiace.elements")),
}
"""Name of the page -> what it describes."""

TOP_LEVEL = {
    "load": "checkpoint.md#multiace.checkpoint.load",
    "ASECalculator": "deploy.md#multiace.deploy.ase.ASECalculator",
    "Design": "design.md#multiace.design.Design",
    "Ensemble": "potential.md#multiace.ensemble.Ensemble",
    "Potential": "potential.md#multiace.potential.Potential",
    "Structure": "geometry.md#multiace.geometry.Structure",
    "presets": "design.md#multiace.presets",
}
"""Name in `multiace` -> where it is described."""


def area_page(area: Area) -> str:
    """Return the Markdown of one page."""
    blocks = "\n\n".join(f"::: {module}" for module in area.modules)
    return f"# {area.title}\n\n{area.about}\n\n{blocks}\n"


def overview_page() -> str:
    """Return the page that lists the others."""
    names = "\n".join(f"| [`multiace.{name}`]({where}) |" for name, where in TOP_LEVEL.items())
    areas = "\n".join(
        f"| [{area.title}]({name}.md) | {area.about} |" for name, area in AREAS.items()
    )
    return (
        "# Python interface\n\n"
        "What most scripts need is in `multiace` itself, loaded on first use:\n\n"
        f"| name |\n|---|\n{names}\n\n"
        "Everything else by subject. Shapes are in the signatures, units in the docstrings.\n\n"
        f"| page | about |\n|---|---|\n{areas}\n"
    )
