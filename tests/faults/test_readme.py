"""README.md names a test, or a reason, for each case, and the tests that it names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (Path(__file__).parent / "README.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_each_case_has_a_row():
    assert [int(row[0]) for row in ROWS] == list(range(1, 36))
    assert all(len(row) == 4 and all(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"case {row[0]}")
def test_every_test_that_is_named_is_there(row):
    named = re.findall(r"`(\w+(?:/\w+)*): ([\w, ]+)`", row[3])
    assert named
    for file, tests in named:
        text = (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")
        missing = [name for name in tests.split(", ") if f"def test_{name}(" not in text]
        assert not missing, f"{file}: {missing}"
