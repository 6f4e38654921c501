"""Exporters run in another interpreter; what they say comes out as one message."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.golden.peers import Case

from multiace.deploy.importers import exporters
from multiace.deploy.importers.exporters.neutral import FORMAT, write_neutral
from multiace.deploy.importers.foreign_model import IMPORTERS, import_model
from multiace.deploy.importers.neutral import ImportModelError, is_neutral, read_neutral

MODEL = Case("mace", "correlation_1")


def stand_in(tmp_path, monkeypatch, text: str) -> None:
    """Put a script in the place of the exporter of MACE."""
    (tmp_path / "mace.py").write_text(text)
    monkeypatch.setattr(exporters, "__file__", str(tmp_path / "__init__.py"))


@pytest.fixture
def pickled(tmp_path):
    """A file that only a peer may open."""
    path = tmp_path / "peer.model"
    path.write_bytes(b"PK\x03\x04 not ours to read")
    return path


def test_a_neutral_file_needs_no_interpreter() -> None:
    imported = import_model("mace", MODEL.path)
    weights = MODEL.potential().state_dict()
    assert imported.potential.state_dict().keys() == weights.keys()
    assert imported.provenance["sha256"] == hashlib.sha256(MODEL.path.read_bytes()).hexdigest()
    assert imported.provenance["versions"]["mace-torch"] == "0.3.16"


def test_the_exporter_runs_in_the_interpreter_given(tmp_path, monkeypatch, pickled) -> None:
    copy = f"import shutil, sys; shutil.copy({str(MODEL.path)!r}, sys.argv[2])"
    stand_in(tmp_path, monkeypatch, copy)
    imported = import_model("mace", pickled, interpreter=sys.executable, dtype="float32")
    assert imported.potential.dtype == torch.float32
    assert imported.provenance["file"] == "peer.model"


@pytest.mark.parametrize("peer", IMPORTERS)
def test_an_interpreter_without_the_peer_is_named(peer, pickled) -> None:
    with pytest.raises(ImportModelError, match=f"{sys.executable} has no {peer}.*Give the inter"):
        import_model(peer, pickled, interpreter=sys.executable)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('that is a checkpoint.')", "^that is a checkpoint.$"),
        ("raise KeyError('of another version')", "could not .*: KeyError: 'of another version'"),
        ("import sys; sys.exit(3)", "could not be exported by .*: it ended with code 3"),
    ],
)
def test_what_the_exporter_says_is_one_message(
    script, message, tmp_path, monkeypatch, pickled
) -> None:
    stand_in(tmp_path, monkeypatch, script)
    with pytest.raises(ImportModelError, match=message):
        import_model("mace", pickled, interpreter=sys.executable)


def test_a_foreign_file_needs_an_interpreter_that_is_there(pickled) -> None:
    with pytest.raises(ImportModelError, match="only mace can open. Give the Python"):
        import_model("mace", pickled)
    with pytest.raises(ImportModelError, match="/nowhere/python cannot be run"):
        import_model("mace", pickled, interpreter="/nowhere/python")


def test_a_file_of_another_peer_is_refused() -> None:
    with pytest.raises(ImportModelError, match="a model of mace. Run multiace import mace"):
        import_model("nequip", MODEL.path)


def test_neutral_files_are_read_as_they_were_written(tmp_path) -> None:
    tensors = {
        "a": torch.arange(6, dtype=torch.float64).reshape(2, 3).T,
        "b": torch.tensor(2.5, dtype=torch.float32),
        "c": torch.tensor([], dtype=torch.int64),
    }
    path = tmp_path / "neutral.safetensors"
    write_neutral(str(path), "mace", {"mace-torch": "0.3.16"}, {"å": [1.5, None]}, tensors)
    found = read_neutral(path)
    assert is_neutral(path)
    assert (found.peer, found.versions) == ("mace", {"mace-torch": "0.3.16"})
    assert found.settings == {"å": [1.5, None]}
    for name, tensor in tensors.items():
        assert torch.equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype


def test_other_files_are_not_neutral(tmp_path, pickled) -> None:
    assert not is_neutral(pickled)
    with pytest.raises(ImportModelError, match="is not a neutral file"):
        read_neutral(pickled)


def test_a_file_of_a_later_format_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "neutral.safetensors"
    writer = "multiace.deploy.importers.exporters.neutral.FORMAT_VERSION"
    monkeypatch.setattr(writer, 99)
    write_neutral(str(path), "mace", {}, {}, {})
    with pytest.raises(ImportModelError, match="format 99, .* up to 1. Update multiace"):
        read_neutral(path)


@pytest.mark.parametrize("missing", ["settings", "cutoff", "dtype"])
def test_an_entry_that_is_missing_is_named(missing, tmp_path) -> None:
    with safe_open(MODEL.path, "pt") as file:
        description = json.loads(file.metadata()[FORMAT])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del (description if missing == "settings" else description["settings"])[missing]
    path = tmp_path / "neutral.safetensors"
    save_file(tensors, path, {FORMAT: json.dumps(description)})
    with pytest.raises(ImportModelError, match=f"no entry '{missing}': .* Import the file"):
        import_model("mace", path)


@pytest.mark.parametrize(
    "missing", ["interactions.0.linear.weight", "interactions.1.conv_tp_weights.layer0.weight"]
)
def test_a_tensor_that_is_missing_is_named(missing, tmp_path) -> None:
    neutral = read_neutral(MODEL.path)
    tensors = {name: tensor for name, tensor in neutral.tensors.items() if name != missing}
    path = tmp_path / "neutral.safetensors"
    write_neutral(str(path), "mace", neutral.versions, neutral.settings, tensors)
    with pytest.raises(ImportModelError, match=f"no tensor '{missing}': .* Import the file"):
        import_model("mace", path)
