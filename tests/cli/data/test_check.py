"""`multiace data check`: the exit code and the place of a problem."""

import json

import pytest
from typer.testing import CliRunner

from multiace.cli.main import app

FRAME = """\
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-31.5 pbc="F F F"
H 0.0 0.0 0.0 0.0 0.0 -1.5
H 0.0 0.0 0.9 0.0 0.0 1.5
"""


@pytest.fixture
def check(tmp_path):
    """Return a function that checks a text and returns exit code and output."""

    def run(text: str, *options: str) -> tuple[int, str]:
        path = tmp_path / "data.xyz"
        path.write_text(text)
        result = CliRunner().invoke(app, ["data", "check", str(path), *options])
        return result.exit_code, result.output

    return run


def test_findings_are_printed_as_json(check):
    code, output = check(FRAME + FRAME + FRAME.replace("-31.5", "nan"), "--json")
    content = json.loads(output)
    assert code == 1
    assert (content["n_problems"], content["n_warnings"]) == (1, 1)
    (problem,) = content["problems"]
    assert (problem["frame"], problem["line"], problem["field"]) == (2, 10, "energy")
    assert problem["value"] == "nan"
    (warning,) = content["warnings"]
    assert (warning["frame"], warning["field"]) == (1, "pos")


def test_warnings_fail_only_if_that_is_asked_for(check):
    code, output = check(FRAME + FRAME)
    assert code == 0
    assert "no problems, 1 warning" in output
    assert check(FRAME + FRAME, "--strict")[0] == 1


def test_problems_beyond_the_list_are_counted(check):
    code, output = check(FRAME.replace("-31.5", "nan") * 60)
    assert code == 1
    assert output.count("energy contains nan") == 50
    assert "and 10 more" in output
    assert "60 problems, " in output


def test_the_check_of_units_can_be_switched_off(check):
    assert check(FRAME.replace("0.9", "0.3"))[0] == 1
    assert check(FRAME.replace("0.9", "0.3"), "--no-unit-check")[0] == 0


def test_the_summary_shows_what_a_set_holds(tmp_path):
    path = tmp_path / "data.xyz"
    atom = "1\nProperties=species:S:1:pos:R:3 energy=-13.5\nH 0 0 0\n"
    path.write_text(FRAME + FRAME.replace("0.9", "0.8") + FRAME + atom)
    result = CliRunner().invoke(app, ["data", "info", str(path), "--cutoff", "0.85"])
    assert result.exit_code == 0, result.output
    for line in (
        "structures    4, 7 atoms",
        "elements      H 7",
        "config_type   (none) 4",
        "labels        energy 4, forces 3, stress 0",
        "energy        -15.75 eV/atom",
        "energy - E0   -2.25 eV/atom",
        "|force|       1.5 eV/Å",
        "nearest atom  0.8 to 0.9 Å, median 0.9",
        "neighbours    within 0.85 Å: 0 to 1",
        "E0            H -13.5 eV",
        "repeated      1 identical",
    ):
        assert line in result.output
    result = CliRunner().invoke(app, ["data", "info", str(path), "--json"])
    content = json.loads(result.output)
    assert content["files"] == [str(path)]
    assert content["force_norms"]["count"] == 6
    assert content["volumes"] is None


def test_the_summary_refuses_what_training_refuses(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text(FRAME[:-1])
    result = CliRunner().invoke(app, ["data", "info", str(path)])
    assert result.exit_code != 0
    assert "looks truncated" in str(result.exception)


def test_good_data_pass_with_a_table_of_labels(check):
    code, output = check(FRAME)
    assert code == 0
    assert "data.xyz" in output
    assert "1/1" in output


def test_a_problem_is_shown_with_its_frame_and_the_exit_code_is_1(check):
    code, output = check(FRAME + FRAME.replace("energy=-31.5", "energy=nan"))
    assert code == 1
    assert "data.xyz, frame 1, line 6: energy contains nan" in output
