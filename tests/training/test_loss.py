"""Losses against explicit loops, their gradients, masks and sums over batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training import tiny

from multiace.geometry import Structure
from multiace.potential import Prediction
from multiace.training.config import Loss
from multiace.training.examples import Targets, collate, make_example
from multiace.training.loss import Terms, loss_terms, no_terms, weights_at

KINDS = ("ef", "weighted", "per_atom", "ace", "huber")
EXACT = 1e-12


def _structures() -> list[Structure]:
    """Molecules and crystals: all labels, energy only, forces only, none, and unequal weights."""
    parts = [
        *tiny.molecules(2),
        *tiny.molecules(1, 1, forces=False),
        *tiny.molecules(1, 2, energy=False),
        *tiny.molecules(1, 3, energy=False, forces=False),
        *tiny.crystals(2),
    ]
    weights = (1.0, 2.0, 0.5, 3.0, 1.0, 1.0, 0.25)
    return [
        Structure(
            numbers=part.numbers,
            positions=part.positions,
            cell=part.cell,
            pbc=part.pbc,
            labels=part.labels,
            config_type="crystal" if part.cell is not None else "molecule",
            weight=weight,
        )
        for part, weight in zip(parts, weights, strict=True)
    ]


def _prediction(structures: list[Structure], seed: int = 5) -> Prediction:
    """Return random predictions of the right shapes, near enough to be on both sides of delta."""
    rng = np.random.default_rng(seed)
    n_atoms = sum(structure.n_atoms for structure in structures)
    energies = [(s.labels.energy or 0.0) + 0.05 * s.n_atoms * rng.normal() for s in structures]
    forces = np.concatenate(
        [
            np.zeros((s.n_atoms, 3)) if s.labels.forces is None else s.labels.forces
            for s in structures
        ]
    )
    stress = np.stack(
        [np.zeros((3, 3)) if s.labels.stress is None else s.labels.stress for s in structures]
    )
    return Prediction(
        energy=torch.tensor(energies, dtype=torch.float64, requires_grad=True),
        energies=torch.zeros(n_atoms, dtype=torch.float64),
        contributions=torch.zeros(len(structures), 1, dtype=torch.float64),
        forces=torch.tensor(forces + 0.2 * rng.normal(size=(n_atoms, 3)), requires_grad=True),
        stress=torch.tensor(stress + 0.02 * rng.normal(size=stress.shape), requires_grad=True),
    )


def _targets(structures: list[Structure]) -> Targets:
    return collate([make_example(s, 3.0, (1, 8)) for s in structures]).targets


def _huber(x: float, delta: float) -> float:
    return 0.5 * x * x if abs(x) <= delta else delta * (abs(x) - 0.5 * delta)


def _by_loops(kind: str, structures: list[Structure], prediction: Prediction, loss: Loss) -> float:
    """The formulas of the module's docstring, one number at a time."""
    energy, forces, stress = [], [], []
    energy_atoms = force_atoms = 0
    atom = 0
    for b, structure in enumerate(structures):
        w, n, labels = structure.weight, structure.n_atoms, structure.labels
        if labels.energy is not None:
            d = prediction.energy[b].item() - labels.energy
            form = {
                "ef": d**2,
                "weighted": d**2 / n,
                "ace": d**2 / n,
                "per_atom": (d / n) ** 2,
                "huber": _huber(d / n, loss.energy_delta),
            }
            energy.append(w * form[kind])
            energy_atoms += n
        if labels.forces is not None:
            for i in range(n):
                for a in range(3):
                    d = prediction.forces[atom + i, a].item() - labels.forces[i, a]
                    forces.append(w * (_huber(d, loss.forces_delta) if kind == "huber" else d**2))
            force_atoms += n
        if labels.stress is not None:
            for a in range(3):
                for c in range(3):
                    d = prediction.stress[b, a, c].item() - labels.stress[a, c]
                    stress.append(w * (_huber(d, loss.stress_delta) if kind == "huber" else d**2))
        atom += n
    if kind == "ace":
        return (
            loss.energy * sum(energy) / energy_atoms
            + loss.forces * sum(forces) / force_atoms
            + loss.stress * np.mean(stress)
        )
    return (
        loss.energy * np.mean(energy)
        + loss.forces * np.mean(forces)
        + loss.stress * np.mean(stress)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_loss_equals_its_formula_written_as_loops(kind):
    structures = _structures()
    prediction = _prediction(structures)
    loss = Loss(kind=kind, energy=2.0, forces=3.0, stress=5.0)
    value = loss_terms(prediction, _targets(structures), loss).value(weights_at(loss, 0))
    assert value.item() == pytest.approx(_by_loops(kind, structures, prediction, loss), rel=EXACT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", ["energy", "forces", "stress"])
def test_gradient_of_a_batch_is_the_finite_difference_of_its_formula(kind, label):
    structures = _structures()
    prediction = _prediction(structures)
    loss = Loss(kind=kind, energy=2.0, forces=3.0, stress=5.0)
    value = loss_terms(prediction, _targets(structures), loss).value(weights_at(loss, 0))
    values = getattr(prediction, label)
    (gradient,) = torch.autograd.grad(value, values)
    step = 1e-5
    flat = values.data.view(-1)
    for index in range(0, len(flat), 2):
        middle = flat[index].item()
        flat[index] = middle + step
        above = _by_loops(kind, structures, prediction, loss)
        flat[index] = middle - step
        below = _by_loops(kind, structures, prediction, loss)
        flat[index] = middle
        expected = (above - below) / (2 * step)
        assert gradient.view(-1)[index].item() == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_terms_of_batches_add_up_to_those_of_the_whole(kind):
    structures = _structures()
    loss = Loss(kind=kind, stress=1.0)
    prediction = _prediction(structures)
    whole = loss_terms(prediction, _targets(structures), loss)
    total = no_terms()
    start = 0
    for low, high in ((0, 3), (3, 5), (5, 7)):
        n_atoms = sum(s.n_atoms for s in structures[low:high])
        part = Prediction(
            energy=prediction.energy[low:high],
            energies=prediction.energies[start : start + n_atoms],
            contributions=prediction.contributions[low:high],
            forces=prediction.forces[start : start + n_atoms],
            stress=prediction.stress[low:high],
        )
        total = total + loss_terms(part, _targets(structures[low:high]), loss)
        start += n_atoms
    torch.testing.assert_close(total.sums, whole.sums, rtol=EXACT, atol=0)
    assert total.counts.tolist() == whole.counts.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_shards_with_common_counts_add_up_to_that_of_the_batch(kind):
    structures = _structures()
    loss = Loss(kind=kind, stress=1.0)
    weights = weights_at(loss, 0)
    potential = tiny.potential(dtype=torch.float64)
    parameters = list(potential.parameters())

    def terms_of(part: list[Structure]) -> Terms:
        batch = collate([make_example(s, 3.0, (1, 8)) for s in part])
        stress = all(s.volume is not None for s in part)
        return loss_terms(potential(batch.graph, stress=stress), batch.targets, loss)

    shards = [terms_of(part) for part in (structures[:2], structures[2:5], structures[5:])]
    counts = sum((shard.counts for shard in shards), torch.zeros(3, dtype=torch.float64))
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for shard in shards:
        value = Terms(shard.sums, counts).value(weights)
        for part, gradient in zip(total, torch.autograd.grad(value, parameters), strict=True):
            part += gradient
    whole = shards[0] + shards[1] + shards[2]
    expected = torch.autograd.grad(
        (terms_of(structures[:5]) + terms_of(structures[5:])).value(weights), parameters
    )
    for gradient, other in zip(total, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-10, atol=1e-10)
    assert whole.counts.tolist() == counts.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_a_model_is_the_finite_difference_of_its_loss(kind):
    structures = tiny.crystals(3)
    batch = collate([make_example(s, 3.0, (1, 8)) for s in structures])
    potential = tiny.potential(dtype=torch.float64)
    loss = Loss(kind=kind, stress=2.0)

    def value() -> torch.Tensor:
        prediction = potential(batch.graph, stress=True)
        return loss_terms(prediction, batch.targets, loss).value(weights_at(loss, 0))

    parameters = list(potential.parameters())
    gradients = torch.autograd.grad(value(), parameters)
    generator = torch.Generator().manual_seed(0)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    slope = sum((g * d).sum().item() for g, d in zip(gradients, direction, strict=True))

    def at(step: float) -> float:
        with torch.no_grad():
            for parameter, start, d in zip(parameters, starts, direction, strict=True):
                parameter.copy_(start + step * d)
        return value().item()

    starts = [parameter.detach().clone() for parameter in parameters]
    h = 1e-3
    difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    assert slope == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_label_adds_to_neither_sum_nor_count_nor_gradient(kind):
    structures = tiny.molecules(1, 3, energy=False, forces=False)
    prediction = _prediction(structures)
    loss = Loss(kind=kind, stress=1.0)
    terms = loss_terms(prediction, _targets(structures), loss)
    assert terms.sums.tolist() == terms.counts.tolist() == [0.0, 0.0, 0.0]
    value = terms.value(weights_at(loss, 0))
    assert value.item() == 0.0
    for gradient in torch.autograd.grad(value, [prediction.energy, prediction.forces]):
        assert not gradient.any()


def test_config_weights_multiply_those_of_the_structures():
    structure = _structures()[1]
    example = make_example(structure, 3.0, (1, 8), {"molecule": 3.0, "crystal": 7.0})
    assert example.targets.weight.tolist() == [6.0]


def test_a_molecule_in_a_batch_with_a_crystal_leaves_the_stress_gradient_finite():
    structures = [tiny.molecules(1)[0], tiny.crystals(1)[0]]
    potential = tiny.potential(dtype=torch.float64)
    example = collate([make_example(s, 3.0, (1, 8)) for s in structures])
    prediction = potential(example.graph, forces=True, stress=True)
    loss = Loss(stress=1.0)
    loss_terms(prediction, example.targets, loss).value(weights_at(loss, 0)).backward()
    for name, parameter in potential.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_second_stage_weights_hold_from_their_epoch_on():
    loss = Loss(energy=1.0, forces=10.0, second={"epoch": 3, "energy": 100.0, "forces": 2.0})
    assert weights_at(loss, 2).tolist() == [1.0, 10.0, 0.0]
    assert weights_at(loss, 3).tolist() == [100.0, 2.0, 0.0]


def test_float32_predictions_are_compared_in_float64():
    structures = tiny.molecules(1)
    prediction = _prediction(structures)
    single = Prediction(
        energy=prediction.energy,
        energies=prediction.energies,
        contributions=prediction.contributions,
        forces=prediction.forces.float(),
        stress=None,
    )
    terms = loss_terms(single, _targets(structures), Loss())
    assert terms.sums.dtype == torch.float64
    difference = single.forces.double() - _targets(structures).forces
    assert terms.sums[1].item() == pytest.approx((difference**2).sum().item(), rel=EXACT)
