from __future__ import annotations

import math

import pytest
from tests.study import tiny
from tests.study.test_report import blocks
from tests.study.test_runner import Here

from multiace import probes
from multiace.data import read_structures
from multiace.probes.subjects import named_surface
from multiace.report import Notice, Table
from multiace.study import StudyError, read_study
from multiace.study.ledger import Ledger
from multiace.study.prepare import read_plan
from multiace.study.report import study_page
from multiace.study.results import read_results
from multiace.study.runner import run_study


def fields(directory, asked, seeds):
    """Return the fields of a study of two cells with probes."""
    found = tiny.study_fields(directory, budget={"epochs": 1}, seeds=seeds)
    found["factors"] = {"pooling": {"N": {}, "none": {"design.atomic_basis.pooling": "1"}}}
    found["evaluations"] = {
        "in_domain": {"near": str(directory / "test.xyz")},
        "probes": asked,
    }
    return found


def run(directory, asked, seeds=(1,)):
    study = read_study(tiny.write(directory, fields(directory, asked, list(seeds))))
    executor = Here(directory / "study")
    run_study(study, directory / "study", executor)
    return executor.done


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Return the directory of a study whose models were probed."""
    directory = tmp_path_factory.mktemp("study")
    test = str(directory / "test.xyz")
    asked = {
        "reach": {"probe": "locality", "structure": test, "frame": -1, "compare": "largest"},
        "bodies": {"probe": "body-order", "structure": test, "atoms": 3},
        "images": {"probe": "symmetry", "structures": test, "first": 1, "repetitions": 1},
        "far": {"probe": "locality", "structure": test, "compare": "beyond_cutoff"},
    }
    run(directory, asked, seeds=(1, 2))
    return directory / "study"


def test_numbers_of_a_probe_are_those_of_its_function(out):
    content = read_plan(out)["evaluations"]["reach"]
    last = read_structures(out.parent / "test.xyz")[-1]
    ledger = Ledger(out)
    for row in read_plan(out)["runs"]:
        model = ledger.run_path(row["name"]) / "model.safetensors"
        expected = probes.locality(named_surface(str(model)), last)
        evaluation = ledger.evaluation(row["name"], content["id"])
        assert evaluation is not None
        found = evaluation["numbers"]
        assert found["largest"]["value"] == pytest.approx(expected["largest"], rel=1e-9)
        assert found["largest"]["unit"] == "eV/Å²"


def test_a_table_has_mean_and_deviation_over_seeds_and_what_all_agree_in(out):
    results = read_results(out)
    tables = blocks(study_page(results), Table)
    assert {tables[f"probe_{k}"].title for k in (1, 2)} == {
        "reach (locality)",
        "bodies (body-order)",
    }
    headings = [column.heading for column in tables["probe_1"].columns]
    for cell, row in zip(results.cells, tables["probe_1"].rows, strict=True):
        a, b = (o.probes["reach"]["largest"]["value"] for o in results.of_cell(cell))
        found = row[headings.index("largest (eV/Å²)")]
        assert found.value == pytest.approx((a + b) / 2)
        assert found.error == pytest.approx(abs(a - b) / math.sqrt(2))
    headings = [column.heading for column in tables["probe_2"].columns]
    assert [row[headings.index("total_order")] for row in tables["probe_2"].rows] == [3, 3]


def test_effects_of_a_number_are_ratios_and_one_that_is_zero_has_none(out):
    results = read_results(out)
    fits = dict(zip((r.name for r in results.responses), results.fits, strict=True))
    (effect,) = fits["largest of reach"].effects
    logs = {
        level: sum(
            math.log(o.probes["reach"]["largest"]["value"])
            for o in results.outcomes
            if o.levels == (level,)
        )
        for level in (0, 1)
    }
    assert effect.estimate == pytest.approx((logs[1] - logs[0]) / 2)
    assert "beyond_cutoff of far" not in fits
    notices = [b for s in study_page(results).sections for b in s.blocks if isinstance(b, Notice)]
    assert any("No effects on beyond_cutoff of far" in notice.text for notice in notices)


def test_other_options_are_asked_again_and_other_effects_are_not(tmp_path):
    test = str(tmp_path / "test.xyz")
    asked = {"probe": "body-order", "structure": test, "atoms": 3}
    assert len(run(tmp_path, {"a": asked})) == 2
    assert run(tmp_path, {"renamed": {**asked, "compare": "decay"}}) == []
    assert len(run(tmp_path, {"a": {**asked, "atoms": 2}})) == 2


@pytest.mark.parametrize(
    ("options", "line", "words"),
    [
        ({"probe": "localty", "structure": "x"}, "name:", "Did you mean 'locality'?"),
        ({"probe": "locality"}, "name:", "'structure' is missing"),
        ({"probe": "locality", "structure": "x", "frme": 1}, "frme:", "Did you mean 'frame'?"),
        ({"probe": "locality", "structure": "no.xyz"}, "structure:", "no file no.xyz"),
        ({"probe": "completeness", "element": "Xx"}, "element:", "'Xx' is not the symbol"),
        ({"probe": "smoothness", "pairs": ["H"]}, "pairs:", "two elements with a dash"),
        ({"probe": "smoothness", "compare": "bonds"}, "compare:", "'bonds_fsd'"),
        ({"probe": "smoothness", "reference": "no.st"}, "reference:", "no file no.st"),
    ],
)
def test_options_without_meaning_are_refused_with_their_line(tmp_path, options, line, words):
    path = tiny.write(tmp_path, fields(tmp_path, {"name": options}, [1]))
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert words in str(error.value)
    number = int(str(error.value).rpartition(":")[2].rstrip(")"))
    assert path.read_text().splitlines()[number - 1].strip().startswith(line)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probe": "locality", "frame": 4}, "has 4 frames, counted from 0: there is no 4"),
        ({"probe": "body-order", "atoms": 4}, "there are 3 with itself"),
        ({"probe": "body-order", "atoms": 2, "centre": 3}, "centre is 3"),
        ({"probe": "smoothness", "reference": "ase:nothing"}, "ase:nothing is not a calculator"),
        ({"probe": "smoothness", "compare": "bonds_fsd"}, "needs a molecule and a reference"),
    ],
)
def test_options_that_structures_cannot_meet_are_refused_before_anything_runs(
    tmp_path, options, words
):
    asked = {"name": {"structure": str(tmp_path / "test.xyz"), **options}}
    with pytest.raises(StudyError, match=words) as error:
        run(tmp_path, asked)
    assert "study.yaml:" in str(error.value)
    assert not (tmp_path / "study").exists()
