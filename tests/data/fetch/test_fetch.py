"""Public sets arrive checked, with their sources; served by this machine."""

import json
from io import BytesIO

import numpy as np
import pytest
from ase import units
from tests.data.fetch.server import ISOLATED_ATOMS

from multiace.data import DataError, read_structures
from multiace.data.fetch import PUBLIC_SETS, FetchError, PublicFile, PublicSet, fetch, public_set
from multiace.data.fetch.catalogue import RMD17_MOLECULES, Repository
from multiace.data.fetch.download import git_id

REPOSITORY = Repository("someone/data", "0123456789abcdef0123456789abcdef01234567")
FRAME = b"""1
Properties=species:S:1:pos:R:3 energy=-13.5 pbc="F F F"
H 0.0 0.0 0.0
"""
LISTING = f"/api.github.com/repos/someone/data/git/trees/{REPOSITORY.commit}?recursive=1"


def path_of(name):
    return f"/raw.githubusercontent.com/someone/data/{REPOSITORY.commit}/{name}"


@pytest.fixture
def blob_id(tmp_path):
    """Return a function that gives the git id of bytes."""

    def compute(content):
        (tmp_path / "bytes").write_bytes(content)
        return git_id(tmp_path / "bytes")

    return compute


@pytest.fixture
def get(site, tmp_path):
    """Return a function that fetches one file of a set from the server."""
    site.files[path_of("set/a.xyz")] = FRAME

    def run(id_known=None, out="out"):
        file = PublicFile("a.xyz", "set/a.xyz", None, id_known, REPOSITORY)
        data = PublicSet("a", "a set", "PBE", "MIT", ("A. Uthor, 2020",), (file,))
        (found,) = fetch(
            data, tmp_path / out, cache=tmp_path / "cache", mirror=site.address, pause=0.0
        )
        return found

    return run


def list_ids(site, **ids):
    tree = [{"path": f"set/{name}.xyz", "type": "blob", "sha": ids[name]} for name in ids]
    site.files[LISTING] = json.dumps({"truncated": False, "tree": tree}).encode()


def test_a_known_id_verifies_a_file(get, blob_id, tmp_path):
    found = get(id_known=blob_id(FRAME))
    assert (found.check, found.reason) == ("known id", "")
    assert read_structures(found.path)[0].labels.energy == -13.5
    source = json.loads((tmp_path / "out" / "source.json").read_text())
    assert (source["licence"], source["cite"]) == ("MIT", ["A. Uthor, 2020"])
    assert source["files"][0]["git_id"] == blob_id(FRAME)
    assert source["files"][0]["address"].startswith("https://raw.githubusercontent.com/someone/")


def test_an_unknown_id_is_asked_of_the_repository_once(get, site, blob_id):
    list_ids(site, a=blob_id(FRAME))
    assert get().check == "listed id"
    assert get(out="again").check == "listed id"
    assert [path for path, _ in site.requests].count(LISTING) == 1


def test_without_any_id_a_file_is_marked_unverified_with_the_reason(get, site, blob_id):
    found = get()
    assert found.check == "unverified"
    assert "cannot be read: Not Found" in found.reason
    list_ids(site, b=blob_id(FRAME))
    assert "does not have the file" in get(out="again").reason


@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"truncated": true, "tree": []}'])
def test_a_listing_that_makes_no_sense_verifies_nothing(get, site, content):
    site.files[LISTING] = content
    assert get().check == "unverified"


@pytest.mark.parametrize("known", [True, False], ids=["known", "listed"])
def test_other_content_is_refused_and_not_kept(get, site, blob_id, tmp_path, known):
    right = blob_id(FRAME)
    list_ids(site, a=right)
    site.files[path_of("set/a.xyz")] = FRAME.replace(b"-13.5", b"-13.6")
    with pytest.raises(FetchError, match=f"must have the git id {right}, got [0-9a-f]{{40}}"):
        get(id_known=right if known else None)
    assert not (tmp_path / "out").exists()
    site.files[path_of("set/a.xyz")] = FRAME
    assert get(id_known=right).check == "known id"


