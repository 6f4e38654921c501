"""What is known of the energy before any layer: E0, shift, scale and core repulsion."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from multiace.elements import symbol_of
from multiace.kernels.operations.repulsion import Repulsion


class Baseline(nn.Module):
    """E_i = E0_z + shift_z + V_i + scale_z sum_t R_t, summed in float64 whatever the model's dtype.

    V is the ZBL repulsion; with `repulsion_inside` the scale multiplies it as it does the R_t.

    Args:
        elements: atomic numbers of the model, sorted.
        atomic_energies: E0 by element, eV.
        shift: eV, one or by element.
        scale: eV, one or by element.
        shifted: whether there is a shift.
        scaled: whether the scale is trained, if anything is.
        per_element: one shift and scale for each element.
        trainable: train shift and scale.
        repulsion: V, or None.
        repulsion_inside: whether the scale multiplies V.
        dtype: dtype of the trained numbers.

    Raises:
        ValueError: an element without E0, shift or scale, or a shift or scale by element where the
            design has one for all.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        elements: tuple[int, ...],
        *,
        atomic_energies: Mapping[str, float],
        shift: float | Mapping[str, float],
        scale: float | Mapping[str, float],
        shifted: bool,
        scaled: bool,
        per_element: bool,
        trainable: bool,
        repulsion: Repulsion | None = None,
        repulsion_inside: bool = False,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        symbols = [symbol_of(number) for number in elements]
        self.shifted = shifted
        self.repulsion, self.repulsion_inside = repulsion, repulsion_inside
        self.atomic_energies = _numbers("atomic_energies", atomic_energies, symbols)
        for name, value in (("scale", scale), ("shift", shift)):
            if isinstance(value, Mapping) and not per_element:
                raise ValueError(
                    f"statistics.{name} has numbers for {', '.join(value)}, but the design has one "
                    "for all elements. Give one number, or set energy.per_element: true."
                )
            setattr(self, name, _numbers(name, value, symbols if per_element else symbols[:1]))
        if trainable and scaled:
            self.scale = nn.Parameter(self.scale.to(dtype))
        if trainable and shifted:
            self.shift = nn.Parameter(self.shift.to(dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Baseline:
        """Follow the model to its device, but keep E0, shift and scale in float64."""
        super()._apply(fn, recurse)
        device = fn(self.atomic_energies).device
        self.atomic_energies = self.atomic_energies.to(device)
        for name in ("scale", "shift"):
            if not isinstance(getattr(self, name), nn.Parameter):
                setattr(self, name, getattr(self, name).to(device))
        return self

    def terms(self, n_readouts: tuple[int, ...]) -> tuple[str, ...]:
        """Name the columns that `forward` returns.

        Args:
            n_readouts: numbers t of the layers that have a readout.
        """
        before = ["E0"] + ["shift"] * self.shifted + ["ZBL"] * (self.repulsion is not None)
        return (*before, *(f"E{t}" for t in n_readouts))

    def forward(
        self,
        readouts: list[Float[Tensor, " owned"]],
        species: Int[Tensor, " owned"],
        repulsion: Float[Tensor, " owned"] | None,
    ) -> Float64[Tensor, "owned terms"]:
        """Return the terms of each atom's energy in eV; their sum is the energy.

        Args:
            readouts: R_t of each layer that has one.
            species: element of each atom.
            repulsion: V_i, if the model has ZBL.
        """
        scale = self.scale_of(species)
        columns = [self.atomic_energies[species]]
        if self.shifted:
            columns.append(self._of(self.shift, species))
        if repulsion is not None:
            v = repulsion.double()
            columns.append(v * scale if self.repulsion_inside else v)
        columns.extend(readout.double() * scale for readout in readouts)
        return torch.stack(columns, dim=1)

    def scale_of(self, species: Int[Tensor, " owned"]) -> Float64[Tensor, " owned"]:
        """Return the scale of each atom in eV."""
        return self._of(self.scale, species)

    def _of(self, values: Tensor, species: Tensor) -> Tensor:
        values = values.double()
        return values.expand(species.shape[0]) if len(values) == 1 else values[species]


def _numbers(
    name: str, value: float | Mapping[str, float], symbols: list[str]
) -> Float64[Tensor, " elements"]:
    """Return the number of each element."""
    numbers = value if isinstance(value, Mapping) else dict.fromkeys(symbols, value)
    missing = [symbol for symbol in symbols if symbol not in numbers]
    if missing:
        raise ValueError(
            f"statistics.{name} has no number for {', '.join(missing)}. "
            "Give one for every element of the model."
        )
    return torch.tensor([numbers[symbol] for symbol in symbols], dtype=torch.float64)
