"""`multiace data check`: the exit code and the place of a problem."""

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


def test_good_data_pass_with_a_table_of_labels(check):
    code, output = check(FRAME)
    assert code == 0
    assert "data.xyz" in output
    assert "1/1" in output


def test_a_problem_is_shown_with_its_frame_and_the_exit_code_is_1(check):
    code, output = check(FRAME + FRAME.replace("energy=-31.5", "energy=nan"))
    assert code == 1
    assert "data.xyz, frame 1, line 6: energy contains nan" in output
