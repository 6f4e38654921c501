"""What of NequIP becomes which Design, and what is refused; the golden files hold the numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from multiace.deploy.importers.nequip import import_nequip
from multiace.deploy.importers.neutral import ImportModelError, Neutral, read_neutral
from multiace.design import Design
from multiace.design.describe import differences
from multiace.geometry.graph import build_graph
from multiace.geometry.structure import Structure
from multiace.potential import Potential

FOLDER = Path(__file__).parents[2] / "golden" / "nequip_0_19"
Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


def read(name: str) -> Neutral:
    return read_neutral(FOLDER / f"{name}.safetensors")


def changed(name: str, change: Change) -> Neutral:
    """Return a golden model with other settings or tensors."""
    neutral = read(name)
    settings, tensors = copy.deepcopy(neutral.settings), dict(neutral.tensors)
    change(settings, tensors)
    return replace(neutral, settings=settings, tensors=tensors)


def imported(neutral: Neutral, **options: Any) -> Potential:
    return import_nequip(neutral, dtype=torch.float64, **options)


def energy(potential: Potential, name: str = "both_parities") -> float:
    results = read_neutral(FOLDER / f"{name}.results.safetensors").tensors
    structure = Structure(
        numbers=results["structure0.numbers"].numpy(),
        positions=results["structure0.positions"].numpy(),
    )
    with torch.no_grad():
        graph = build_graph(structure, potential.cutoff, potential.elements)
        return potential(graph).energy.item()


REFUSED: dict[str, tuple[Change, str]] = {
    "a foreign part": (
        lambda s, t: s["parts"].update(allegro="Allegro_Module"),
        "parts that are not supported: allegro .Allegro_Module.",
    ),
    "a pair potential": (
        lambda s, t: s["parts"].update(pair_potential="LennardJones"),
        "pair_potential .LennardJones.",
    ),
    "a part left out": (lambda s, t: s["parts"].pop("factor"), "has no ApplyFactor"),
    "another output": (lambda s, t: s.update(output="DipoleOutput"), "DipoleOutput"),
    "types that are not elements": (
        lambda s, t: s.update(type_names=["Ow", "H", "C"]),
        "types of the model are Ow, H, C",
    ),
    "embedded fields": (
        lambda s, t: s["NodeTypeEmbed"]["categorical_graph_fields"].append("charge"),
        "embeds charge",
    ),
    "cutoffs of pairs": (
        lambda s, t: s["EdgeLengthNormalizer"].update(per_edge_type_cutoff=True),
        "per_edge_type_cutoff",
    ),
    "a broken power": (
        lambda s, t: s["BesselEdgeLengthEncoding"].update(polynomial_cutoff_p=5.5),
        "p = 5.5",
    ),
    "other harmonics": (
        lambda s, t: s["SphericalHarmonicEdgeAttrs"].update(normalization="norm"),
        "harmonics 1x0e.1x1o.1x2e with",
    ),
    "another convolution": (
        lambda s, t: s["layers"][1].update(convolution="Fast"),
        "layer 2 has a Fast",
    ),
    "residual layers": (lambda s, t: s["layers"][2].update(resnet=True), "layer 3 .*resnet"),
    "norm activations": (
        lambda s, t: s["layers"][0].update(nonlinearity="NormActivation"),
        "layer 1 has the nonlinearity NormActivation",
    ),
    "another activation": (
        lambda s, t: s["layers"][1]["gate"]["act_scalars"].__setitem__(0, "shifted_softplus"),
        "shifted_softplus of scalars 0e",
    ),
    "other gates": (
        lambda s, t: s["layers"][1]["gate"]["act_gates"].__setitem__(0, "tanh"),
        "gates .*tanh",
    ),
    "another radial network": (
        lambda s, t: s["layers"][1]["radial"].update(nonlinearity=["Mish"]),
        "radial network is Mish",
    ),
    "widths that differ by parity": (
        lambda s, t: s["layers"][1].update(irreps_out="4x0e+3x0o+4x1e+4x1o+4x2e+4x2o"),
        "layer 2 has features .* l = 0 has not",
    ),
    "an irrep left out": (
        lambda s, t: s["layers"][1].update(irreps_out="4x0e+4x1o+4x2e+4x2o"),
        "layer 2 has features .* every irrep",
    ),
    "a deep readout": (
        lambda s, t: s["ScalarMLP"].update(dims=[4, 4, 4, 1], nonlinearity=["SiLU"]),
        "readout_mlp_hidden_layers_depth is 2",
    ),
    "another readout": (
        lambda s, t: s["ScalarMLP"].update(dims=[4, 4, 1], nonlinearity=["GELU"]),
        "readout_mlp_nonlinearity is GELU",
    ),
    "weights of nothing": (
        lambda s, t: t.update({"model.func.charges.weight": torch.ones(3)}),
        "not supported: model.func.charges.weight",
    ),
    "neighbours of layers": (
        lambda s, t: t.update(
            {"model.func.layer1_convnet.conv.avg_num_neighbors_norm.norm_const": torch.ones(1, 1)}
        ),
        "different avg_num_neighbors",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_supported_is_refused_by_name(reason: str) -> None:
    change, words = REFUSED[reason]
    with pytest.raises(ValueError, match=words) as caught:
        imported(changed("both_parities", change))
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", ["atomic_numbers", "_qqr2exesquare"])
def test_repulsion_of_other_elements_or_units_is_refused(name: str) -> None:
    key = f"model.func.pair_potential.{name}"
    with pytest.raises(ImportModelError, match=r"ZBL potential has .* units: metal"):
        imported(changed("zbl", lambda s, t: t.update({key: t[key] * 2})))


def test_heads_are_refused() -> None:
    with pytest.raises(ImportModelError, match="no head 'dft'"):
        imported(read("l1"), head="dft")


def test_a_model_can_be_imported_whole_where_its_last_layer_is_ours() -> None:
    pruned = imported(read("natural_parity"))
    whole = imported(read("natural_parity"), prune=False)
    assert energy(whole) == pytest.approx(energy(pruned), abs=1e-10)
    with pytest.raises(ImportModelError, match="Leave prune at True"):
        imported(read("both_parities"), prune=False)


def test_imported_design_is_a_plain_design() -> None:
    design = imported(read("unequal_widths")).design
    assert Design.model_validate(design.to_dict()) == design
    assert design.widths == ({0: 6, 1: 4, 2: 2},) * 3 + (6,)
    assert design.embedding_channels == 5
    assert design.per_layer("update.self_connection") == ("none", *["per_element"] * 3)


def test_elements_are_sorted_whatever_the_order_of_the_types() -> None:
    potential = imported(read("both_parities"))
    assert potential.elements == (1, 6, 8)
    assert potential.statistics.atomic_energies == {"O": -432.1, "H": -13.6, "C": -1029.5}
    assert potential.statistics.scale == {"O": 1.3, "H": 0.8, "C": 1.1}


def test_trained_numbers_are_trained_here() -> None:
    shifts = imported(read("mlp_readout"))
    names = [name for name, _ in shifts.named_parameters() if "baseline" in name]
    assert names == ["model.baseline.shift"]
    assert set(shifts.statistics.atomic_energies.values()) == {0.0}
    scales = imported(read("deep_linear_readout"))
    names = [name for name, _ in scales.named_parameters() if "baseline" in name]
    assert names == ["model.baseline.scale"]
    assert imported(read("l3")).design.radial.trainable
    assert not imported(read("both_parities")).design.radial.trainable


def test_neighbours_of_types_are_in_the_maps_before_the_edges() -> None:
    of_types = imported(read("unequal_widths_of_types")).design
    assert of_types.atomic_basis.before_edges == "per_element"
    assert of_types.atomic_basis.pooling == "sqrt_N"
    key = "model.func.layer{}_convnet.conv.avg_num_neighbors_norm.norm_const"

    def equal(settings: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        for t in range(3):
            tensors[key.format(t)] = tensors[key.format(t)].expand(3, 1)

    one, three = imported(read("both_parities")), imported(changed("both_parities", equal))
    fields = [field for field, _, _ in differences(one.design, three.design)]
    assert fields == ["atomic_basis.before_edges"]
    assert energy(three) == pytest.approx(energy(one), abs=1e-10)