def test_a_file_of_that_name_with_other_content_is_left_alone(get, tmp_path):
    get()
    get()  # the same content is no reason to stop
    (tmp_path / "out" / "a.xyz").write_text("mine")
    with pytest.raises(DataError, match=r"a\.xyz: there is another file.*--out"):
        get()
    assert (tmp_path / "out" / "a.xyz").read_text() == "mine"


@pytest.fixture
def rmd17(site):
    """Serve two frames of every part of rMD17, as its archives hold them; return the arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "nuclear_charges": np.array([8, 1, 1], dtype=np.uint8),
        "coords": rng.standard_normal((2, 3, 3)),
        "energies": np.array([-47000.0, -47001.0]),
        "forces": 10 * rng.standard_normal((2, 3, 3)),
        "old_indices": np.array([7, 3]),
    }
    data = public_set("rmd17/uracil/02")
    for file in data.files:
        address = file.repository.address(file.path).removeprefix("https:/")
        if file.format == "rmd17":
            buffer = BytesIO()
            np.savez(buffer, **arrays)
            site.files[address] = buffer.getvalue()
        else:
            site.files[address] = ISOLATED_ATOMS
    return arrays


def test_rmd17_becomes_electronvolts_with_isolated_atoms(rmd17, site, tmp_path):
    found = fetch("rmd17/uracil/2", tmp_path / "out", cache=tmp_path / "cache", mirror=site.address)
    assert [file.path.name for file in found] == ["train.xyz", "test.xyz", "isolated_atoms.xyz"]
    assert [file.check for file in found] == ["unverified", "unverified", "known id"]
    frames = read_structures(found[0].path)
    factor = 4184.0 / (units._e * units._Nav)  # kcal/mol in eV, from the constants themselves
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.numbers, [8, 1, 1])
        np.testing.assert_allclose(frame.positions, rmd17["coords"][index], atol=1e-8)
        assert frame.labels.energy == pytest.approx(rmd17["energies"][index] * factor, abs=1e-6)
        np.testing.assert_allclose(
            frame.labels.forces, rmd17["forces"][index] * factor, atol=1e-8, rtol=0
        )
    assert "md17_index=7" in found[0].path.read_text().splitlines()[1]


@pytest.mark.parametrize("damage", ["not an archive", "pickle", "shape"])
def test_an_archive_that_is_none_is_refused_without_running_it(rmd17, site, tmp_path, damage):
    buffer = BytesIO()
    if damage == "pickle":
        rmd17 = {**rmd17, "energies": np.array([object()], dtype=object)}
    if damage == "shape":
        rmd17 = {**rmd17, "coords": rmd17["coords"][:1]}
    np.savez(buffer, **rmd17)
    content = b"PK" if damage == "not an archive" else buffer.getvalue()
    train = public_set("rmd17/uracil/02").files[0]
    site.files[train.repository.address(train.path).removeprefix("https:/")] = content
    with pytest.raises(DataError, match=r"not an archive of rMD17|must have shape \(2, 3, 3\)"):
        fetch("rmd17/uracil/02", tmp_path / "out", cache=tmp_path / "c", mirror=site.address)
    assert not (tmp_path / "out" / "train.xyz").exists()


def test_the_catalogue_is_pinned_and_complete():
    assert set(PUBLIC_SETS) >= {"3bpa", "acac", "ethanol"}
    assert sum(name.startswith("rmd17/") for name in PUBLIC_SETS) == 5 * len(RMD17_MOLECULES)
    for data in PUBLIC_SETS.values():
        assert data.licence
        assert data.citations
        names = [file.name for file in data.files]
        assert len(set(names)) == len(names)
        for file in data.files:
            assert len(file.repository.commit) == 40
            assert file.git_id is None or len(file.git_id) == 40


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(DataError, match="Did you mean '3bpa'"):
        public_set("3pba")
    with pytest.raises(DataError, match=r"Name molecule and split.*uracil; 01 to 05"):
        public_set("rmd17/ethanol")
