"""Every example is short, says what it leads to, runs, and prints a number with a unit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
UNITS = r"\d (eV|meV|Å|meV/Å|eV/Å|K|ps|parameters)\b"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_begins_with_what_you_will_have(example):
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert text.startswith('"""You will have ')


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_a_number_with_its_unit(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(UNITS, done.stdout), done.stdout
