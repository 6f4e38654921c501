"""Every kernel once more: loops over nodes, edges, paths and components, written from its formula.

They are differentiable in any dtype, and share with the kernels nothing but the tables of
Clebsch-Gordan coefficients and symmetric couplings, which have tests of their own.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.couplings import product_couplings
from multiace.o3.irreps import Irrep, Irreps


def blocks(irreps: Irreps, row: Tensor) -> dict[Irrep, Tensor]:
    """Cut one flat row into (2l + 1, channels)."""
    result, start = {}, 0
    for channels, irrep in irreps.entries:
        stop = start + channels * irrep.dim
        result[irrep] = torch.stack(list(row[start:stop].split(channels)))
        start = stop
    return result


def segment_sum(values, segments, n_segments):
    rows = [torch.zeros_like(values[:1].sum(0)) for _ in range(n_segments)]
    for value, segment in zip(values, segments.tolist(), strict=True):
        rows[segment] = rows[segment] + value
    return torch.stack(rows)


def convolution(
    table, features, harmonics, hidden, weights, edge_types, senders, receivers, pairs=None
):
    rows = range(len(senders)) if pairs is None else pairs.tolist()
    sums = [
        [
            torch.zeros(out.dim, channels, dtype=features.dtype)
            for (_, _, out), channels in zip(table.paths, table.channels_of_path, strict=True)
        ]
        for _ in features
    ]
    for e, (j, i) in enumerate(zip(senders.tolist(), receivers.tolist(), strict=True)):
        kind = 0 if edge_types is None else int(edge_types[e])
        maps = weights[kind : kind + hidden.shape[1]] if weights.ndim == 2 else weights[kind]
        radial = sum(u * v for u, v in zip(hidden[rows[e]], maps, strict=True))
        neighbour, start = blocks(table.irreps_in, features[j]), 0
        for p, (irrep_in, l_edge, irrep_out) in enumerate(table.paths):
            h = neighbour[irrep_in]
            y = harmonics[e, l_edge**2 : (l_edge + 1) ** 2]
            coupling = clebsch_gordan(irrep_in.l, l_edge, irrep_out.l)
            phi = [torch.zeros_like(h[0]) for _ in range(irrep_out.dim)]
            for m_in, m_edge, m in np.argwhere(coupling):
                phi[m] = phi[m] + float(coupling[m_in, m_edge, m]) * y[m_edge] * h[m_in]
            stop = start + h.shape[1]
            sums[i][p] = sums[i][p] + radial[start:stop] * torch.stack(phi)
            start = stop
    rows = []
    for paths in sums:
        of_irreps = [
            torch.cat(
                [a for a, path in zip(paths, table.paths, strict=True) if path[2] == irrep], dim=1
            )
            for irrep in table.irreps_out.irreps
        ]
        rows.append(torch.cat([block.flatten() for block in of_irreps]))
    return torch.stack(rows)


def linear(irreps_in, irreps_out, x, weights, species=None):
    rows = []
    for n, row in enumerate(x):
        source, parts = blocks(irreps_in, row), []
        for channels, irrep in irreps_out.entries:
            for m in range(irrep.dim):
                if irrep not in source:
                    parts.append(torch.zeros(channels, dtype=x.dtype))
                    continue
                weight = weights[str(irrep)]
                weight = weight if species is None else weight[int(species[n])]
                parts.append(
                    torch.stack([(source[irrep][m] * weight[:, d]).sum() for d in range(channels)])
                )
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def polynomial_product(table, features, weights, species):
    rows = []
    for n, row in enumerate(features):
        a = torch.cat(list(blocks(table.irreps_in, row).values()))  # (components, channels)
        w = weights[0 if species is None else int(species[n])]  # (paths, channels)
        path, parts = 0, []
        for irrep in table.irreps_out.irreps:
            message = [torch.zeros_like(a[0]) for _ in range(irrep.dim)]
            for order in range(1, table.correlation + 1):
                products = product_couplings(table.irreps_in.irreps, irrep, order, table.basis)
                for m, q, eta in np.argwhere(products.coefficients):
                    term = float(products.coefficients[m, q, eta]) * w[path + eta]
                    for component in products.monomials[q]:
                        term = term * a[component]
                    message[m] = message[m] + term
                path += products.n_paths
            parts.extend(message)
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def gate(irreps_in, irreps_out, even, odd, activation_of_gates, x):
    rows = []
    for row in x:
        source, parts = blocks(irreps_in, row), []
        first, used = source[Irrep(0, 1)][0], 0
        for channels, irrep in irreps_out.entries:
            if irrep == Irrep(0, 1):
                parts.append(even(first[:channels]))
                used = channels
            elif irrep == Irrep(0, -1):
                parts.append(odd(source[irrep][0]))
            else:
                gates = activation_of_gates(first[used : used + channels])
                parts.extend(component * gates for component in source[irrep])
                used += channels
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def radial_basis(family, cutoff, envelope, on_basis, distances, argument, constants, falling=False):
    kind, p, *inner = envelope
    powers = (2 * p, 2 * inner[0]) if kind == "two_sided" else (0, 0)
    rows, beside = [], []
    for e, r in enumerate(distances):
        x = r if argument is None else argument[e]
        functions = []
        for n, k in enumerate(constants, start=1):
            if family == "bessel":
                functions.append((2 / cutoff) ** 0.5 * torch.sin(k * x / cutoff) / x)
            elif family == "gaussian":
                width = cutoff / len(constants)
                functions.append(torch.exp(-((x - k) ** 2) / (2 * width**2)))
            elif family == "jacobi":
                functions.append(
                    jacobi(n - 1, *powers, 1 - 2 * x if falling else 2 * x / cutoff - 1)
                )
            else:
                functions.append(2**0.5 * torch.cos(n * torch.acos(1 - 2 * x / cutoff)))
        y = r / cutoff
        u = (1 + torch.cos(torch.pi * y)) / 2
        if kind == "polynomial":
            u = 1 - (p + 1) * (p + 2) / 2 * y**p
            u = u + p * (p + 2) * y ** (p + 1) - p * (p + 1) / 2 * y ** (p + 2)
        elif kind == "two_sided":
            u = (x / cutoff) ** inner[0] * (1 - x / cutoff) ** p
        u = u if r < cutoff else 0 * u
        rows.append(torch.stack(functions) * (u if on_basis else 1))
        beside.append(u)
    return torch.stack(rows), torch.stack(beside)


def jacobi(n, alpha, beta, y):
    """Orthonormal together with ((1 - y) / 2)^(alpha / 2) ((1 + y) / 2)^(beta / 2)."""
    terms = [
        math.comb(n + alpha, n - s)
        * math.comb(n + beta, s)
        * ((y - 1) / 2) ** s
        * ((y + 1) / 2) ** (n - s)
        for s in range(n + 1)
    ]
    # n! (n + alpha + beta)! / (n + alpha)! (n + beta)!
    ratio = math.comb(n + alpha + beta, beta) / math.comb(n + beta, beta)
    return sum(terms) * ((2 * n + alpha + beta + 1) / 2 * ratio) ** 0.5


def radial_network(activation, basis, weights, biases, envelope):
    rows = []
    for e, u in enumerate(basis):
        for n, weight in enumerate(weights):
            z = [(u * weight[:, d]).sum() for d in range(weight.shape[1])]
            u = activation(torch.stack(z) + (biases[n] if biases else 0.0))
        rows.append(u if envelope is None else u * envelope[e])
    return torch.stack(rows)


def neighbour_density(table, harmonics, hidden, edge_types, receivers, n_nodes, pairs=None):
    rows = range(len(receivers)) if pairs is None else pairs.tolist()
    rho = [
        [
            [torch.zeros(n, dtype=hidden.dtype) for _ in range(table.n_types)]
            for l, (_, n) in enumerate(table.ranges)
            for _ in range(2 * l + 1)
        ]
        for _ in range(n_nodes)
    ]
    for e, (z, i) in enumerate(zip(edge_types.tolist(), receivers.tolist(), strict=True)):
        for l, (first, n) in enumerate(table.ranges):
            for lm in range(l**2, (l + 1) ** 2):
                u = hidden[rows[e], first : first + n]
                rho[i][lm][z] = rho[i][lm][z] + harmonics[e, lm] * u
    return torch.stack([torch.cat([torch.cat(row) for row in node]) for node in rho])
