"""The library that is loaded belongs to this version, this processor and these sources."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.kernels.compiled import needs_compiled

from multiace.kernels.cpu import library as loader
from multiace.kernels.cpu.library import KernelLibrary, KernelLibraryError, library


class NoArguments(ctypes.Structure):
    _fields_ = ()


@pytest.fixture(autouse=True)
def fresh():
    """Nothing loaded before the test is taken for what it loads."""
    library.cache_clear()
    yield
    library.cache_clear()


@needs_compiled
def test_the_best_instruction_set_is_loaded(monkeypatch):
    monkeypatch.delenv("MULTIACE_ISA", raising=False)
    assert library().instruction_set == list(loader.installed_instruction_sets())[-1]


@needs_compiled
def test_a_lesser_instruction_set_can_be_named(monkeypatch):
    monkeypatch.setenv("MULTIACE_ISA", "baseline")
    assert library().instruction_set == "baseline"


@needs_compiled
def test_an_instruction_set_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("MULTIACE_ISA", "avx3")
    with pytest.raises(
        KernelLibraryError, match=r"'avx3', but this machine can run baseline.*unset"
    ):
        library()


@needs_compiled
def test_a_better_instruction_set_than_the_processor_has_is_never_loaded(monkeypatch):
    monkeypatch.setattr(KernelLibrary, "best_instruction_set", "baseline")
    assert list(loader.installed_instruction_sets()) == ["baseline"]


@needs_compiled
def test_a_library_of_another_interface_is_refused(monkeypatch):
    path = library().path
    monkeypatch.setattr(loader, "ABI_VERSION", -1)
    with pytest.raises(KernelLibraryError, match=r"for interface \d+ of the kernels; this is -1"):
        KernelLibrary(path, "baseline")


def test_a_file_that_is_no_library_is_refused(tmp_path):
    path = tmp_path / "libmultiace_baseline.so"
    path.write_bytes(b"not a library")
    with pytest.raises(KernelLibraryError, match=r"cannot be loaded.*Install multiace again"):
        KernelLibrary(path, "baseline")


@needs_compiled
def test_a_library_of_other_sources_is_used_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(loader, "source_digest", lambda: "0" * 64)
    library()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].endswith("Run `make kernels`.")


@needs_compiled
def test_nothing_is_said_where_the_sources_are_not_there(monkeypatch, caplog):
    monkeypatch.setattr(loader, "source_digest", lambda: None)
    library()
    assert not caplog.records


@needs_compiled
def test_of_two_libraries_that_of_the_sources_is_loaded(monkeypatch, tmp_path):
    installed = library().path
    copy = tmp_path / "multiace/kernels/cpu/lib/libmultiace_baseline.so"
    copy.parent.mkdir(parents=True)
    shutil.copy(installed.parent / copy.name, copy)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(
        KernelLibrary, "sources", property(lambda self: "old" if self.path == copy else "new")
    )
    monkeypatch.setattr(loader, "source_digest", lambda: "new")
    assert loader._find("baseline").path != copy
    monkeypatch.setattr(loader, "source_digest", lambda: "old")
    assert loader._find("baseline").path == copy


def test_the_digest_is_that_of_every_source(monkeypatch, tmp_path):
    (tmp_path / "csrc/include").mkdir(parents=True)
    names = ["CMakeLists.txt"]
    names += [f"csrc/{name}" for name in ("entry_points.map", "a.cpp", "a.h", "include/a.h")]
    for name in names:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(loader, "_CHECKOUT", tmp_path)
    digests = []
    for changed in (None, *names):
        if changed is not None:
            (tmp_path / changed).write_text("something else")
        loader.source_digest.cache_clear()
        digests.append(loader.source_digest())
    loader.source_digest.cache_clear()
    assert len(set(digests)) == 6


def test_a_place_without_sources_has_no_digest(monkeypatch, tmp_path):
    monkeypatch.setattr(loader, "_CHECKOUT", tmp_path)
    loader.source_digest.cache_clear()
    assert loader.source_digest() is None
    loader.source_digest.cache_clear()


@needs_compiled
def test_other_precisions_are_refused():
    with pytest.raises(TypeError, match=r"float32 and float64, got torch.float16.*reference"):
        library().function("convolution_forward", torch.float16)


@needs_compiled
@pytest.mark.parametrize(
    ("code", "error"), [(1, MemoryError), (2, RuntimeError), (3, IndexError), (9, RuntimeError)]
)
def test_every_error_code_is_an_error_in_words(monkeypatch, code, error):
    monkeypatch.setattr(KernelLibrary, "function", lambda *_: lambda _: code)
    with pytest.raises(error, match=r"^Kernel gate_forward .*\.$"):
        library().call("gate_forward", torch.float32, NoArguments())


@needs_compiled
@pytest.mark.parametrize("name", loader.INSTRUCTION_SETS)
def test_only_the_c_interface_is_seen_from_outside(name):
    tool = shutil.which("nm")
    path = library().path.with_name(f"libmultiace_{name}.so")
    if tool is None or not path.exists():
        pytest.skip("needs nm and the library")
    listed = subprocess.run(
        [tool, "--dynamic", "--defined-only", path], capture_output=True, text=True, check=True
    ).stdout
    symbols = [line.split()[-1] for line in listed.splitlines()]
    assert symbols
    assert all(symbol.startswith("multiace_") for symbol in symbols)


@needs_compiled
def test_builds_live_side_by_side_in_one_process(tmp_path):
    path = library().path
    copy = Path(shutil.copy(path, tmp_path / path.name))
    first, second = (KernelLibrary(each, "baseline") for each in (path, copy))
    assert first.sources == second.sources
