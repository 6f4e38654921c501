"""Tables: what is printed, CSV that is read back, LaTeX that compiles by its own rules."""

import csv
import io

import pytest

from multiace.report import Column, Table, Uncertain
from multiace.report.table import as_text, best_rows, format_number, to_csv, to_latex

from .sample import table


def test_csv_holds_all_digits_and_errors_in_columns_of_their_own():
    heading, first, second = csv.reader(io.StringIO(to_csv(table())))
    assert heading[3:] == [
        "300 K energy (meV/atom)",
        "300 K forces (meV/Å)",
        "300 K forces (meV/Å) error",
    ]
    assert first == ["NequIP", "unconverged", "12345", "1.5", "31.25", "0.4"]
    assert second == ["BOTNet & co", "converged", "2345", "0.75", "", ""]


def test_latex_escapes_text_and_sets_the_best_in_bold():
    lines = to_latex(table()).splitlines()
    assert lines[0] == r"\begin{tabular}{llrrr}"
    assert r"\multicolumn{2}{c}{300 K}" in lines[2]
    assert r"NequIP & unconverged & 12,345 & 1.50 & 31.2 $\pm$ 0.4 \\" in lines
    assert r"BOTNet \& co & converged & 2,345 & \textbf{0.750} & -- \\" in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.099999, "0.100"),
        (999.6, "1,000"),
        (99.96, "100"),
        (-3.14159, "-3.14"),
        (2e-6, "2.00e-06"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_keep_three_digits_across_powers_of_ten(value, text):
    assert format_number(value) == text


def test_an_error_of_zero_leaves_digits_to_its_value():
    assert as_text(Uncertain(3.25, 0.0)) == "3.2 ± 0.0"


def test_the_highest_can_be_the_best_and_one_number_is_not():
    columns = (Column("run"), Column("steps", best="highest"), Column("error", best="lowest"))
    rows = (("a", 3, 1.0), ("b", 5, None), ("c", 5, float("nan")))
    chosen = Table("t", "T", columns, rows)
    assert best_rows(chosen, 1) == {1, 2}
    assert best_rows(chosen, 2) == set()


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, but there are 2 columns"):
        Table("t", "T", (Column("a"), Column("b")), (("x",),))
