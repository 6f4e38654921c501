"""Model files: what comes back, and what is refused."""

from __future__ import annotations

import pytest
import torch
from tests.training import tiny

from multiace.checkpoint import ModelFileError, load_model, read_tensors, save_model, write_tensors
from multiace.device import DeviceError
from multiace.geometry import batch_graphs, build_graph
from multiace.kernels.dispatch import select_kernels
from multiace.presets import PRESETS


def _graph():
    return batch_graphs([build_graph(s, 3.0, (1, 8)) for s in tiny.molecules(2)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_loaded_model_predicts_bitwise_what_the_saved_one_did(tmp_path, preset, dtype):
    design = PRESETS[preset]("small", channels=2, layers=2, l_max=1, cutoff=3.0)
    potential = tiny.potential(dtype=dtype).__class__(
        design, (1, 8), tiny.potential().statistics, dtype=dtype, seed=3
    )
    save_model(tmp_path / "model.safetensors", potential, {"data_hash": "abc"})
    loaded = load_model(tmp_path / "model.safetensors")
    assert (loaded.design, loaded.elements, loaded.dtype) == (design, (1, 8), dtype)
    assert loaded.statistics == potential.statistics
    one, two = potential(_graph(), stress=True), loaded(_graph(), stress=True)
    assert torch.equal(one.energy, two.energy)
    assert torch.equal(one.forces, two.forces)


def test_a_model_can_be_loaded_in_another_precision(tmp_path):
    potential = tiny.potential(dtype=torch.float32)
    save_model(tmp_path / "model", potential)
    loaded = load_model(tmp_path / "model", dtype=torch.float64)
    assert loaded.dtype == torch.float64
    torch.testing.assert_close(
        loaded(_graph()).energy, potential(_graph()).energy, rtol=0, atol=1e-4
    )


def test_a_model_computes_with_the_kernels_asked_for(tmp_path):
    save_model(tmp_path / "model", tiny.potential())
    assert load_model(tmp_path / "model", kernels="reference").kernels.name == "reference"
    assert load_model(tmp_path / "model").kernels is select_kernels("auto")


def test_kernels_that_are_not_there_are_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(ValueError, match="got 'fast'"):
        load_model(tmp_path / "no such file", kernels="fast")


def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save_model(tmp_path / "model", tiny.potential())
    with pytest.raises(DeviceError, match="device is cuda, but"):
        load_model(tmp_path / "model", device="cuda")


def test_the_file_says_what_it_is(tmp_path):
    save_model(tmp_path / "model", tiny.potential(), {"data_hash": "abc"})
    content, _ = read_tensors(tmp_path / "model", "model")
    assert content["elements"] == ["H", "O"]
    assert content["units"]["stress"] == "eV/Å^3"
    assert content["cutoff"] == content["design"]["cutoff"] == 3.0
    assert content["dtype"] == "float32"
    assert content["statistics"]["atomic_energies"] == tiny.ENERGIES
    assert content["provenance"] == {"data_hash": "abc"}


def _tampered(tmp_path, change):
    """Write a file with a right digest and a wrong content, as a hostile author would."""
    save_model(tmp_path / "model", tiny.potential())
    content, weights = read_tensors(tmp_path / "model", "model")
    change(content, weights)
    write_tensors(tmp_path / "model", "model", weights, content)
    return tmp_path / "model"


def _set(*keys, value):
    def change(content, _):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def _drop(*keys):
    def change(content, _):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_drop("design"), "design"),
        (_drop("elements"), "elements"),
        (_drop("statistics", "atomic_energies"), "atomic_energies"),
        (_drop("statistics", "atomic_energies", "O"), "atomic_energies has no value for"),
        (_set("design", value="os.system"), "design"),
        (_set("design", "class", value="os.system"), "class"),
        (_set("design", "readout", "activation", value="os.system"), "activation"),
        (_set("design", "layers", value=10**9), "1000000000 layers"),
        (_set("design", "layers", value="1000000000"), "design.layers must be a whole number"),
        (_set("design", "layers", value=1e9), "design.layers must be a whole number"),
        (_set("design", "channels", value=10**9), "parameters"),
        (_set("design", "radial", "hidden", value=[10**9] * 3), "parameters"),
        (_set("design", "l_max", value=60), "l_max"),
        (_set("design", "cutoff", value=4.0), "cutoff is 3.0 Å, but 4.0 Å in the design"),
        (_set("elements", value=["H", "H"]), "distinct and sorted"),
        (_set("elements", value=["O", "H"]), "distinct and sorted"),
        (_set("elements", value=["H", "Xx"]), "not the symbol"),
        (_set("elements", value=["H", "O", "C"]), "sorted"),
        (_set("dtype", value="float8"), "dtype"),
        (_set("units", "energy", value="Hartree"), "units.energy"),
        (_set("surprise", value=1), "surprise"),
        (_set("statistics", "mean_neighbours", value=0.0), "mean_neighbours"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_description_without_meaning_is_refused(tmp_path, change, reason):
    path = _tampered(tmp_path, change)
    with pytest.raises(ModelFileError, match=reason) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_weights_of_another_name_or_shape_are_refused(tmp_path):
    def rename(_, weights):
        weights["other"] = weights.pop("model.embedding.weights")

    with pytest.raises(ModelFileError, match="embedding.weights' is missing, 'other' is unknown"):
        load_model(_tampered(tmp_path, rename))

    def reshape(_, weights):
        weights["model.embedding.weights"] = weights["model.embedding.weights"].flatten()

    with pytest.raises(ModelFileError, match=r"has shape \(4,\), but the design asks for \(2, 2\)"):
        load_model(_tampered(tmp_path, reshape))


def test_weights_that_are_missing_are_counted(tmp_path):
    with pytest.raises(ModelFileError, match=r"holds \d+ weights, but its design has \d+ param"):
        load_model(_tampered(tmp_path, lambda _, weights: weights.popitem()))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    potential = tiny.potential()
    with torch.no_grad():
        next(potential.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(ModelFileError, match="not finite"):
        save_model(tmp_path / "model", potential)
    assert not (tmp_path / "model").exists()


def test_dead_paths_are_not_saved(tmp_path):
    with pytest.raises(ModelFileError, match="prune=True"):
        save_model(tmp_path / "model", tiny.potential(prune=False))
