"""Stores: what comes back, when they are made anew, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import h5py
import numpy as np
import pytest
from tests.data.store.make_files import FILES
from tests.training import tiny

from multiace.data import DataError, Store, count_edges, fresh_store, prepare_store, read_structures
from multiace.data.identity import structure_digest
from multiace.data.store import header as header_module
from multiace.data.store import store as store_module
from multiace.data.store.header import Keys, as_block, block_size, read_header
from multiace.data.store.layout import columns_of

STRUCTURES = [
    *tiny.molecules(5),
    *tiny.crystals(3),
    *tiny.molecules(1, 7, forces=False),
    replace(tiny.molecules(1, 8, energy=False)[0], config_type="öde", weight=0.5),
]
"""Labels of all kinds, present and absent, with and without cells."""


@pytest.fixture
def source(tmp_path):
    """Return a file with structures."""
    return str(tiny.write(tmp_path / "train.xyz", STRUCTURES))


@pytest.fixture
def path(tmp_path, source):
    """Return a store of it."""
    prepare_store([source], tmp_path / "train.h5", cutoffs=[3.0])
    return tmp_path / "train.h5"


def _fields(structure):
    labels = structure.labels
    return (structure_digest(structure), structure.source, structure.pbc, dict(labels.keys))


def test_a_store_holds_what_its_sources_hold(path, source):
    expected = [_fields(structure) for structure in read_structures(source)]
    store = Store(path)
    assert [_fields(structure) for structure in store] == expected
    assert [_fields(store[index]) for index in range(len(store))] == expected
    assert [_fields(structure) for structure in store[7:2:-2]] == expected[7:2:-2]
    assert _fields(store[-1]) == expected[-1]
    with pytest.raises(IndexError):
        store[len(store)]


def test_columns_of_a_store_are_those_of_its_structures(path):
    store = Store(path)
    expected = store_module.Columns.of(list(store))
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(store.columns, name), value, err_msg=name)


@pytest.mark.parametrize("piece", [1, 3, 512])
def test_pieces_and_blocks_do_not_matter(tmp_path, source, monkeypatch, piece):
    monkeypatch.setattr("multiace.data.store.write.PIECE", piece)
    monkeypatch.setattr(store_module, "BLOCK", 4)
    prepare_store([source, source], tmp_path / "a.h5")
    expected = [structure_digest(structure) for structure in read_structures(source)]
    store = Store(tmp_path / "a.h5")
    assert [structure_digest(structure) for structure in store] == 2 * expected
    assert [record.structures for record in store.header.sources] == [10, 10]
    assert store.source(13).endswith("train.xyz:3")


def test_edge_counts_are_those_of_neighbour_lists(path):
    store = Store(path)
    expected = count_edges(store, 3.0)
    counts = store.edge_counts(3.0)
    assert counts is not None
    np.testing.assert_array_equal(counts.edges, expected.edges)
    np.testing.assert_array_equal(counts.centres, expected.centres)
    assert store.edge_counts(3.1) is None


def test_the_same_sources_give_the_same_bytes(path, source, tmp_path):
    prepare_store([source], tmp_path / "again.h5", cutoffs=[3.0])
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_others_can_read_it_with_h5py(path):
    with h5py.File(path) as file:
        assert file["atoms/position"].shape == (27, 3)
        assert (
            file["frames/energy"][0] == read_structures(path.with_suffix(".xyz"))[0].labels.energy
        )


def test_the_header_is_text_that_says_what_the_store_was_made_from(path):
    start = path.read_bytes()[: block_size(path)].decode()
    assert start.startswith(f"multiace-store {len(start)}\n{{")
    assert '"name": "' in start
    assert read_header(path).structures == 10


# --- staleness ------------------------------------------------------------------------------------


def _opened(path, **options):
    notes: list[str] = []
    store = fresh_store(path, note=notes.append, **options)
    return store, notes


def test_a_store_whose_sources_are_unchanged_is_opened_without_a_word(path):
    before = path.read_bytes()
    os.utime(path.with_suffix(".xyz"))  # a new time is not a new content
    store, notes = _opened(path)
    assert (len(store), notes, path.read_bytes()) == (10, [], before)


def test_a_changed_source_is_read_again_with_notice(path):
    tiny.write(path.with_suffix(".xyz"), tiny.molecules(4))
    store, (note,) = _opened(path)
    assert len(store) == 4
    assert "is prepared anew: " in note
    assert "train.xyz has changed (SHA-256 " in note
    assert store.edge_counts(3.0) is not None  # what was asked for before is kept


def test_edges_within_another_cutoff_are_counted_with_notice(path):
    store, (note,) = _opened(path, cutoffs=[2.5])
    assert "no edge counts within 2.5 Å" in note
    assert store.header.cutoffs == (2.5, 3.0)
    assert _opened(path, cutoffs=[2.5, 3.0])[1] == []


def test_a_store_of_an_earlier_format_is_prepared_anew(path, monkeypatch):
    monkeypatch.setattr(header_module, "FORMAT_VERSION", 2)
    monkeypatch.setattr("multiace.data.store.prepare.FORMAT_VERSION", 2)
    _, (note,) = _opened(path)
    assert "it has format 1, and now is 2" in note


def test_a_store_of_a_later_format_is_refused(path):
    _edit_header(path, format_version=9, library_version="7.1")
    with pytest.raises(DataError, match=r"has format 9, written by multiace 7\.1.*Update"):
        fresh_store(path)


def test_a_damaged_store_is_prepared_anew_with_notice(path):
    before = path.read_bytes()
    data = bytearray(before)
    data[len(data) // 2] ^= 1
    for broken in (bytes(data), before[:-100], before[: len(before) // 2]):
        path.write_bytes(broken)
        store, (note,) = _opened(path)
        assert "is prepared anew: the store is damaged" in note
        assert len(store) == 10
        assert path.read_bytes() == before


def test_without_its_sources_a_sound_store_is_used_and_a_damaged_one_refused(path):
    path.with_suffix(".xyz").unlink()
    store, (note,) = _opened(path)
    assert len(store) == 10
    assert "cannot be found; the store is used as it is" in note
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"must be prepared anew.*train\.xyz cannot be found"):
        fresh_store(path)


def test_a_store_moved_with_its_sources_still_knows_them(path):
    moved = path.parent / "elsewhere"
    moved.mkdir()
    for name in ("train.h5", "train.xyz"):
        (path.parent / name).rename(moved / name)
    tiny.write(moved / "train.xyz", tiny.molecules(2))
    store, _ = _opened(moved / "train.h5")
    assert len(store) == 2


def test_other_names_of_labels_are_refused(path):
    with pytest.raises(DataError, match="prepared with the energy from 'the usual name'.*dft"):
        fresh_store(path, keys=Keys(energy="dft"))


def test_labels_under_other_names_are_stored_and_remembered(tmp_path):
    file = tmp_path / "a.xyz"
    tiny.write(file, tiny.molecules(2))
    file.write_text(file.read_text().replace("energy=", "dft="))
    prepare_store([str(file)], tmp_path / "a.h5", keys=Keys(energy="dft"))
    store, notes = _opened(tmp_path / "a.h5", keys=Keys(energy="dft"))
    assert store[0].labels.keys["energy"] == "dft"
    assert notes == []
    tiny.write(file, tiny.molecules(3))  # prepared anew with the same name, which is gone
    assert all(s.labels.energy is None for s in _opened(tmp_path / "a.h5")[0])


# --- what is refused ------------------------------------------------------------------------------


def _edit_header(path, **changes):
    size = block_size(path)
    with open(path, "r+b") as stream:
        block = json.loads(stream.read(size).partition(b"\n")[2]) | changes
        stream.seek(0)
        text = json.dumps(block).encode()
        stream.write((f"multiace-store {size}\n".encode() + text).ljust(size))


@pytest.mark.parametrize(
    ("name", "message"),
    [("train.zarr", "ends with .h5 or .hdf5"), ("train", "ends with")],
)
def test_a_store_has_a_name_that_says_so(source, tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        prepare_store([source], tmp_path / name)


def test_a_store_is_not_made_from_a_store(path, tmp_path):
    with pytest.raises(DataError, match="this is a store itself"):
        prepare_store([str(path)], tmp_path / "b.h5")


def test_a_wrong_source_leaves_the_store_and_no_other_file(path, source):
    before = path.read_bytes()
    with open(source, "a") as stream:
        stream.write("3\n")
    with pytest.raises(DataError, match="train.xyz"):
        prepare_store([source], path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["train.h5", "train.xyz"]


def test_a_source_that_changes_while_it_is_read_is_refused(source, tmp_path):
    def change(done: int) -> None:
        with open(source, "a") as stream:
            stream.write("\n")

    with pytest.raises(DataError, match="changed while it was read"):
        prepare_store([source], tmp_path / "a.h5", progress=change)
    assert not (tmp_path / "a.h5").exists()


def test_a_file_that_is_no_store_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(DataError, match="not a store of multiace.*data prepare"):
        fresh_store(tmp_path / "other.h5")
    with pytest.raises(DataError, match="there is no such file"):
        fresh_store(tmp_path / "nothing.h5")


@pytest.mark.parametrize(
    "start",
    [
        b"multiace-store 9999999999\n{}",
        b"multiace-store 1000\n{}",
        b"multiace-store 16\n{}",
        b"multiace-store x\n{}",
        b"multiace-store 512\n[]",
        b"multiace-store 512\n" + b"[" * 490,
        b"multiace-store 512\n{}",
        b'multiace-store 512\n{"format": "os.system", "sources": [], "atoms": 1}',
        b"\x80\x04cos\nsystem\n",
    ],
    ids=repr,
)
def test_a_hostile_header_is_refused(tmp_path, start):
    (tmp_path / "a.h5").write_bytes(start)
    with pytest.raises(DataError, match="a.h5"):
        fresh_store(tmp_path / "a.h5")


def test_any_flipped_bit_is_found(path):
    """Bits of the header, of what HDF5 writes and of the rows, a few hundred of all."""
    data = bytearray(path.read_bytes())
    positions = np.random.default_rng(0).integers(0, len(data), 150)
    expected = [structure_digest(structure) for structure in Store(path)]
    for position in positions.tolist():
        data[position] ^= 1 << (position % 8)
        path.write_bytes(data)
        try:
            store = Store(path)
            store.verify()
            found = [structure_digest(structure) for structure in store]
            store.close()
        except DataError:
            pass
        else:
            assert found == expected, position  # the bit had no meaning
        data[position] ^= 1 << (position % 8)


def _rewritten(path, change):
    """Change the HDF5 part as a hostile author would."""
    with h5py.File(path, "r+", locking=False) as file:
        change(file)
    return path


def _replace(name, **options):
    def change(file):
        del file[name]
        file.create_dataset(name, **options)

    return change


def _chunks(name):
    column = columns_of(header_module.Header.model_validate(_HEADER))[name]
    return (column.chunk_rows, *column.shape)


_HEADER = {
    "sources": [{"name": "a", "path": "a", "sha256": "0" * 64, "structures": 1}],
    "cutoffs": [3.0],
    "atoms": 1,
}


def _external(file):
    del file["atoms/number"]
    file["atoms/number"] = h5py.ExternalLink("/etc/passwd", "/a")


def _soft(file):
    del file["atoms/number"]
    file["atoms/number"] = h5py.SoftLink("/frames/frame")


def _stored_elsewhere(file):
    del file["tables/keys"]
    file.create_dataset("tables/keys", (100,), dtype="u1", external=[("/etc/passwd", 0, 100)])


def _virtual(file):
    del file["atoms/position"]
    layout = h5py.VirtualLayout((27, 3), "<f8")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "a", (27, 3))
    file.create_virtual_dataset("atoms/position", layout)


def _huge(file):
    file["atoms/position"].resize(10**12, axis=0)


def _huge_table(file):
    file["tables/keys"].resize(10**12, axis=0)


def _compressed(file):
    _replace(
        "tables/keys", shape=(10**9,), maxshape=(None,), dtype="u1",
        chunks=_chunks("tables/keys"), compression="gzip",
    )(file)  # fmt: skip


HOSTILE = {
    "a link to another file": _external,
    "a link to another dataset": _soft,
    "data in another file": _stored_elsewhere,
    "a view of another file": _virtual,
    "a tensor of 10^12 rows": _huge,
    "a table of 10^12 bytes": _huge_table,
    "a bomb": _compressed,
    "another type": _replace("frames/energy", data=np.zeros(10, "f4")),
    "variable text": _replace("tables/keys", data=[b"a"], dtype=h5py.string_dtype()),
    "a scalar": _replace("frames/energy", data=1.0),
    "one big chunk": _replace("frames/energy", shape=(10,), chunks=(10,), dtype="<f8"),
    "a group": lambda file: (file.pop("frames/energy"), file.create_group("frames/energy")),
    "nothing": lambda file: file.pop("frames/energy"),
    "no atoms": lambda file: file["frames/n_atoms"].write_direct(np.zeros(10, "<i8")),
    "negative atoms": lambda file: file["frames/n_atoms"].write_direct(
        np.array([-3, *[3] * 8, 12], "<i8")
    ),
    "overflowing atoms": lambda file: file["frames/n_atoms"].write_direct(
        np.array([2**62] * 4 + [5] * 5 + [6], "<i8")
    ),
    "an element 500": lambda file: file["atoms/number"].write_direct(np.full(27, 500, "<i4")),
    "not a number": lambda file: file["atoms/position"].write_direct(np.full((27, 3), np.nan)),
    "a kind that is not there": lambda file: file["frames/config_type"].write_direct(
        np.full(10, 7, "<i4")
    ),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_without_being_followed(path, change):
    with pytest.raises(DataError, match=r"train\.h5.*damaged"):
        list(Store(_rewritten(path, change)))


def test_two_processes_prepare_one_store_one_after_the_other(tmp_path, source):
    notes: list[str] = []
    command = "import sys; from multiace.data import *; prepare_store(sys.argv[1:2], sys.argv[2])"
    other = []

    def start_other(done: int) -> None:
        if not other:
            arguments = [sys.executable, "-c", command, source, str(tmp_path / "a.h5")]
            other.append(subprocess.Popen(arguments, stderr=subprocess.PIPE))

    prepare_store([source], tmp_path / "a.h5", progress=start_other, note=notes.append)
    prepare_store([source], tmp_path / "a.h5")
    assert other[0].wait(60) == 0, other[0].stderr.read()
    other[0].stderr.close()
    assert len(Store(tmp_path / "a.h5")) == 10
    assert not (tmp_path / ".a.h5.tmp").exists()


def test_one_waits_for_another_that_prepares_the_same_store(tmp_path, source):
    notes: list[str] = []
    waiting: list[threading.Thread] = []

    def start_waiting(done: int) -> None:
        thread = threading.Thread(
            target=prepare_store, args=([source], tmp_path / "a.h5"), kwargs={"note": notes.append}
        )
        thread.start()
        waiting.append(thread)
        for _ in range(500):
            if notes:
                return
            thread.join(0.01)

    prepare_store([source], tmp_path / "a.h5", progress=start_waiting)
    waiting[0].join(60)
    assert notes == [f"Waiting for the process that prepares {tmp_path / 'a.h5'} now."]
    assert len(Store(tmp_path / "a.h5")) == 10


def test_the_block_of_a_header_has_room_for_its_counts():
    header = header_module.Header.model_validate(_HEADER)
    assert len(as_block(header)) == 512
    assert as_block(header, 4096).endswith(b" ")


def test_stores_of_every_version_are_read_or_prepared_anew(tmp_path):
    versions = sorted(path.stem for path in FILES.glob("*.h5"))
    assert versions == [f"v{version}" for version in range(1, header_module.FORMAT_VERSION + 1)]
    for version in versions:
        for suffix in ("h5", "xyz"):
            shutil.copy(FILES / f"{version}.{suffix}", tmp_path)
        store, _ = _opened(tmp_path / f"{version}.h5")
        expected = json.loads((FILES / f"{version}.json").read_text())
        assert [structure_digest(structure).hex() for structure in store] == expected
