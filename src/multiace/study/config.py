"""`StudyConfig`: what a study file says, as plain, frozen, typed data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from multiace.study.probe_options import Probe

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Files = tuple[str, ...]
Level = dict[str, Any]
"""Dotted field of the training config -> its value in this level."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Grid(_Group):
    """Every combination of levels."""

    kind: Literal["grid"] = Field(description="Every combination of levels.")


class Fractional(_Group):
    """The rows of an orthogonal array: main effects from a fraction of the grid."""

    kind: Literal["fractional"] = Field(description="Rows of an orthogonal array.")
    cells: Count = Field(description="Number of cells: that of an orthogonal array that fits.")


class OneAtATime(_Group):
    """The first levels of all factors together, and every other level alone beside them."""

    kind: Literal["one-at-a-time"] = Field(description="Every level against the first ones.")


class Path(_Group):
    """From the design of `base` to another, one field at a time."""

    kind: Literal["path"] = Field(description="From base.design to another design, step by step.")
    to: Any = Field(description="The design at the end, written as base.design is.")
    steps: dict[str, Annotated[Files, Field(min_length=1)]] | None = Field(
        default=None,
        description="Name of each step, in order -> fields that change in it; default: one field "
        "a step, in the order of `multiace describe --diff`.",
    )
    orders: Literal["forward", "both"] = Field(
        default="forward", description="both: a second path takes the steps in reverse order."
    )


class Search(_Group):
    """Levels chosen by Optuna from the errors of earlier trials."""

    kind: Literal["search"] = Field(description="Optuna chooses the levels of each trial.")
    trials: Count = Field(description="Number of cells that are tried.")
    sampler: Literal["tpe", "nsga2"] = Field(
        default="tpe", description="tpe: Parzen estimators; nsga2: genetic, for two objectives."
    )
    objectives: Literal["error", "error and cost"] = Field(
        default="error",
        description="error: geometric mean of the errors in domain; cost: operations of an atom.",
    )
    pruning: bool = Field(
        default=False, description="End runs whose validation error is above the median of others."
    )
    seed: Seed = Field(default=0, description="Seed of the sampler.")

    @model_validator(mode="after")
    def _check(self) -> Search:
        if self.pruning and self.objectives != "error":
            raise ValueError(
                "pruning compares runs by one number, but objectives is 'error and cost'. "
                "Set objectives: error, or leave pruning out."
            )
        if self.sampler == "nsga2" and self.objectives == "error":
            raise ValueError(
                "sampler nsga2 is for two objectives, but objectives is error. Set objectives: "
                "error and cost, or sampler: tpe."
            )
        return self


Plan = Annotated[
    Annotated[Grid, Tag("grid")]
    | Annotated[Fractional, Tag("fractional")]
    | Annotated[OneAtATime, Tag("one-at-a-time")]
    | Annotated[Path, Tag("path")]
    | Annotated[Search, Tag("search")],
    Discriminator("kind"),
]


class Budget(_Group):
    """What every run may spend: one of epochs, minutes and flops."""

    epochs: Count | None = Field(default=None, description="Passes over the training set.")
    minutes: Positive | None = Field(
        default=None,
        description="Training time of a run; the epochs that fit are timed once, on this machine.",
    )
    flops: Positive | None = Field(
        default=None,
        description="Operations of energies and forces, summed over atoms and epochs, by "
        "`multiace describe`; epochs follow, at least 1.",
    )

    @model_validator(mode="after")
    def _check(self) -> Budget:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"budget is equal epochs, minutes or flops, got {' and '.join(given) or 'none'}. "
                "Name one of them."
            )
        return self


class TestSet(_Group):
    """Structures whose energies and forces are compared with their labels."""

    files: Annotated[Files, Field(min_length=1)] = Field(
        description="Files with the structures, or `bundled:NAME`."
    )
    config_type: str | None = Field(
        default=None, description="Only structures of this config_type; null: all."
    )


class Scan(_Group):
    """Structures along a path, whose energies are drawn over a coordinate."""

    file: str = Field(
        description="File with the structures, or `bundled:NAME`. Each config_type in it, and each "
        "molecule, is a path of its own."
    )
    coordinate: Annotated[tuple[int, ...], Field(min_length=2, max_length=4)] | None = Field(
        default=None,
        description="Atoms (from 0) of a distance (2, Å), an angle (3, degrees) or a dihedral "
        "(4, degrees); null: the distance of a pair, else the length of the path.",
    )
    zero: Literal["absolute", "far_end"] = Field(
        default="absolute",
        description="absolute: energies as they are; far_end: model and reference each less its "
        "own energy at the largest coordinate, for references whose limit is not the sum of E0.",
    )


