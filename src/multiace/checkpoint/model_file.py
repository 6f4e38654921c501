"""Model files: the weights of a potential and all that is needed to build it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor

from multiace.checkpoint.tensor_file import ModelFileError, read_tensors, set_values, write_tensors
from multiace.design import Design, Statistics
from multiace.design.parameters import count_parameters
from multiace.device import find_device
from multiace.elements import atomic_number, sorted_elements, symbol_of
from multiace.kernels.dispatch import select_kernels
from multiace.potential import Potential

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Units(pydantic.BaseModel):
    """Units of the numbers that a potential returns; there is only one system."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    energy: Literal["eV"] = "eV"
    length: Literal["Å"] = "Å"
    forces: Literal["eV/Å"] = "eV/Å"
    stress: Literal["eV/Å^3"] = "eV/Å^3"


class ModelDescription(pydantic.BaseModel):
    """What a file says of a potential: everything but the weights."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    design: Design = pydantic.Field(description="The Design, all fields written out.")
    elements: tuple[str, ...] = pydantic.Field(
        min_length=1, description="Symbols of the chemical elements, by atomic number."
    )
    statistics: Statistics = pydantic.Field(description="Numbers taken from the training set.")
    units: Units = pydantic.Field(default=Units(), description="Units of all numbers.")
    dtype: Literal["float32", "float64"] = pydantic.Field(description="Precision of the weights.")
    cutoff: float = pydantic.Field(gt=0.0, description="Radius of a neighbourhood in Å.")
    provenance: dict[str, Any] = pydantic.Field(
        default_factory=dict, description="Where the weights come from; for people, not for code."
    )

    @pydantic.model_validator(mode="after")
    def _check(self) -> ModelDescription:
        if self.cutoff != self.design.cutoff:
            raise ValueError(f"cutoff is {self.cutoff} Å, but {self.design.cutoff} Å in the design")
        numbers = tuple(atomic_number(element) for element in self.elements)
        if numbers != sorted_elements(numbers):
            raise ValueError(f"elements must be distinct and sorted, got {self.elements}")
        statistics = self.statistics
        for name in ("atomic_energies", "shift", "scale"):
            table = getattr(statistics, name)
            missing = set(self.elements) - set(table) if isinstance(table, dict) else set()
            if missing:
                raise ValueError(f"statistics.{name} has no value for {sorted(missing)}")
        return self

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return tuple(atomic_number(element) for element in self.elements)


def describe_potential(potential: Potential, provenance: Mapping[str, Any]) -> ModelDescription:
    """Return the description that goes into a potential's file."""
    return ModelDescription(
        design=potential.design,
        elements=tuple(symbol_of(number) for number in potential.elements),
        statistics=potential.statistics,
        dtype="float64" if potential.dtype == torch.float64 else "float32",
        cutoff=potential.design.cutoff,
        provenance=dict(provenance),
    )


def save_model(
    path: str | os.PathLike[str],
    potential: Potential,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a potential to one safetensors file, whole or not at all.

    Args:
        path: the file to write; an older file is replaced only once the new one is on the disk.
        potential: the potential, with finite weights.
        provenance: plain data on where the weights come from (data hash, run, epoch, errors).

    Raises:
        ModelFileError: weights that are not finite, or a disk that cannot take the file.

    Example:
        >>> from multiace.presets import PRESETS
        >>> from multiace.design import Statistics
        >>> statistics = Statistics(mean_neighbours=2.0, atomic_energies={"H": -13.6})
        >>> design = PRESETS["botnet"](size="small", channels=2)
        >>> potential = Potential(design, (1,), statistics, seed=0)
        >>> path = getfixture("tmp_path") / "model.safetensors"
        >>> save_model(path, potential, {"data_hash": "none"})
        >>> load_model(path).design == design
        True
    """
    if not potential.pruned:
        raise ModelFileError(path, "dead paths are not saved: build the potential with prune=True.")
    weights = {name: value.detach() for name, value in potential.named_parameters()}
    description = describe_potential(potential, provenance or {})
    write_tensors(path, "model", weights, description.model_dump(mode="json"))


def load_model(
    path: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    kernels: str = "auto",
) -> Potential:
    """Read a potential from a file written by `save_model`.

    The digest, the description and every shape are checked before anything is built from them.

    Args:
        path: the file.
        dtype: precision to compute in; default: the one it was saved in.
        device: where it computes: auto, cpu, cuda or cuda:N.
        kernels: what it computes with: auto, cpu (compiled) or reference (PyTorch).

    Raises:
        DeviceError: a GPU that is not there.
        KernelLibraryError: compiled kernels that are not there.
        ModelFileError: a file that is damaged, foreign, or of a later version.
    """
    where = find_device(device)
    select_kernels(kernels, where)  # refused before anything is read
    content, weights = read_tensors(path, "model")
    description = parse_description(path, content, weights)
    return build_potential(path, description, weights, dtype=dtype, device=where, kernels=kernels)


def parse_description(
    path: str | os.PathLike[str], content: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> ModelDescription:
    """Check that a description has meaning and that the weights have the size it asks for.

    Raises:
        ModelFileError: naming the first thing that is wrong.
    """
    layers = content["design"].get("layers", 1) if isinstance(content.get("design"), dict) else 1
    if type(layers) is not int:  # before pydantic makes a number of a text
        raise ModelFileError(path, f"design.layers must be a whole number, got {layers!r:.40}.")
    if layers > len(weights):
        raise ModelFileError(path, f"{layers} layers cannot have {len(weights)} weight tensors.")
    try:
        description = ModelDescription.model_validate(dict(content))
    except (pydantic.ValidationError, RecursionError) as error:
        raise ModelFileError(path, f"the description is not valid. {_first_line(error)}") from None
    counts = count_parameters(description.design, len(description.elements), prune=True)
    expected, found = sum(counts.values()), sum(value.numel() for value in weights.values())
    if expected != found:
        raise ModelFileError(
            path, f"holds {found:,} weights, but its design has {expected:,} parameters."
        )
    return description


def build_potential(
    path: str | os.PathLike[str],
    description: ModelDescription,
    weights: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    kernels: str = "auto",
) -> Potential:
    """Build the potential of a checked description and give it its weights.

    Raises:
        ModelFileError: a weight that is missing, unknown, misshapen, or not finite.
    """
    try:
        potential = Potential(
            description.design,
            description.numbers,
            description.statistics,
            dtype=dtype or DTYPES[description.dtype],
            seed=0,
            device=device,
            kernels=kernels,
        )
    except ValueError as error:
        raise ModelFileError(path, f"its model cannot be built. {error}") from error
    parameters = dict(potential.named_parameters())
    set_values(path, parameters, weights)
    return potential


def _first_line(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}." if place else f"{first['msg']}."
    return "It is nested too deeply."
