"""The compiled kernels as a backend: which operations they have passes of."""

from multiace.kernels.cpu import (
    convolution,
    edge_basis,
    flat_weights,
    gate,
    linear,
    neighbour_density,
    polynomial_product,
    radial_basis,
    radial_network,
)
from multiace.kernels.operation import Namespace
from multiace.kernels.operations.convolution import CONVOLUTION
from multiace.kernels.operations.edge_basis import EDGE_BASIS
from multiace.kernels.operations.flat_weights import register_flat_weights
from multiace.kernels.operations.gate import GATE
from multiace.kernels.operations.linear import LINEAR
from multiace.kernels.operations.neighbour_density import NEIGHBOUR_DENSITY
from multiace.kernels.operations.polynomial_product import POLYNOMIAL_PRODUCT
from multiace.kernels.operations.radial_basis import RADIAL_BASIS
from multiace.kernels.operations.radial_network import RADIAL_NETWORK

_PASSES = {
    CONVOLUTION: convolution.PASSES,
    EDGE_BASIS: edge_basis.PASSES,
    GATE: gate.PASSES,
    LINEAR: linear.PASSES,
    NEIGHBOUR_DENSITY: neighbour_density.PASSES,
    POLYNOMIAL_PRODUCT: polynomial_product.PASSES,
    RADIAL_BASIS: radial_basis.PASSES,
    RADIAL_NETWORK: radial_network.PASSES,
}

NAMESPACE = Namespace("cpu", "cpu")

FUNCTIONS = {of.name: NAMESPACE.register(of, passes) for of, passes in _PASSES.items()}
FUNCTIONS["flat_weights"] = register_flat_weights(NAMESPACE, flat_weights.join, flat_weights.part)
