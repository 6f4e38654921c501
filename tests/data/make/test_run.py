"""Recipes are followed: whole files, only what is missing, and no point that failed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from tests.data.make.calculators import WATER, springs

from multiace.data import DataError, read_structures
from multiace.data.make import make, make_recipe

SPRINGS = springs(*WATER)
SETS = {
    "train": {
        "kind": "md",
        "temperatures": [300, 600],
        "frames": 6,
        "trajectories": 2,
        "interval": 5,
        "equilibration": 5,
    },
    "stretch": {"kind": "bond", "atoms": [0, 1], "points": 5},
    "modes": {"kind": "normal_modes", "points": 3},
}


def recipe(sets=SETS, **changes):
    return make_recipe({"structure": "molecule:H2O", "sets": sets, **changes})


def record(folder):
    return json.loads((folder / "provenance.json").read_text())


def test_each_set_is_a_file_of_labelled_frames_that_say_how_they_were_made(tmp_path):
    told = []
    made = make(recipe(), tmp_path, new_calculator=SPRINGS, on_progress=told.append)
    assert [(of.path.stem, of.n_written, of.n_failed) for of in made] == [
        ("train", 12, 0),
        ("stretch", 5, 0),
        ("modes", 9, 0),
    ]
    frames = read_structures(tmp_path / "train.xyz")
    assert [frame.config_type for frame in frames] == 6 * ["md_300K"] + 6 * ["md_600K"]
    comment = (tmp_path / "train.xyz").read_text().splitlines()[1]
    for text in ("temperature_K=300.0", "seed=", "time_fs=10.0", "charge=0", "multiplicity=1"):
        assert text in comment
    energy = sum(
        0.5 * k * (np.linalg.norm(frames[0].positions[j] - frames[0].positions[i]) - r0) ** 2
        for i, j, k, r0 in WATER
    )
    assert frames[0].labels.energy == pytest.approx(energy, abs=1e-7)
    assert (told[-1].n_done, told[-1].n_points, told[-1].fraction) == (26, 26, 1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "modes.xyz",
        "provenance.json",
        "recipe.yaml",
        "stretch.xyz",
        "train.xyz",
    ]


def test_what_is_there_is_not_made_again_and_only_new_sets_are(tmp_path):
    make(recipe(), tmp_path, new_calculator=SPRINGS)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.xyz")}
    more = {**SETS, "bend": {"kind": "angle", "atoms": [1, 0, 2], "points": 3}}
    made = make(recipe(more), tmp_path, new_calculator=SPRINGS)
    assert [of.was_there for of in made] == [True, True, True, False]
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.xyz")}
    assert {name: after[name] for name in before} == before
    assert set(record(tmp_path)["sets"]) == set(more)


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others(tmp_path):
    sets = {"train": SETS["train"]}
    contents = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make(recipe(sets, seed=seed), tmp_path / name, new_calculator=SPRINGS)
        contents.append((tmp_path / name / "train.xyz").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_failed_points_are_counted_with_their_reason_and_never_written(tmp_path):
    new = springs(*WATER, fails=lambda atoms: atoms.get_distance(0, 1) > 2.2)
    (made,) = make(recipe({"stretch": SETS["stretch"]}), tmp_path, new_calculator=new)
    assert (made.n_written, made.n_failed, made.n_asked) == (4, 1, 5)
    assert made.reasons == {"SCF not converged in 250 cycles": 1}
    frames = read_structures(made.path)
    assert len(frames) == 4
    (failed,) = record(tmp_path)["sets"]["stretch"]["failed"]["points"]
    assert failed["distance_A"] == pytest.approx(2.5 * 0.97, abs=1e-2)


def test_a_set_of_which_nothing_can_be_labelled_is_an_error(tmp_path):
    new = springs(*WATER, fails=lambda atoms: len(atoms) == 2)
    sets = {"stretch": SETS["stretch"], "pairs": {"kind": "dimers", "points": 3}}
    with pytest.raises(DataError, match=r"all 9 points of pairs failed, the first because: SCF"):
        make(recipe(sets), tmp_path, new_calculator=new)
    assert not (tmp_path / "pairs.xyz").exists()
    assert len(read_structures(tmp_path / "stretch.xyz")) == 5


def test_other_data_are_left_alone(tmp_path):
    sets = {"stretch": SETS["stretch"]}
    (tmp_path / "stretch.xyz").write_text("mine")
    with pytest.raises(DataError, match=r"stretch\.xyz: there is a file of that name that this"):
        make(recipe(sets), tmp_path, new_calculator=SPRINGS)
    assert (tmp_path / "stretch.xyz").read_text() == "mine"
    (tmp_path / "stretch.xyz").unlink()
    make(recipe(sets), tmp_path, new_calculator=SPRINGS)
    with pytest.raises(DataError, match="this recipe did not make"):
        make(recipe(sets, optimise=False), tmp_path, new_calculator=SPRINGS)
    with (tmp_path / "stretch.xyz").open("a") as stream:
        stream.write("\n")
    with pytest.raises(DataError, match="was changed after it was made"):
        make(recipe(sets), tmp_path, new_calculator=SPRINGS)


def test_two_processes_do_not_make_data_in_one_folder(tmp_path):
    (tmp_path / ".parts").mkdir()
    with (
        FileLock(tmp_path / ".parts" / "lock"),
        pytest.raises(DataError, match=r"another process is making data here.*--out"),
    ):
        make(recipe(), tmp_path, new_calculator=SPRINGS)


def test_what_makes_no_sense_leaves_no_folder(tmp_path):
    sets = {**SETS, "ring": {"kind": "bond", "atoms": [1, 2]}}
    with pytest.raises(DataError, match="are not bonded"):
        make(recipe(sets), tmp_path / "out", new_calculator=SPRINGS)
    with pytest.raises(DataError, match="multiplicity 2 does not fit 10 electrons"):
        make(recipe(method={"multiplicity": 2}), tmp_path / "out", new_calculator=SPRINGS)
    assert not (tmp_path / "out").exists()


def test_a_structure_that_cannot_be_optimised_is_an_error_with_a_way_out(tmp_path):
    new = springs(*WATER, fails=lambda atoms: True)
    with pytest.raises(DataError, match=r"cannot be optimised: SCF.*optimise: false"):
        make(recipe(), tmp_path, new_calculator=new)


def test_isolated_atoms_are_in_the_file_that_gives_e0(tmp_path):
    pytest.importorskip("tblite", reason="labels need tblite")
    from multiace.data import bundled

    sets = {"atoms": {"kind": "isolated_atoms"}}
    make(make_recipe({"structure": "molecule:CH3CHO", "sets": sets}), tmp_path)
    made = {f.numbers[0]: f.labels.energy for f in read_structures(tmp_path / "atoms.xyz")}
    theirs = read_structures(bundled("malonaldehyde/isolated_atoms"))
    assert made == {f.numbers[0]: pytest.approx(f.labels.energy, abs=1e-6) for f in theirs}


CHILD = """
import sys, time
from tests.data.make.test_run import SPRINGS, make, recipe
def slowly(progress):
    print(progress.n_done, flush=True)
    time.sleep(0.02)
