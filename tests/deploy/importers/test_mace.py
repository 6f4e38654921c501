"""What is not supported of a model of mace-torch is refused by name, with the rule."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tests.golden.peers import Case

from multiace.deploy.importers.mace import import_mace
from multiace.deploy.importers.neutral import ImportModelError, Neutral

PLAIN, HEADS = Case("mace", "mp_0b3").model, Case("mace", "two_heads").model


def changed(place: str, value: object) -> Neutral:
    """Return the model with one setting changed."""
    settings = copy.deepcopy(PLAIN.settings)
    *rooms, name = place.split(".")
    room = settings
    for key in rooms:
        room = room[int(key)] if key.isdigit() else room[key]
    room[name] = value
    return replace(PLAIN, settings=settings)


# setting, value, what the message says
REFUSED = {
    "extra_embedding": ("others", ["joint_embedding"], "joint_embedding is not supported"),
    "elements_in_another_order": ("elements", [8, 1, 6], "not in ascending order"),
    "gaussians": ("radial.class", "GaussianBasis", "GaussianBasis is not supported: BesselBasis"),
    "envelope": ("radial.cutoff_class", "Cosine", "Cosine is not supported: PolynomialCutoff"),
    "soft_transform": (
        "radial.transform",
        "SoftTransform",
        "SoftTransform is not supported: none and AgnesiTransform",
    ),
    "harmonics_of_even_parity": ("harmonics", "1x0e+1x1e", "use_so3.* are not supported"),
    "another_repulsion": ("pair_repulsion.class", "Coulomb", "Coulomb is not supported: ZBLBasis"),
    "other_coefficients": (
        "pair_repulsion.coefficients",
        [0.2, 0.5, 0.3, 0.0],
        "ZBL coefficients .* are not",
    ),
    "attention": (
        "interactions.1.class",
        "RealAgnosticAttResidualInteractionBlock",
        "layer 2: .*AttResidual.* is not supported: RealAgnosticInteractionBlock, ",
    ),
    "density_in_one_layer": (
        "interactions.1.class",
        "RealAgnosticResidualInteractionBlock",
        "some layers divide by a density",
    ),
    "accelerated": ("interactions.0.accelerated", True, "layout of another library. Convert it"),
    "narrow_edges": ("interactions.1.edge_features", "4x0e", "edge_irreps 4x0e"),
    "radial_layer_norm": ("interactions.0.network", "RadialMLP", "a radial RadialMLP: Fully"),
    "radial_activation": (
        "interactions.0.activation",
        {"name": "relu", "constant": 1.0},
        "relu.* are supported",
    ),
    "other_neighbours": ("interactions.1.average_neighbours", 3.0, "different avg_num_neighbors"),
    "accelerated_products": ("products.0.class", "SegmentedPolynomial", "is SegmentedPolynomial"),
    "correlation_5": ("products.1.correlation", [5], r"correlation \[5\]: one up to 4"),
    "both_parities": ("products.0.irreps_out", "8x0e+8x0o+8x1o", "parity .* such as 128x0e"),
    "unequal_widths": ("products.0.irreps_out", "8x0e+4x1o", "equally many channels"),
    "agnostic_in_one_layer": ("products.1.element_agnostic", True, "use_agnostic_product differs"),
    "biased_readout": ("readouts.1.class", "NonLinearBiasReadoutBlock", "Bias.* is not supported"),
    "readout_of_vectors": ("readouts.1.hidden", "16x0e+16x1o", "hidden irreps 16x0e"),
    "gate": (
        "readouts.1.activation",
        {"name": "abs", "constant": 1.0},
        "gate abs: None, silu, tanh are",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name: str) -> None:
    place, value, message = REFUSED[name]
    with pytest.raises(ImportModelError, match=message):
        import_mace(changed(place, value), dtype=torch.float64)


def test_every_problem_is_said_at_once() -> None:
    model = changed("radial.class", "GaussianBasis")
    model.settings["others"] = ["les"]
    with pytest.raises(ImportModelError, match=r"les is not supported.*\n.*GaussianBasis"):
        import_mace(model, dtype=torch.float64)


def test_another_version_is_refused() -> None:
    with pytest.raises(ImportModelError, match="mace-torch 1.0.0: only 0.3.x is supported"):
        import_mace(replace(PLAIN, versions={"mace-torch": "1.0.0"}), dtype=torch.float64)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (None, "the heads pbe, scan, and one is read at a time. Name it: --head pbe"),
        ("cc", "no head 'cc': its heads are pbe, scan"),
    ],
)
def test_one_of_several_heads_must_be_named(head: str | None, message: str) -> None:
    with pytest.raises(ImportModelError, match=message):
        import_mace(HEADS, head=head, dtype=torch.float64)


def test_weights_that_nothing_stands_for_are_refused() -> None:
    tensors = {**PLAIN.tensors, "les.weight": torch.ones(1)}
    with pytest.raises(ValueError, match="not supported: les.weight"):
        import_mace(replace(PLAIN, tensors=tensors), dtype=torch.float64)


def test_couplings_that_are_not_those_of_mace_are_refused() -> None:
    name = "products.0.symmetric_contractions.contractions.1.probed_3"
    fewer = {**PLAIN.tensors, name: PLAIN.tensors[name][..., :12]}
    with pytest.raises(ImportModelError, match=r"neither those of mace-torch .* nor"):
        import_mace(replace(PLAIN, tensors=fewer), dtype=torch.float64)
    for model in (PLAIN, Case("mace", "reduced_couplings").model):
        others = {**model.tensors, name: model.tensors[name] + 0.01}
        with pytest.raises(ImportModelError, match="couplings of 3 factors to 1o are not those"):
            import_mace(replace(model, tensors=others), dtype=torch.float64)


def test_too_few_probes_for_reduced_couplings_are_refused() -> None:
    model = Case("mace", "reduced_couplings").model
    few = {
        name: tensor[:8] if name == "probes" or ".probed_" in name else tensor
        for name, tensor in model.tensors.items()
    }
    with pytest.raises(ImportModelError, match="3 factors to 0e have 8 couplings: up to 7 are"):
        import_mace(replace(model, tensors=few), dtype=torch.float64)
