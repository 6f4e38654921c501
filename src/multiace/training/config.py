"""`TrainingConfig`: everything that decides a training run, as plain, frozen, typed data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from multiace.data.frame_labels import StressOrder
from multiace.design import Design
from multiace.elements import atomic_number
from multiace.one_particle.radial_grid import FEWEST
from multiace.presets.load import design_fields

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1, strict=True)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
BatchUnit = Literal["structures", "atoms", "edges"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _require_default(group: _Group, names: tuple[str, ...], rule: str) -> None:
    """Refuse fields that have another value than their default, which resolved configs write."""
    for name in names:
        value = getattr(group, name)
        if value != type(group).model_fields[name].default:
            raise ValueError(f"{name} is {value}, but {rule}")


class Keys(_Group):
    """Names of the labels in the data files."""

    energy: str | None = Field(
        default=None, description="Key of the total energy (eV); null: `energy` or `REF_energy`."
    )
    forces: str | None = Field(
        default=None, description="Key of the forces (eV/Å); null: `forces` or `REF_forces`."
    )
    stress: str | None = Field(
        default=None, description="Key of the stress (eV/Å^3); null: `stress` or `REF_stress`."
    )
    virial: str | None = Field(
        default=None,
        description="Key of a virial (eV) that stands for the stress -virial / volume; null: none.",
    )
    stress_order: StressOrder | None = Field(
        default=None,
        description="Order of a stress or virial of six components: voigt (xx yy zz yz xz xy), "
        "vasp (xx yy zz xy yz xz) or lammps (xx yy zz xy xz yz); null: they are refused.",
    )


class Data(_Group):
    """Structures and labels to learn from and to be tested on."""

    train: tuple[str, ...] = Field(
        min_length=1,
        description="Files of the training set, extended XYZ or stores (.h5) of `multiace data "
        "prepare`: paths from the current directory, or `bundled:NAME` for data that come with "
        "the library.",
    )
    valid: (
        tuple[str, ...]
        | Annotated[int, Field(ge=1, strict=True)]
        | Annotated[float, Field(gt=0.0, lt=1.0)]
    ) = Field(
        default=0.1,
        description="Validation set: files, or a number or fraction of structures taken at "
        "random from the training set.",
    )
    tests: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Name -> files of a test set, evaluated at the end."
    )
    keys: Keys = Field(default=Keys(), description="Names of the labels in the files.")
    unit_check: bool = Field(
        default=True,
        description="Refuse positions and labels that look like other units than eV and Å, or that "
        "contradict one another in sign or order.",
    )
    isolated_atoms: tuple[str, ...] = Field(
        default=(),
        description="Files with the isolated atoms that give E0, besides those in the training "
        "files, with nothing else in them; for design.energy.reference: isolated_atoms.",
    )
    energies: dict[str, float] = Field(
        default_factory=dict,
        description="E0 in eV by symbol, for design.energy.reference: given or isolated_atoms, "
        "where they go before the isolated atoms in the files.",
    )

    cache: Weight = Field(
        default=2.0,
        description="GB of graphs that are kept in memory between epochs; those beyond are built "
        "anew for each batch, from the disk where a store holds the structures.",
    )

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        content = dict(content)
        for name in ("train", "valid", "isolated_atoms"):
            if isinstance(content.get(name), str):
                content[name] = (content[name],)
        if isinstance(content.get("tests"), Mapping):
            content["tests"] = {
                name: (files,) if isinstance(files, str) else files
                for name, files in content["tests"].items()
            }
        return content

    @model_validator(mode="after")
    def _check(self) -> Data:
        for symbol, energy in self.energies.items():
            atomic_number(symbol)
            if not math.isfinite(energy):
                raise ValueError(f"energies.{symbol} must be a finite number of eV, got {energy}.")
        return self


class Weights(_Group):
    """Weights of the labels in the loss from an epoch on."""

    epoch: Count = Field(description="First epoch (counted from 0) with these weights.")
    energy: Weight = Field(description="Weight of the energy term.")
    forces: Weight = Field(description="Weight of the forces term.")
    stress: Weight = Field(default=0.0, description="Weight of the stress term.")
    rate: Positive | None = Field(
        default=None, description="Learning rate before the schedule; null: as before."
    )


class Loss(_Group):
    """The loss: a weighted sum of an energy, a forces and a stress term."""

    kind: Literal["ef", "weighted", "ace", "per_atom", "huber"] = Field(
        default="weighted", description="Form of the terms; formulas in `multiace.training.loss`."
    )
    energy: Weight = Field(default=1.0, description="Weight of the energy term.")
    forces: Weight = Field(default=10.0, description="Weight of the forces term.")
    stress: Weight = Field(default=0.0, description="Weight of the stress term.")
    config_weights: dict[str, Weight] = Field(
        default_factory=dict,
        description="config_type -> factor of its structures in every term; others have 1.",
    )
    energy_delta: Positive = Field(
        default=0.01, description="huber: error in eV/atom where square turns into linear."
    )
    forces_delta: Positive = Field(
        default=0.1, description="huber: error in eV/Å where square turns into linear."
    )
    stress_delta: Positive = Field(
        default=0.01, description="huber: error in eV/Å^3 where square turns into linear."
    )
    second: Weights | None = Field(
        default=None,
        description="Second stage: other weights from an epoch on. The best model, the plateau "
        "and early stopping start anew there; early stopping before it skips to it.",
    )

    @model_validator(mode="after")
    def _check(self) -> Loss:
        stages = [("", self)] if self.second is None else [("", self), ("second.", self.second)]
        for prefix, stage in stages:
            if stage.energy == stage.forces == stage.stress == 0.0:
                raise ValueError(
                    f"{prefix}energy, {prefix}forces and {prefix}stress are all 0: "
                    "there is nothing to minimise. Give at least one a weight."
                )
        if self.kind != "huber":
            _require_default(
                self,
                ("energy_delta", "forces_delta", "stress_delta"),
                f"has no effect while kind is {self.kind}. Set kind: huber, or leave it out.",
            )
        return self


class Optimiser(_Group):
    """How weights follow gradients."""

    name: Literal["adam", "amsgrad", "adamw"] = Field(
        default="amsgrad", description="adamw decouples weight decay from the gradient."
    )
    rate: Positive = Field(default=0.01, description="Learning rate before the schedule.")
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.9, description="Decay of the mean of gradients, per step."
    )
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.999, description="Decay of the mean of squared gradients, per step."
    )
    epsilon: Positive = Field(
        default=1e-8, description="Added to the root of the mean squared gradient."
    )
    weight_decay: Weight = Field(default=0.0, description="Decay of the weights towards 0.")
    decayed: tuple[str, ...] = Field(
        default=("*",),
        min_length=1,
        description="Parameters that weight_decay acts on: patterns of their names, e.g. "
        "'*message*'.",
    )
    clip: Positive | None = Field(
        default=None, description="Largest norm of the gradient; longer ones are scaled down."
    )


class Schedule(_Group):
    """How the learning rate changes; every form begins with the warm-up."""

    name: Literal["constant", "plateau", "exponential", "cosine"] = Field(
        default="plateau",
        description="plateau: x factor when validation stalls; exponential: x factor each epoch; "
        "cosine: half a period down to minimum.",
    )
    factor: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        default=None,
        description="Factor of plateau (null: 0.8) or exponential (null: 0.9993).",
    )
    patience: Count = Field(
        default=50, description="plateau: validations without improvement that are waited for."
    )
    threshold: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=1e-4, description="plateau: relative decrease that counts as improvement."
    )
    epochs: Count | None = Field(
        default=None, description="cosine: epochs until the minimum; null: all epochs of the run."
    )
    minimum: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.0, description="Lowest rate as a fraction of optimiser.rate."
    )
    warm_up: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=0.0, description="Epochs in which the rate first rises linearly from 0."
    )

    @model_validator(mode="after")
    def _check(self) -> Schedule:
        for names, used_by in (
            (("factor",), ("plateau", "exponential")),
            (("patience", "threshold"), ("plateau",)),
            (("epochs",), ("cosine",)),
        ):
            if self.name not in used_by:
                rule = f"has no effect while name is {self.name}, only with {' or '.join(used_by)}."
                _require_default(self, names, f"{rule} Leave it out, or change the name.")
        return self


class Batch(_Group):
    """How many structures go into one step: a limit by structures, atoms or edges."""

    structures: Count | None = Field(default=None, description="Structures in a batch.")
    atoms: Count | None = Field(default=None, description="Most atoms in a batch.")
    edges: Count | None = Field(
        default=None,
        description="Most directed edges in a batch: what makes its memory predictable.",
    )

    @property
    def limit(self) -> tuple[BatchUnit, int]:
        """What a batch is limited by, and the limit."""
        units: tuple[BatchUnit, ...] = ("structures", "atoms", "edges")
        values: dict[BatchUnit, int | None] = {unit: getattr(self, unit) for unit in units}
        return next((unit, value) for unit, value in values.items() if value is not None)

    @model_validator(mode="before")
    @classmethod
    def _default(cls, content: Any) -> Any:
        return {"structures": 5} if content == {} else content

    @model_validator(mode="after")
    def _check(self) -> Batch:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"a batch is limited by one of structures, atoms or edges, got {given or 'none'}. "
                "Name one of them."
            )
        return self


class Seeds(_Group):
    """Seeds of the separate random streams; null: `seed`."""

    split: Seed | None = Field(default=None, description="Choice of the validation set.")
    order: Seed | None = Field(default=None, description="Order of the structures in each epoch.")
    initialisation: Seed | None = Field(default=None, description="Initial weights.")


class Checkpoint(_Group):
    """How often the state of the run is saved, besides its end and any signal."""

    seconds: Positive | None = Field(
        default=300.0, description="Seconds between checkpoints: what a power failure costs."
    )
    steps: Count | None = Field(default=None, description="Steps between checkpoints.")


class Log(_Group):
    """Where metrics go, besides metrics.jsonl and log.txt."""

    tensorboard: bool = Field(
        default=False, description="Write TensorBoard events into the run directory."
    )
    wandb: str | None = Field(default=None, description="Project of Weights & Biases to log to.")


class FineTuning(_Group):
    """Rules of a run that starts from a trained model (`--from`)."""

    energies: Literal["keep", "refit"] = Field(
        default="keep",
        description="E0 of the model are kept, or taken anew from the new data as "
        "design.energy.reference says, for the elements that occur there.",
    )


class TrainingConfig(_Group):
    """Everything that decides a training run.

    `design` is written as a preset, a file or fields of a Design, and the fields beside `preset`,
    `size` and `file` change it:

    ```yaml
    design: {preset: botnet, size: small, channels: 8}
    data: {train: train.xyz, valid: 50, tests: {300 K: test_300K.xyz}}
    loss: {kind: weighted, energy: 27, forces: 729}
    epochs: 100
    out: runs/botnet
    ```

    Example:
        >>> config = TrainingConfig(
        ...     design={"preset": "botnet", "size": "small", "channels": 8},
        ...     data={"train": "train.xyz"},
        ...     epochs=10,
        ...     out="runs/botnet",
        ... )
        >>> config.design.channels, config.optimiser.name
        (8, 'amsgrad')
    """

    design: Design = Field(description="The model: preset (and size), file, or fields of Design.")
    data: Data = Field(description="Structures and labels.")
    loss: Loss = Field(default=Loss(), description="What is minimised.")
    optimiser: Optimiser = Field(default=Optimiser(), description="How it is minimised.")
    schedule: Schedule = Field(default=Schedule(), description="Learning rate over time.")
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=0.99,
        description="Decay per step of the moving average of the weights, which is validated and "
        "saved; null: the weights themselves.",
    )
    batch: Batch = Field(default=Batch(structures=5), description="Structures in one step.")
    epochs: Count = Field(description="Passes over the training set.")
    minutes: Positive | None = Field(
        default=None, description="Stop after this much training time, validated and saved."
    )
    validate_every: Count = Field(default=1, description="Epochs between validations.")
    early_stopping: Count | None = Field(
        default=None,
        description="Stop after so many validations in a row without a new best; before "
        "loss.second, skip the epochs up to it instead.",
    )
    strikes: Count = Field(
        default=5, description="Steps and validations that may be NaN or infinite before the end."
    )
    seed: Seed = Field(default=0, description="Seed of all random streams.")
    seeds: Seeds = Field(default=Seeds(), description="Seeds of single streams.")
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="Precision of the model; energies are summed in float64."
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = Field(
        default="auto", description="cpu, cuda, cuda:N, or auto: cuda if there is one."
    )
    kernels: Literal["auto", "cpu", "reference"] = Field(
        default="auto",
        description="cpu: compiled, on the CPU; reference: PyTorch, anywhere; auto: cpu if it can.",
    )
    radial_grid: Annotated[int, Field(ge=FEWEST)] | None = Field(
        default=None,
        description="Evaluate radial functions of training steps by cubic splines through so many "
        "intervals up to the cutoff, not by the network at each edge; null: exactly. Validation "
        "and the model that is saved are exact; the log says the error.",
    )
    tracing: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Compute the gradients of training steps from a graph of operations that is "
        "traced once, which takes seconds and changes no bit: always; never; or auto, with "
        "compiled kernels where enough steps are to come to repay it.",
    )
    checkpoint: Checkpoint = Field(default=Checkpoint(), description="When to save the state.")
    fine_tuning: FineTuning = Field(default=FineTuning(), description="Rules of `--from`.")
    log: Log = Field(default=Log(), description="Further places for metrics.")
    out: str = Field(min_length=1, description="Run directory; one run each.")

    @model_validator(mode="before")
    @classmethod
    def _resolve_design(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and "design" in content:
            return {**content, "design": design_fields(content["design"])}
        return content

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        second = self.loss.second
        if second is not None and second.epoch >= self.epochs:
            raise ValueError(
                f"loss.second.epoch is {second.epoch}, but the run ends after {self.epochs} "
                "epochs. Let the second stage begin earlier, or raise epochs."
            )
        if self.optimiser.weight_decay == 0.0 and self.optimiser.decayed != ("*",):
            raise ValueError(
                "optimiser.decayed has no effect while optimiser.weight_decay is 0. "
                "Give a weight_decay, or leave decayed out."
            )
        reference = self.design.energy.reference
        if self.data.isolated_atoms and reference != "isolated_atoms":
            raise ValueError(
                "data.isolated_atoms has no effect while design.energy.reference is "
                f"{reference}. Set the reference to isolated_atoms, or leave the files out."
            )
        transform = self.design.radial.transform
        if self.radial_grid is not None and transform != "none":
            raise ValueError(
                f"radial_grid is {self.radial_grid}, a grid of distances, but with "
                f"design.radial.transform {transform} radial functions depend on the elements too. "
                "Leave out radial_grid, or set the transform to none."
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain data with all defaults written out: reading it gives an equal config."""
        return self.model_dump(mode="json")

    def seed_of(self, stream: Literal["split", "order", "initialisation"]) -> int:
        """Return the seed of one random stream."""
        own = getattr(self.seeds, stream)
        return self.seed if own is None else own

    def resolved(self) -> TrainingConfig:
        """Return the config with the defaults that depend on other fields filled in."""
        schedule = self.schedule
        factor = {"plateau": 0.8, "exponential": 0.9993}.get(schedule.name)
        update: dict[str, Any] = {}
        if schedule.factor is None and factor is not None:
            update["factor"] = factor
        if schedule.epochs is None and schedule.name == "cosine":
            update["epochs"] = self.epochs
        seeds = {name: self.seed_of(name) for name in ("split", "order", "initialisation")}
        return self.model_copy(
            update={"schedule": schedule.model_copy(update=update), "seeds": Seeds(**seeds)}
        )
