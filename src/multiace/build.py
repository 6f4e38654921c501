"""From a Design to a Model: below `Potential`, the only module that reads a `Design`."""

from __future__ import annotations

from functools import partial

from torch import nn

from multiace.activation import Activation
from multiace.baseline import Baseline
from multiace.design import Design, Statistics
from multiace.design.layout import SCALAR, LayerLayout, embedding_irreps, layouts
from multiace.envelope import Envelope
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import Kernels
from multiace.kernels.operations.neighbour_density import NeighbourDensity
from multiace.kernels.operations.repulsion import Repulsion
from multiace.kernels.tables import (
    ConvolutionTable,
    DensityTable,
    EdgeBasisTable,
    GateTable,
    NormTable,
)
from multiace.layer.atomic_basis import AtomicBasis, Density
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.layer.product_basis import ProductBasis
from multiace.layer.species_pooling import SpeciesPooling, pools_by_species
from multiace.layer.update import Select, Update
from multiace.model import Model
from multiace.o3.irreps import Irrep, Irreps
from multiace.one_particle.basis import EdgeFunctions
from multiace.one_particle.chemical import ChemicalEmbedding
from multiace.one_particle.radial import (
    AgnesiTransform,
    NormalisedAgnesiTransform,
    RadialBasis,
    RadialNetwork,
)
from multiace.readout import LinearReadout, MLPReadout, SumReadout
from multiace.repulsion import zbl_table


def build_model(
    design: Design,
    elements: tuple[int, ...],
    statistics: Statistics,
    kernels: Kernels,
    initial: Initialisation,
    *,
    prune: bool = True,
) -> Model:
    """Return the model of a design.

    Args:
        design: the Design.
        elements: atomic numbers of the model, sorted.
        statistics: mean neighbours, E0, shift and scale of the training set.
        kernels: implementation of the operations.
        initial: initial weights.
        prune: leave out what cannot reach a readout; the energies are the same without.
    """
    build = _Builder(design, elements, statistics, kernels, initial)
    layers: list[Layer] = []
    readouts: dict[int, nn.Module] = {}
    features = embedding_irreps(design, len(elements))
    for t, layout in enumerate(layouts(design, len(elements), prune=prune)):
        layers.append(build.layer(t, layout, features))
        features = layout.features_out
        if design.per_layer("readout.kind")[t] != "none":
            readouts[t] = build.readout(t, features)
    parts = (build.edge_functions(), build.embedding())
    return Model(*parts, layers, readouts, build.baseline())