class Evaluations(_Group):
    """What every trained model is judged on."""

    in_domain: dict[str, TestSet] = Field(
        min_length=1,
        description="Name -> test set like the training set: a file, files, or files and "
        "config_type.",
    )
    out_of_domain: dict[str, TestSet] = Field(
        default_factory=dict, description="Name -> test set unlike it, written in the same way."
    )
    scans: dict[str, Scan] = Field(
        default_factory=dict, description="Name -> path through configurations."
    )
    probes: dict[str, Probe] = Field(
        default_factory=dict, description="Name -> probe of every model, and its options."
    )
    compare: Literal["energy", "energy_per_atom", "forces"] = Field(
        default="forces", description="Error that effects on test sets are computed of."
    )

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        content = dict(content)
        for name in ("in_domain", "out_of_domain"):
            sets = content.get(name)
            if isinstance(sets, Mapping):
                content[name] = {k: _test_set(value) for k, value in sets.items()}
        scans = content.get("scans")
        if isinstance(scans, Mapping):
            content["scans"] = {
                k: {"file": scan} if isinstance(scan, str) else scan for k, scan in scans.items()
            }
        return content

    @model_validator(mode="after")
    def _check(self) -> Evaluations:
        names = [*self.in_domain, *self.out_of_domain, *self.scans, *self.probes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{twice[0]!r} names two evaluations. Give every test set, scan and probe its own."
            )
        return self


class StudyConfig(_Group):
    """A study: a base, factors with levels, a plan, seeds, a budget and evaluations.

    ```yaml
    title: Which choices matter?
    base:
      design: {preset: nequip, size: small}
      data: {train: train.xyz, valid: 50}
    factors:
      nonlinearity:
        linear: {design.update.nonlinearity: none}
        silu: {design.update.nonlinearity: gate}
      layers: {field: design.layers, values: [2, 3, 4]}
    plan: {kind: grid}
    seeds: [1, 2, 3]
    budget: {epochs: 40}
    evaluations: {in_domain: {300 K: test_300K.xyz}}
    out: studies-out/choices
    ```
    """

    title: str = Field(min_length=1, description="The question, for the report.")
    base: dict[str, Any] = Field(
        description="A training config, without epochs, seed and out; `file` names one to start "
        "from."
    )
    factors: dict[str, Annotated[dict[str, Level], Field(min_length=2)]] = Field(
        default_factory=dict,
        description="Name -> levels, the first of which is what others are compared with: name of "
        "the level -> fields of the training config and their values; or `field` and `values`.",
    )
    plan: Plan = Field(description="Which combinations of levels are trained.")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        description="Seeds of split, order and initial weights; every cell is trained with each. "
        "A number N stands for 1 to N."
    )
    budget: Budget = Field(description="What every run may spend.")
    evaluations: Evaluations = Field(description="What every trained model is judged on.")
    threads: Count = Field(default=1, description="CPU threads of a run.")
    gpus: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0, description="GPUs of a run, for --ray; below 1 several runs share one."
    )
    out: str = Field(min_length=1, description="Directory of the study.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        content = dict(content)
        if isinstance(content.get("seeds"), int) and not isinstance(content["seeds"], bool):
            content["seeds"] = tuple(range(1, content["seeds"] + 1))
        if isinstance(content.get("factors"), Mapping):
            content["factors"] = {n: _levels(f) for n, f in content["factors"].items()}
        return content

    @model_validator(mode="after")
    def _check(self) -> StudyConfig:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} hold a seed twice. Give each once.")
        if self.plan.kind == "path" and self.factors:
            raise ValueError(
                "factors have no effect with plan.kind: path, whose steps are the factors. "
                "Leave them out, or choose another plan."
            )
        if self.plan.kind != "path" and not self.factors:
            raise ValueError(f"plan.kind: {self.plan.kind} needs factors, got none. Give some.")
        return self


def _test_set(value: Any) -> Any:
    """Write out the short forms of a test set: a file, or a list of files."""
    content = dict(value) if isinstance(value, Mapping) else {"files": value}
    if isinstance(content.get("files"), str):
        content["files"] = (content["files"],)
    return content


def _levels(factor: Any) -> Any:
    """Write out the short form of a factor of one field; levels may be named by numbers."""
    if not isinstance(factor, Mapping):
        return factor
    if set(factor) != {"field", "values"}:
        return {_name(level): fields for level, fields in factor.items()}
    values = factor["values"]
    if not isinstance(values, list) or not isinstance(factor["field"], str):
        return factor
    return {_name(value): {factor["field"]: value} for value in values}


def _name(value: Any) -> str:
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
