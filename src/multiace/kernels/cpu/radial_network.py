"""Hidden layers of radial functions, a block of edges in the cache at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.flat_weights import flat_weights
from multiace.kernels.cpu.gate import FUNCTIONS
from multiace.kernels.cpu.library import contiguous, library
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.radial_network import RadialNetwork as Definition

_INPUTS = ("basis", "weights", "biases", "envelope")


class Arguments(ctypes.Structure):
    """`MultiaceRadialNetwork` of csrc/radial_network.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows n_layers n_threads".split()),
        ("widths", ctypes.c_void_p),
        ("function", ctypes.c_int64),
        ("constant", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        ("cotangent", ctypes.c_void_p),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("features", ctypes.c_void_p),
        ("features_dot", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


class RadialNetwork(nn.Module):
    """The hidden layers of `kernels.reference`; nothing but u is stored.

    Args:
        activation: f.
    """

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(
        self,
        basis: Float[Tensor, "edges number"],
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        envelope: Float[Tensor, " edges"] | None,
        factors: Sequence[float] | None = None,
    ) -> Float[Tensor, "edges hidden"]:
        """Return the hidden features u; arguments are those of the definition."""
        if not weights and envelope is None:
            return basis
        nothing = basis.new_empty(0)
        return radial_network(
            basis,
            flat_weights(weights, factors or [1.0] * len(weights)) if weights else nothing,
            torch.cat(list(biases)) if biases else nothing,
            nothing if envelope is None else envelope,
            [basis.shape[1], *(weight.shape[1] for weight in weights)],
            self.activation.name,
            self.activation.constant,
        )


def _call(
    kernel: str,
    inputs: Sequence[Tensor],
    widths: Sequence[int],
    activation: str,
    constant: float,
    **others: Tensor | None,
) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    names = (*_INPUTS, *others)
    tensors = dict(zip(names, contiguous([*inputs, *others.values()]), strict=True))
    of_layers = (ctypes.c_int64 * len(widths))(*widths)
    call = Arguments(
        n_rows=inputs[0].shape[0],
        n_layers=len(widths) - 1,
        n_threads=threads(),
        widths=ctypes.addressof(of_layers),
        function=FUNCTIONS[activation],
        constant=constant,
        **{name: t.data_ptr() for name, t in tensors.items() if t is not None and t.numel()},
    )
    library().call(f"radial_network_{kernel}", inputs[0].dtype, call)


def _fake(basis: Tensor, *others) -> tuple[Tensor, ...]:
    return (basis.new_empty((basis.shape[0], others[3][-1])),)


def _forward(*arguments) -> tuple[Tensor, ...]:
    (features,) = _fake(*arguments)
    _call("forward", arguments[:4], *arguments[4:], features=features)
    return (features,)


def _gradients(inputs: Sequence[Tensor], needed: Sequence[bool]) -> dict[str, Tensor]:
    """Arrays for the gradients that are needed."""
    return {
        f"{name}_gradient": torch.empty_like(x, memory_format=torch.contiguous_format)
        if wanted
        else x.new_empty(0)
        for name, x, wanted in zip(_INPUTS, inputs, needed, strict=True)
    }


def _backward(needed: Sequence[bool], cotangent: Tensor, *arguments) -> tuple[Tensor, ...]:
    inputs, constants = arguments[:4], arguments[4:]
    results = _gradients(inputs, needed)
    _call("backward", inputs, *constants, cotangent=cotangent, **results)
    return tuple(results.values())


def _double_backward(needed: Sequence[bool], *arguments) -> tuple[Tensor, ...]:
    dots, cotangent, inputs = arguments[:4], arguments[4], arguments[5:9]
    of_inputs = {f"{name}_dot": dot for name, dot in zip(_INPUTS, dots, strict=True)}
    features = torch.empty_like(cotangent, memory_format=torch.contiguous_format)
    results = {"features": features if needed[0] else cotangent.new_empty(0)}
    results |= _gradients(inputs, needed[1:])
    _call("double_backward", inputs, *arguments[9:], cotangent=cotangent, **of_inputs, **results)
    return tuple(results.values())


def _reference(
    basis: Tensor,
    weights: Tensor,
    biases: Tensor,
    envelope: Tensor,
    widths: Sequence[int],
    activation: str,
    constant: float,
) -> tuple[Tensor, ...]:
    shapes = list(pairwise(widths))
    matrices = [
        part.view(shape)
        for part, shape in zip(weights.split([a * b for a, b in shapes]), shapes, strict=True)
    ]
    rows = biases.split(list(widths[1:])) if biases.numel() else ()
    factor = envelope if envelope.numel() else None
    definition = Definition(Activation(activation, constant))
    return (definition(basis, matrices, rows, factor),)


radial_network = Operation(
    name="radial_network",
    inputs=_INPUTS,
    constants="int[] widths, str activation, float constant",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
).register()
