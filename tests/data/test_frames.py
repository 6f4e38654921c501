"""Files that are cut off or out of step: every problem is found, with its place."""

import pytest
from tests.data.samples import FRAME

from multiace.data import DataError, DataErrors, read_structures
from multiace.data.errors import MOST_SHOWN


def problems_of(tmp_path, text: str) -> tuple[DataError, ...]:
    """Return the problems of a text as a file."""
    path = tmp_path / "data.xyz"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_structures(path)
    assert all(problem.file == str(path) for problem in error.value.problems)
    return error.value.problems


def test_a_number_cut_short_at_the_end_of_the_file_is_found(tmp_path):
    text = FRAME + FRAME.replace("0.0 1.5\n", "0.0 1.5098625\n")
    (problem,) = problems_of(tmp_path, text[:-5])
    assert (problem.frame, problem.line) == (1, 8)
    assert "the last line does not end: the file looks truncated" in problem.problem


def test_a_file_cut_off_between_atoms_says_how_many_there_are(tmp_path):
    (problem,) = problems_of(tmp_path, FRAME + "".join(FRAME.splitlines(keepends=True)[:3]))
    assert (problem.frame, problem.line) == (1, 7)
    assert problem.problem == "expected 2 atoms, found 1"
    (problem,) = problems_of(tmp_path, (FRAME + FRAME)[: -len("H 0.0 0.0 0.9 0.0 0.0 1.5\n") - 3])
    assert problem.problem.endswith("expected 2 atoms, found 1")


def test_frames_after_a_blank_line_are_read_and_checked(tmp_path):
    bad = FRAME.replace("-31.5", "nan")
    first, second = problems_of(tmp_path, FRAME + "\n \n" + FRAME + bad)
    assert (first.frame, first.line) == (1, 5)
    assert "blank line" in first.problem
    assert (second.frame, second.line) == (2, 12)


def test_a_frame_with_too_few_atoms_does_not_hide_the_next(tmp_path):
    short = FRAME.replace("2\n", "3\n", 1)
    first, second = problems_of(tmp_path, short + FRAME + FRAME.replace("-31.5", "inf"))
    assert (first.frame, first.problem) == (0, "expected 3 atoms, found 2")
    assert "next frame begins" in first.hint
    assert (second.frame, second.field) == (2, "energy")


def test_a_frame_with_too_many_atoms_ends_the_reading_with_a_reason(tmp_path):
    (problem,) = problems_of(tmp_path, FRAME + "H 0 0 0 0 0 0\n" + FRAME)
    assert (problem.frame, problem.line) == (1, 5)
    assert "Frame 0 may have more atoms" in problem.hint
    assert "nothing after this line was read" in problem.problem


def test_a_frame_without_atoms_is_a_problem_of_its_own(tmp_path):
    (problem,) = problems_of(tmp_path, FRAME + "0\n\n" + FRAME)
    assert (problem.frame, problem.line, problem.value) == (1, 5, "0")


@pytest.mark.parametrize("count", ["9" * 11, "9" * 5000])
def test_a_huge_number_of_atoms_allocates_nothing(tmp_path, count):
    (problem,) = problems_of(tmp_path, FRAME.replace("2\n", f"{count}\n", 1))
    assert "expected" in problem.problem


def test_all_problems_are_collected_and_those_beyond_the_list_counted(tmp_path):
    path = tmp_path / "data.xyz"
    wrong = FRAME.replace("-31.5", "nan").replace("H 0.0 0.0 0.9", "Hx 0.0 0.0 0.9")
    path.write_text(wrong * 40)
    with pytest.raises(DataErrors, match="80 problems:") as error:
        read_structures(path)
    assert len(error.value.problems) == MOST_SHOWN
    assert error.value.n_problems == 80
    assert str(error.value).endswith("\nand 30 more.")
    assert error.value.frame == 0
    assert {problem.field for problem in error.value.problems} == {"species", "energy"}


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(DataError, match="this is a directory"):
        read_structures(tmp_path)


def test_line_ends_of_windows_are_read(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_bytes(FRAME.replace("\n", "\r\n").encode())
    assert read_structures(path)[0].labels.energy == -31.5