class _Builder:
    """Turn the fields of a Design into the parts of a Model."""

    def __init__(
        self,
        design: Design,
        elements: tuple[int, ...],
        statistics: Statistics,
        kernels: Kernels,
        initial: Initialisation,
    ) -> None:
        self.design, self.elements, self.statistics = design, elements, statistics
        self.n_elements = len(elements)
        self.kernels, self.initial = kernels, initial
        constants = design.normalisation.activation
        self.activation = partial(Activation.of, normalisation=constants)
        self.linear = partial(
            EquivariantLinear, kernels, count_elements=design.normalisation.count_elements
        )

    def edge_functions(self) -> EdgeFunctions:
        radial, cutoff = self.design.radial, self.design.cutoff
        basis = RadialBasis(
            self.kernels,
            radial.family,
            radial.number,
            cutoff,
            self._envelope(),
            radial.envelope_on,
            falling=radial.family == "jacobi" and radial.transform == "agnesi",
            trainable=radial.trainable,
            dtype=self.initial.dtype,
        )
        transform = None
        if radial.transform == "agnesi":
            transform = AgnesiTransform(self.elements, **radial.agnesi.model_dump())
        elif radial.transform == "normalised_agnesi":
            constants = radial.normalised_agnesi.model_dump()
            transform = NormalisedAgnesiTransform(self.elements, cutoff, **constants)
        kernel = self.kernels.edge_basis(EdgeBasisTable(self.design.l_max))
        return EdgeFunctions(kernel, basis, cutoff, transform)

    def _envelope(self) -> Envelope:
        radial = self.design.radial
        if radial.envelope == "two_sided":
            return Envelope("two_sided", radial.two_sided.outer, radial.two_sided.inner)
        return Envelope(radial.envelope, radial.envelope_power)

    def embedding(self) -> ChemicalEmbedding:
        return ChemicalEmbedding(
            self.design.embedding,
            self.n_elements,
            embedding_irreps(self.design, self.n_elements).dim,
            count_elements=self.design.normalisation.count_elements,
            initial=self.initial.scope("embedding"),
        )

    def layer(self, t: int, layout: LayerLayout, features: Irreps) -> Layer:
        initial = self.initial.scope(f"layers.{t}")
        return Layer(
            layout,
            self._atomic_basis(t, layout, features, initial.scope("atomic_basis")),
            self._message(t, layout, initial.scope("message")),
            self._update(t, layout, features, initial.scope("update")),
        )

    def _atomic_basis(
        self, t: int, layout: LayerLayout, features: Irreps, initial: Initialisation
    ) -> AtomicBasis:
        design = self.design
        kind = design.per_layer("atomic_basis.before_edges")[t]
        if kind == "none":
            before = Select(features, layout.convolved) if features != layout.convolved else None
        else:
            n_elements = self.n_elements if kind == "per_element" else None
            scope = initial.scope("before_edges")
            before = self.linear(features, layout.convolved, scope, n_elements=n_elements)
        radial, table = design.radial, None
        if not layout.density:
            table = ConvolutionTable(layout.convolved, design.l_max, layout.paths, layout.pooled)
        network = RadialNetwork(
            self.kernels,
            radial.number,
            design.per_layer("radial.hidden")[t],
            None if table is None else table.n_weights,
            self.activation(radial.activation),
            bias=radial.bias,
            species=design.per_layer("radial.species")[t],
            n_elements=self.n_elements,
            initial=initial.scope("radial_network"),
        )
        neighbours = self.statistics.mean_neighbours
        factor = {"1": 1.0, "N": 1.0 / neighbours, "sqrt_N": neighbours**-0.5, "density": 1.0}
        density = None
        if design.atomic_basis.pooling == "density":
            density = Density(radial.number, initial.scope("density"))
        return AtomicBasis(
            before,
            network,
            None if table is None else self.kernels.convolution(table),
            factor[design.atomic_basis.pooling],
            self._after_pooling(t, layout, table, initial),
            density,
            None if table is None or t > 0 else self._species_pooling(table, network),
            None if table is not None else self._neighbour_density(layout, network.width),
        )

    def _neighbour_density(self, layout: LayerLayout, width: int) -> NeighbourDensity:
        """As many of the radial functions for each l as it has channels of an element."""
        widths = {irrep.l: n for n, irrep in layout.pooled.numbered(self.n_elements)}
        l_max = self.design.l_max
        ranges = tuple((0, widths.get(l, 0)) for l in range(l_max + 1))
        table = DensityTable(l_max, self.n_elements, ranges, width)
        return self.kernels.neighbour_density(table)

    def _species_pooling(
        self, table: ConvolutionTable, network: RadialNetwork
    ) -> SpeciesPooling | None:
        if not pools_by_species(table, self.n_elements, self.statistics.mean_neighbours):
            return None
        sizes = (self.n_elements, network.width)
        return SpeciesPooling(self.kernels, table, *sizes, network.species)

    def _after_pooling(
        self, t: int, layout: LayerLayout, table: ConvolutionTable | None, initial: Initialisation
    ) -> list[nn.Module]:
        kind = self.design.per_layer("atomic_basis.after_pooling")[t]
        if kind == "none":
            return []
        groups = None
        if table is not None and self.design.normalisation.path == "path":
            groups = _path_widths(table)
        twice = kind == "shared_then_per_element"
        first = self.linear(
            layout.pooled,
            layout.mixed if twice else layout.atomic_basis,
            initial.scope("after_pooling.0"),
            n_elements=self.n_elements if kind == "per_element" else None,
            groups=groups,
        )
        if not twice:
            return [first]
        second = self.linear(
            layout.mixed,
            layout.atomic_basis,
            initial.scope("after_pooling.1"),
            n_elements=self.n_elements,
        )
        return [first, second]

    def _message(self, t: int, layout: LayerLayout, initial: Initialisation) -> Message | None:
        correlation = self.design.per_layer("product_basis.correlation")[t]
        if correlation == 1:
            return None
        products = self.design.product_basis
        basis = ProductBasis(
            layout.atomic_basis,
            layout.message,
            correlation,
            products.basis,
            layout.total_degree,
            layout.n_types,
        )
        per_element = products.weights == "per_element"
        n_elements = self.n_elements if per_element else None
        return Message(self.kernels, basis, initial, n_elements=n_elements)

    def _update(
        self, t: int, layout: LayerLayout, features: Irreps, initial: Initialisation
    ) -> Update:
        kind = self.design.per_layer("update.linear")[t]
        linear = None
        if kind != "none":
            n_elements = self.n_elements if kind == "per_element" else None
            scope = initial.scope("linear")
            linear = self.linear(layout.message, layout.update, scope, n_elements=n_elements)
        kind = self.design.per_layer("update.self_connection")[t]
        connection = None
        if kind == "identity":
            connection = Select(features, layout.update)
        elif kind != "none":
            n_elements = self.n_elements if kind == "per_element" else None
            scope = initial.scope("self_connection")
            connection = self.linear(features, layout.update, scope, n_elements=n_elements)
        return Update(linear, connection, self._nonlinearity(t, layout))

    def _nonlinearity(self, t: int, layout: LayerLayout) -> nn.Module | None:
        update = self.design.update
        even, odd = self.activation(update.activation), partial(self.activation, "tanh")
        kind = self.design.per_layer("update.nonlinearity")[t]
        if kind == "none":
            return None
        if kind == "norm":
            return self.kernels.norm(NormTable(layout.features_out, even, odd()))
        gate = self.activation(update.gate_activation)
        return self.kernels.gate(GateTable(layout.update, layout.features_out, even, odd(), gate))

    def readout(self, t: int, features: Irreps) -> nn.Module:
        readout = self.design.readout
        initial = self.initial.scope(f"readouts.{t}")
        channels = features.channels[features.index(SCALAR)]
        kind = self.design.per_layer("readout.kind")[t]
        if kind == "sum":
            return SumReadout(channels)
        if kind == "linear":
            return LinearReadout(channels, initial)
        activation = None if readout.activation == "none" else self.activation(readout.activation)
        return MLPReadout(channels, readout.hidden, activation, initial)

    def baseline(self) -> Baseline:
        energy, statistics = self.design.energy, self.statistics
        return Baseline(
            self.elements,
            atomic_energies=statistics.atomic_energies,
            shift=statistics.shift,
            scale=statistics.scale,
            shifted=energy.shift != "none",
            scaled=energy.scale != "none",
            per_element=energy.per_element,
            trainable=energy.trainable,
            repulsion=None if energy.zbl == "none" else self._repulsion(),
            repulsion_inside=energy.zbl == "inside",
            dtype=self.initial.dtype,
        )

    def _repulsion(self) -> Repulsion:
        table = zbl_table(self.elements, **self.design.energy.zbl_constants.model_dump())
        if table.reach > self.design.cutoff:
            raise ValueError(
                f"energy.zbl acts up to {table.reach:.2f} Å between these elements, beyond the "
                f"cutoff of {self.design.cutoff:g} Å, where it would end with a jump. "
                "Give a larger cutoff, or set energy.zbl: none."
            )
        return self.kernels.repulsion(table)


def _path_widths(table: ConvolutionTable) -> dict[Irrep, tuple[int, ...]]:
    widths: dict[Irrep, list[int]] = {}
    for (_, _, irrep_out), channels in zip(table.paths, table.channels_of_path, strict=True):
        widths.setdefault(irrep_out, []).append(channels)
    return {irrep: tuple(of_paths) for irrep, of_paths in widths.items()}
