"""A backend with one pass of one operation, in PyTorch on any device: the least there can be."""

import torch
from torch import Tensor

from multiace.kernels.dispatch import Kernels
from multiace.kernels.operation import Namespace, Passes
from multiace.kernels.operations.gate import GATE

ACTIVATIONS = (torch.nn.functional.silu, torch.tanh, torch.sigmoid)


def gate(x: Tensor, table: Tensor, dim_out: int) -> tuple[Tensor]:
    """Compute each segment from the words of the table, which is on the CPU."""
    words, constants = table[1:].tolist(), table[1:].view(torch.float64).tolist()
    y = x.new_empty((len(x), dim_out))
    for n in range(3, 3 + 7 * words[0], 7):
        dim, channels, start, gates, to, function = words[n : n + 6]
        end = to + max(dim, 1) * channels
        argument = x[:, gates if dim else start :][:, :channels]
        value = ACTIVATIONS[function](argument) * constants[n + 6]
        rows = x[:, start:][:, : end - to].unflatten(1, (-1, channels))
        y[:, to:end] = (rows * value.unsqueeze(1)).flatten(1) if dim else value
    return (y,)


NAMESPACE = Namespace("toy", device=None)
TOY = Kernels("toy", "toy", None, {"gate": NAMESPACE.register(GATE, Passes(gate))})
