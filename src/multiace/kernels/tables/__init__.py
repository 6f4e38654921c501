"""What an operation must know besides its tensors: irreps, paths and couplings, as plain data."""

from multiace.kernels.tables.convolution import ConvolutionTable
from multiace.kernels.tables.encoding import Table, split_sizes
from multiace.kernels.tables.linear import LinearTable, SelectTable
from multiace.kernels.tables.nonlinearity import GateTable, NormTable
from multiace.kernels.tables.product import ProductTable
from multiace.kernels.tables.radial import (
    AgnesiTable,
    DensityTable,
    EdgeBasisTable,
    NormalisedAgnesiTable,
    RadialBasisTable,
    RadialNetworkTable,
    RepulsionTable,
    SplineTable,
)

__all__ = [
    "AgnesiTable",
    "ConvolutionTable",
    "DensityTable",
    "EdgeBasisTable",
    "GateTable",
    "LinearTable",
    "NormTable",
    "NormalisedAgnesiTable",
    "ProductTable",
    "RadialBasisTable",
    "RadialNetworkTable",
    "RepulsionTable",
    "SelectTable",
    "SplineTable",
    "Table",
    "split_sizes",
]
