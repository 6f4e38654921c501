"""`Statistics`: what a model takes from its training set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Statistics(BaseModel):
    """Numbers of the training set that enter the model; not part of the Design.

    Example:
        >>> statistics = Statistics(mean_neighbours=12.0, atomic_energies={"H": -13.6})
        >>> statistics.shift_of("H"), statistics.scale_of("H")
        (0.0, 1.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean_neighbours: float = Field(
        gt=0.0, description="Mean neighbours within the cutoff, of atoms that have any."
    )
    atomic_energies: dict[str, float] = Field(description="E0 of each element in eV.")
    shift: float | dict[str, float] = Field(
        default=0.0, description="Energy added to each atom in eV, global or by element."
    )
    scale: float | dict[str, float] = Field(
        default=1.0, description="Unit of the network's energies in eV, global or by element."
    )

    def shift_of(self, element: str) -> float:
        """Return the shift of an element in eV."""
        return self.shift[element] if isinstance(self.shift, dict) else self.shift

    def scale_of(self, element: str) -> float:
        """Return the scale of an element in eV."""
        return self.scale[element] if isinstance(self.scale, dict) else self.scale
