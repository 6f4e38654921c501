"""Trainings that read stores: the same runs, with memory that does not grow with the data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.training import runs, tiny

from multiace.data import DataError, Store, prepare_store
from multiace.training import train
from multiace.training.examples import Cache, n_bytes
from multiace.training.prepare import make_data, read_sets


@pytest.fixture
def store(tmp_path):
    """Return a store of the training file that `tiny.config` writes."""
    tiny.config(tmp_path)
    prepare_store([str(tmp_path / "train.xyz")], tmp_path / "train.h5", cutoffs=[3.0])
    return tmp_path / "train.h5"


@pytest.mark.parametrize("cache", [0.0, 5e-5, 2.0], ids=["no cache", "some", "all"])
def test_a_run_from_a_store_is_bitwise_the_run_from_its_source(tmp_path, store, cache):
    train(tiny.config(tmp_path, out=str(tmp_path / "xyz")), progress="none")
    data = {"train": str(store), "cache": cache}
    train(tiny.config(tmp_path, data=data, out=str(tmp_path / "h5")), progress="none")
    runs.assert_same_run(tmp_path / "xyz", tmp_path / "h5")


def test_a_run_may_go_on_from_a_store_in_the_middle_of_an_epoch(tmp_path, store, monkeypatch):
    by_edges = {"batch": {"structures": None, "edges": 13}}
    train(tiny.config(tmp_path, **by_edges, out=str(tmp_path / "whole")), progress="none")
    parts = tiny.config(tmp_path, **by_edges, out=str(tmp_path / "parts"))
    runs.stop_after(monkeypatch, parts, 7, runs.SIGTERM)
    data = {"train": str(store), "cache": 0.0}
    changed = tiny.config(tmp_path, **by_edges, data=data, out=str(tmp_path / "parts"))
    train(changed, resume=True, progress="none")
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_validation_tests_and_isolated_atoms_come_from_stores_too(tmp_path, store):
    from tests.training.test_prepare import ATOMS

    tiny.write(tmp_path / "more.xyz", [*tiny.molecules(4, seed=5), *ATOMS])
    prepare_store([str(tmp_path / "more.xyz")], tmp_path / "more.h5")
    fields = tiny.config_fields(tmp_path)
    fields["data"] = {"train": [str(tmp_path / "more.h5")], "valid": str(store),
                      "tests": {"same": str(store)}}  # fmt: skip
    result = train(tiny.make_config(fields | {"epochs": 1}), progress="none")
    assert result.errors["same"].total.n_structures == 12
    assert result.potential.statistics.atomic_energies == tiny.ENERGIES
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "more.h5 is prepared anew: it has no edge counts within 3 Å" in log
    assert Store(tmp_path / "more.h5").header.cutoffs == (3.0,)


def test_examples_beyond_the_cache_are_built_anew(tmp_path, store):
    config = tiny.config(tmp_path, data={"train": str(store), "cache": 0.0})
    data = make_data(read_sets(config), tiny.potential(), config)
    first = data.training[0]
    assert data.training[0] is not first
    size = n_bytes(first)
    config = tiny.config(tmp_path, data={"train": str(store), "cache": 2.5e-9 * size})
    data = make_data(read_sets(config), tiny.potential(), config)
    examples = [data.training[index] for index in range(4)]
    kept = [data.training[index] is example for index, example in enumerate(examples)]
    assert kept == [True, True, False, False]


def test_a_cache_admits_what_fits():
    data = tiny.molecules(1)
    from multiace.training.examples import make_example

    example = make_example(data[0], 3.0, (1, 8))
    cache = Cache(1.5 * n_bytes(example))
    assert [cache.admits(example), cache.admits(example)] == [True, False]
    without = replace(example, graph=replace(example.graph, pairs=None))
    pairs = example.graph.pairs
    assert n_bytes(example) - n_bytes(without) > pairs.of_edge.nbytes + pairs.edge.nbytes


@pytest.mark.parametrize("unit", ["atoms", "edges"])
def test_a_structure_that_fits_into_no_batch_is_named_before_training(tmp_path, store, unit):
    batch = {"structures": None, unit: 2}
    config = tiny.config(tmp_path, batch=batch, data={"train": str(store)})
    with pytest.raises(
        DataError, match=rf"train\.xyz, frame \d+: .* more than batch\.{unit}, 2"
    ) as e:
        train(config, progress="none")
    assert e.value.field == f"batch.{unit}"
