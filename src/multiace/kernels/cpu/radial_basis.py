"""Radial basis and envelope, several distances at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from multiace.envelope import Envelope
from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.library import contiguous, library
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.radial_basis import RadialBasis as Definition

_INPUTS = ("distances", "argument", "constants")
_OUTPUTS = ("basis", "envelope")

FAMILIES = ("bessel", "chebyshev", "gaussian")
"""In the order of csrc/radial_basis.h."""


class Arguments(ctypes.Structure):
    """`MultiaceRadialBasis` of csrc/radial_basis.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows number n_threads".split()),
        *((name, ctypes.c_int64) for name in "family envelope_power envelope_on_basis".split()),
        ("cutoff", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        *((f"{name}_cotangent", ctypes.c_void_p) for name in _OUTPUTS),
        *((name, ctypes.c_void_p) for name in _OUTPUTS),
        *((f"{name}_dot", ctypes.c_void_p) for name in _OUTPUTS),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


class RadialBasis(nn.Module):
    """The radial basis of `kernels.reference`.

    Args:
        family: bessel, chebyshev or gaussian.
        number: number of functions.
        cutoff: r_c in Å.
        envelope: u.
        envelope_on: whether u multiplies the `basis`, or the radial `weights` later.
    """

    def __init__(
        self,
        family: Literal["bessel", "chebyshev", "gaussian"],
        number: int,
        cutoff: float,
        envelope: Envelope,
        envelope_on: Literal["basis", "weights"],
    ) -> None:
        super().__init__()
        from multiace.kernels.tables import RadialBasisTable

        self.table = RadialBasisTable(family, number, cutoff, envelope, envelope_on)
        self.number, self.envelope_on = number, envelope_on
        power = envelope.power if envelope.kind == "polynomial" else 0
        self.fixed = (FAMILIES.index(family), cutoff, power, envelope_on == "basis")

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        argument: Float[Tensor, " edges"] | None,
        constants: Float[Tensor, " number"],
    ) -> tuple[Float[Tensor, "edges number"], Float[Tensor, " edges"] | None]:
        """Return the basis, and the envelope; arguments are those of the definition."""
        given = distances.new_empty(0) if argument is None else argument
        basis, envelope = radial_basis(distances, given, constants, *self.fixed)
        return basis, envelope if self.envelope_on == "weights" else None


def _call(
    kernel: str,
    inputs: Sequence[Tensor],
    constants: tuple[int, float, int, bool],
    **others: Tensor | None,
) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip((*_INPUTS, *others), contiguous([*inputs, *others.values()]), strict=True))
    family, cutoff, power, on_basis = constants
    call = Arguments(
        inputs[0].shape[0],
        inputs[2].shape[0],
        threads(),
        family,
        power,
        on_basis,
        cutoff,
        **{name: t.data_ptr() for name, t in tensors.items() if t is not None and t.numel()},
    )
    library().call(f"radial_basis_{kernel}", inputs[0].dtype, call)


def _fake(distances: Tensor, argument: Tensor, constants: Tensor, *fixed) -> tuple[Tensor, ...]:
    n_rows, on_basis = distances.shape[0], fixed[-1]
    basis = distances.new_empty((n_rows, constants.shape[0]))
    return basis, distances.new_empty(0 if on_basis else n_rows)


def _forward(*arguments) -> tuple[Tensor, ...]:
    basis, envelope = _fake(*arguments)
    _call("forward", arguments[:3], arguments[3:], basis=basis, envelope=envelope)
    return basis, envelope


def _gradients(inputs: Sequence[Tensor], needed: Sequence[bool]) -> dict[str, Tensor]:
    """Arrays for the gradients that are needed."""
    return {
        f"{name}_gradient": x.new_empty(x.shape if wanted else (0,))
        for name, x, wanted in zip(_INPUTS, inputs, needed, strict=True)
    }


def _backward(
    needed: Sequence[bool], basis_cotangent: Tensor, envelope_cotangent: Tensor, *arguments
) -> tuple[Tensor, ...]:
    results = _gradients(arguments[:3], needed)
    cotangents = {"basis_cotangent": basis_cotangent, "envelope_cotangent": envelope_cotangent}
    _call("backward", arguments[:3], arguments[3:], **cotangents, **results)
    return tuple(results.values())


def _double_backward(needed: Sequence[bool], *arguments) -> tuple[Tensor, ...]:
    dots, cotangents, inputs = arguments[:3], arguments[3:5], arguments[5:8]
    operands = {f"{name}_dot": dot for name, dot in zip(_INPUTS, dots, strict=True)}
    operands |= {f"{name}_cotangent": g for name, g in zip(_OUTPUTS, cotangents, strict=True)}
    results = {
        f"{name}_dot": x.new_empty(x.shape if wanted else (0,))
        for name, x, wanted in zip(_OUTPUTS, cotangents, needed, strict=False)
    }
    results |= _gradients(inputs, needed[2:])
    _call("double_backward", inputs, arguments[8:], **operands, **results)
    return tuple(results.values())


def _reference(
    distances: Tensor, argument: Tensor, constants: Tensor, *fixed
) -> tuple[Tensor, ...]:
    family, cutoff, power, on_basis = fixed
    envelope = Envelope("polynomial", power) if power else Envelope("cosine")
    definition = Definition(
        FAMILIES[family],
        constants.shape[0],
        cutoff,
        envelope,
        "basis" if on_basis else "weights",
    )
    x = argument if argument.numel() or not distances.numel() else None
    basis, beside = definition(distances, x, constants)
    return basis, distances.new_empty(0) if beside is None else beside


radial_basis = Operation(
    name="radial_basis",
    inputs=_INPUTS,
    constants="int family, float cutoff, int envelope_power, bool envelope_on_basis",
    n_outputs=2,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
).register()
