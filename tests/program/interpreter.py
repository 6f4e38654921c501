"""A program run by the definitions of its operations and autograd: the oracle of every executor."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from multiace.geometry import Pairs
from multiace.kernels.dispatch import REFERENCE
from multiace.kernels.operations.convolution import radial_functions
from multiace.kernels.segment_sum import segment_sum
from multiace.layer.update import Select
from multiace.program.program import ABSENT, Operation, Program


class Interpreter:
    """Evaluates a program on a graph; ghosts, too, are evaluated as if they were owned.

    Args:
        program: the program.
        senders: j of each edge.
        receivers: i of each edge.
        species: of each node, as position in the program's elements.
        pairs: edges with opposite vectors, or None.
    """

    def __init__(self, program: Program, senders, receivers, species, pairs: Pairs | None) -> None:
        self.program, self.species = program, species
        self.senders, self.receivers = senders, receivers
        every = torch.arange(len(senders))
        self.pairs = Pairs(every, every) if pairs is None else pairs

    def run(self, vectors: Tensor, n_owned: int) -> tuple[Tensor, Tensor]:
        """Return the terms of the energies of owned nodes, and dE/d(edge vector)."""
        program, names = self.program, self.program.names
        vectors = vectors.detach().to(program.dtype, copy=True).requires_grad_()
        values = {program.vectors: vectors}
        for operation in program.operations:
            inputs = [None if n == ABSENT else values[n] for n in operation.inputs]
            results = getattr(self, operation.name)(operation, *inputs, *operation.constants)
            for n, result in zip(operation.outputs, results, strict=True):
                if n != ABSENT:
                    values[n] = values[n] + result if n in values else result
        species = self.species[:n_owned]
        read = torch.cat([values[n][:n_owned] for n in program.reads], dim=1).double()
        columns = torch.arange(len(names) - len(program.reads), len(names))
        terms = program.terms[species].index_add(1, columns, program.factors.T[species] * read)
        (gradient,) = torch.autograd.grad(terms.sum(), vectors, materialize_grads=True)
        return terms.detach(), gradient

    def _types(self, types: Tensor | None) -> Tensor | None:
        ends = (self.species[self.senders], self.species[self.receivers])
        return None if types is None else types[ends]

    def _to_edges(self, operation: Operation, n: int, x: Tensor) -> Tensor:
        """Return an input with a row for each edge."""
        of_pairs = self.program.arrays[operation.inputs[n]].rows == "pairs"
        return x[self.pairs.of_edge] if of_pairs else x

    def _nodes(self, of_edge: Tensor) -> Tensor:
        return segment_sum(of_edge, self.receivers, len(self.species))

    def edge_basis(self, operation, vectors):
        distances, harmonics = REFERENCE.edge_basis(operation.table)(vectors)
        return distances[:, None], harmonics

    def agnesi(self, operation, r):
        t, edge = operation.table, self.pairs.edge
        radii = r.new_tensor(t.radii)[self.species]
        x = r[edge, 0] / (0.5 * (radii[self.senders[edge]] + radii[self.receivers[edge]]))
        return ((1 / (1 + t.a * x**t.q / (1 + x ** (t.q - t.p))))[:, None],)

    def normalised_agnesi(self, operation, r):
        t, edge = operation.table, self.pairs.edge
        radii = r.new_tensor(t.radii)[self.species]
        bond = radii[self.senders[edge]] + radii[self.receivers[edge]]

        def y(r):
            return 1 / (1 + t.a * (r / bond) ** t.q / (1 + (r / bond) ** (t.q - t.p)))

        r = r[edge, 0]
        x = t.cutoff * (y(t.r_in) - y(r)) / (y(t.r_in) - y(t.cutoff))
        return (x.clamp(0.0, t.cutoff)[:, None],)

    def radial_basis(self, operation, r, argument, constants):
        x = None if argument is None else argument[:, 0]
        module = REFERENCE.radial_basis(operation.table)
        basis, envelope = module(r[self.pairs.edge, 0], x, constants)
        return basis, None if envelope is None else envelope[:, None]

    def radial_network(self, operation, basis, envelope, weights, biases):
        widths = operation.table.widths
        shapes = list(pairwise(widths))
        of_layers = () if weights is None else weights.split([a * b for a, b in shapes])
        matrices = [w.view(shape) for w, shape in zip(of_layers, shapes, strict=True)]
        rows = () if biases is None else biases.split(list(widths[1:]))
        factor = None if envelope is None else envelope[:, 0]
        return (REFERENCE.radial_network(operation.table)(basis, matrices, rows, factor),)

    def spline(self, operation, r, coefficients, types):
        t = operation.table
        x = r[:, 0] / t.width
        knot = x.detach().long().clamp(max=t.n_intervals - 1)
        t1 = x - knot
        s = 1 - t1
        b = [t1**2 * s**3 / 2, t1 * s**3 * (1 + 3 * t1), torch.ones_like(s)]
        b += [t1**3 * (10 - 15 * t1 + 6 * t1**2), t1**3 * s**2 / 2, -(t1**3) * s * (4 - 3 * t1)]
        of_edge = self._types(types)
        of_edge = torch.zeros_like(knot) if of_edge is None else of_edge
        rows = [coefficients[of_edge, 4 * knot + q] for q in range(6)]
        values = sum(w[:, None] * row for w, row in zip(b, rows, strict=True))
        return (torch.where(x[:, None] < t.n_intervals, values, 0.0),)

    def embedding(self, operation, of_element):
        return (of_element[self.species],)

    def convolution(self, operation, h, harmonics, hidden, weights, types):
        hidden, types = self._to_edges(operation, 2, hidden), self._types(types)
        radial = hidden if weights is None else radial_functions(hidden, weights, types)
        module = REFERENCE.convolution(operation.table).to(h.dtype)
        one = torch.eye(radial.shape[1], dtype=h.dtype)[None]
        return (module(h, harmonics, radial, one, None, self.senders, self.receivers),)

    def neighbour_density(self, operation, harmonics, hidden, types):
        types = self.species[self.senders] if types is None else self._types(types)
        indices = (types, self.receivers, len(self.species))
        module = REFERENCE.neighbour_density(operation.table)
        return (module(harmonics, self._to_edges(operation, 1, hidden), *indices),)

    def pooling_density(self, operation, basis, envelope, weights):
        of_pair = torch.tanh((basis @ weights).square())[:, None]
        of_pair = of_pair if envelope is None else of_pair * envelope
        return (1 + self._nodes(of_pair[self.pairs.of_edge]),)

    def quotient(self, operation, a, density):
        return (a / density,)

    def linear(self, operation, x, weights):
        t = operation.table
        sizes = [a * b for a, b in t.shapes.values()]
        n_copies = len(weights) // max(sum(sizes), 1) or 1
        parts = weights.split([n_copies * size for size in sizes])
        matrices = {
            str(i): part.view(n_copies, *shape)
            for (i, shape), part in zip(t.shapes.items(), parts, strict=True)
        }
        species = self.species if n_copies > 1 else torch.zeros_like(self.species)
        return (REFERENCE.linear(t)(x, matrices, species),)

    def polynomial_product(self, operation, a, weights):
        species = self.species if len(weights) > 1 else None
        return (REFERENCE.polynomial_product(operation.table).to(a.dtype)(a, weights, species),)

    def gate(self, operation, x):
        return (REFERENCE.gate(operation.table)(x),)

    def norm(self, operation, x):
        return (REFERENCE.norm(operation.table)(x),)

    def select(self, operation, x):
        return (Select(operation.table.irreps_in, operation.table.irreps_out)(x),)

    def repulsion(self, operation, r):
        module = REFERENCE.repulsion(operation.table).to(r.dtype)
        return (module(r[:, 0], self.senders, self.receivers, self.species)[:, None],)
