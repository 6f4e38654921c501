"""`multiace data fetch`: what it lists, writes and says."""

import json

from tests.data.fetch.server import ISOLATED_ATOMS
from typer.testing import CliRunner

from multiace.cli.main import app
from multiace.data.fetch import public_set


def fetch(*options):
    return CliRunner().invoke(app, ["data", "fetch", *options])


def test_the_list_names_sets_with_sizes_licences_and_citations():
    output = fetch("--list").output
    for text in ("3bpa", "acac", "rmd17/MOLECULE/SPLIT", "5.0 MB", "MIT", "CC0", "doi:10.1021/"):
        assert text in output
    output = fetch("--list", "ethanol").output
    assert "test_norm_mode_874.xyz" in output
    assert "29e6d467317e4b5967b7ea5cbee54de953fa0d45" in output


def test_files_are_written_with_their_source(site, tmp_path, monkeypatch):
    from multiace.data.fetch import catalogue

    ethanol = public_set("ethanol")
    atoms = next(file for file in ethanol.files if file.name == "isolated_atoms.xyz")
    small = catalogue.PublicSet("atoms", "atoms", "PBE", "MIT", ("A. Uthor, 2020",), (atoms,))
    monkeypatch.setitem(catalogue.PUBLIC_SETS, "atoms", small)
    site.files[atoms.repository.address(atoms.path).removeprefix("https:/")] = ISOLATED_ATOMS
    out = tmp_path / "out"
    options = ["--out", str(out), "--cache", str(tmp_path / "cache"), "--mirror", site.address]
    result = fetch("atoms", *options)
    assert result.exit_code == 0, result.output
    assert "has the git id known here" in result.output
    assert "A. Uthor, 2020" in result.output
    assert (out / "isolated_atoms.xyz").read_bytes() == ISOLATED_ATOMS
    assert json.loads((out / "source.json").read_text())["files"][0]["check"] == "known id"


def test_a_set_is_named_and_out_takes_one():
    assert "--list shows what there is" in fetch().output
    assert "takes one name, got 2" in fetch("3bpa", "acac", "--out", "x").output
