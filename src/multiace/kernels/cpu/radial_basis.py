"""Radial basis and envelope, several distances at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.operations.radial_basis import RADIAL_BASIS, fake
from multiace.kernels.tables import RadialBasisTable
from multiace.kernels.tables.radial import FAMILIES

_INPUTS = RADIAL_BASIS.inputs
_OUTPUTS = ("basis", "envelope")


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


def fixed(table: RadialBasisTable) -> dict[str, Any]:
    """Return the arguments that a table says."""
    return {
        "number": table.number,
        "family": FAMILIES.index(table.family),
        "envelope_power": table.envelope_power,
        "envelope_on_basis": table.envelope_on == "basis",
        "cutoff": table.cutoff,
    }


def _call(kernel: str, inputs: Sequence[Tensor], table: Tensor, **others: Tensor | None) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip((*_INPUTS, *others), contiguous([*inputs, *others.values()]), strict=True))
    call = Arguments(
        n_rows=inputs[0].shape[0],
        n_threads=threads(),
        **fixed(RadialBasisTable.decode(table)),
        **{name: t.data_ptr() for name, t in tensors.items() if t is not None and t.numel()},
    )
    library().call(f"radial_basis_{kernel}", inputs[0].dtype, call)


def _forward(*arguments) -> tuple[Tensor, ...]:
    basis, envelope = fake(*arguments)
    _call("forward", arguments[:3], arguments[3], basis=basis, envelope=envelope)
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
    _call("backward", arguments[:3], arguments[3], **cotangents, **results)
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
    _call("double_backward", inputs, arguments[8], **operands, **results)
    return tuple(results.values())


PASSES = Passes(_forward, _backward, _double_backward)