import multiace.data.make.parts as parts
parts._SECONDS_BETWEEN_SAVES = 0.0
make(recipe(), sys.argv[1], new_calculator=SPRINGS, on_progress=slowly)
"""


def killed_after(points, folder):
    """Make data in another process and kill it after some points."""
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root)])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if int(line) >= points:
                child.send_signal(signal.SIGKILL)
                break
    return child.returncode


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    make(recipe(), folder, new_calculator=SPRINGS)
    return folder


def assert_same_files(folder, whole):
    make(recipe(), folder, new_calculator=SPRINGS)
    for name in SETS:
        assert (folder / f"{name}.xyz").read_bytes() == (whole / f"{name}.xyz").read_bytes()


def test_an_interrupted_run_goes_on_to_the_same_files(tmp_path, whole):
    def interrupt(progress):
        if progress.n_done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(recipe(), tmp_path, new_calculator=SPRINGS, on_progress=interrupt)
    assert not list(tmp_path.glob("*.xyz"))
    done = json.loads(next((tmp_path / ".parts").glob("train-*/*.300K.1.json")).read_text())
    assert done["n_written"] == 1  # the fourth frame
    assert_same_files(tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("points", range(1, 26, 3))
def test_a_killed_process_loses_nothing_and_changes_nothing(tmp_path, whole, points):
    assert killed_after(points, tmp_path / "killed") == -signal.SIGKILL
    assert_same_files(tmp_path / "killed", whole)


def test_a_damaged_part_is_made_again_from_the_beginning(tmp_path):
    from multiace.data.make.parts import Part

    part = Part(tmp_path / "a")
    part.add("frame 0\n", {"done": 1})
    part.save()
    with (tmp_path / "a.xyz").open("a") as stream:
        stream.write("half a fra")  # what a killed process left
    again = Part(tmp_path / "a")
    assert (again.n_written, again.state) == (1, {"done": 1})
    assert (tmp_path / "a.xyz").read_text() == "frame 0\n"
    (tmp_path / "a.json").write_text('{"n_bytes": ')
    assert Part(tmp_path / "a").n_done == 0
    assert (tmp_path / "a.xyz").read_text() == ""
