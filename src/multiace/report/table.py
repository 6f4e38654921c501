"""Tables of a report: in pages, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multiace.figures.figure import check_name


@dataclass(frozen=True)
class Uncertain:
    """A value with its standard error, or with the half-width of its interval."""

    value: float
    error: float


@dataclass(frozen=True)
class Tag:
    """A word that is to be seen, such as the state of a run."""

    text: str
    kind: Literal["good", "warning", "plain"] = "plain"


Cell = str | int | float | Uncertain | Tag | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        title: what stands in it.
        unit: of its numbers.
        group: heading over this column and its neighbours of the same group.
        best: which of its numbers is set in bold.
        digits: significant digits of numbers that are not whole.
    """

    title: str
    unit: str = ""
    group: str = ""
    best: Literal["", "lowest", "highest"] = ""
    digits: int = 3

    @property
    def heading(self) -> str:
        """Title and unit, `force RMSE (meV/Å)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows.

    Args:
        name: of its files: small letters, digits and underscores.
        title: what it compares.
        columns: one for each cell of a row.
        rows: of text, numbers, numbers with errors, tags, or None where there is nothing.
        caption: how to read it; text between backticks is code.

    Raises:
        ValueError: a row with another number of cells than there are columns.

    Example:
        >>> columns = (Column("run"), Column("force RMSE", "meV/Å", best="lowest"))
        >>> table = Table("errors", "Errors", columns, (("MACE", 31.25), ("BOTNet", 40.0)))
        >>> print(to_csv(table), end="")
        run,force RMSE (meV/Å)
        MACE,31.25
        BOTNet,40.0
        >>> best_rows(table, 1)
        {0}
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"A row of {self.name!r} has {len(row)} cells, but there are "
                    f"{len(self.columns)} columns: {row}."
                )

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over the columns and how many columns each spans; none if no column has any."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and column.group and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans if any(group for group, _ in spans) else []


def best_rows(table: Table, column: int) -> set[int]:
    """Return the rows with the best number of a column, if there are two to choose from."""
    wanted = table.columns[column].best
    values = {
        index: _number(row[column])
        for index, row in enumerate(table.rows)
        if wanted and np.isfinite(_number(row[column]))
    }
    if len(values) < 2:
        return set()
    best = (min if wanted == "lowest" else max)(values.values())
    return {index for index, value in values.items() if value == best}


def is_words(table: Table, column: int) -> bool:
    """Return whether a column has words in it and no number."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and all(isinstance(cell, str | Tag) for cell in cells)


def as_text(cell: Cell, digits: int = 3) -> str:
    """Return a cell as it is printed; a dash where there is nothing.

    Example:
        >>> [as_text(cell) for cell in (1234, 0.012345, 56.78, Uncertain(31.25, 0.4), None)]
        ['1,234', '0.0123', '56.8', '31.2 ± 0.4', '–']
        >>> as_text(Uncertain(5.7e-14, 8.04e-14))
        '5.7e-14 ± 8.0e-14'
    """
    if cell is None:
        return "–"
    if isinstance(cell, Uncertain):
        if 0.0 < max(abs(cell.value), cell.error) < 1e-4:
            return f"{cell.value:.1e} ± {cell.error:.1e}"
        decimals = _decimals(cell.error, 1)
        return f"{cell.value:,.{decimals}f} ± {cell.error:.{decimals}f}"
    if isinstance(cell, Tag):
        return cell.text
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return format_number(cell, digits)


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, or all those before the point.

    Example:
        >>> [format_number(value) for value in (1.234, 56.78, 1234.5, 0.0)]
        ['1.23', '56.8', '1,234', '0']
    """
    if not np.isfinite(value):
        return str(value)
    if value == 0.0:
        return "0"
    if 0.0 < abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{_decimals(value, digits)}f}"


def to_csv(table: Table) -> str:
    """Return a table as comma-separated values with all digits; errors have their own columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    uncertain = [
        any(isinstance(row[index], Uncertain) for row in table.rows)
        for index in range(len(table.columns))
    ]
    heading: list[str] = []
    for column, has_error in zip(table.columns, uncertain, strict=True):
        title = f"{column.group} {column.heading}" if column.group else column.heading
        heading += [title, f"{title} error"] if has_error else [title]
    writer.writerow(heading)
    for row in table.rows:
        line: list[object] = []
        for cell, has_error in zip(row, uncertain, strict=True):
            line += _csv_cells(cell, has_error)
        writer.writerow(line)
    return stream.getvalue()


def to_latex(table: Table) -> str:
    r"""Return a table as LaTeX with `booktabs`, numbers as printed, the best in bold."""
    alignment = "".join(
        "l" if is_words(table, index) else "r" for index in range(len(table.columns))
    )
    lines = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    if table.groups:
        spans = [rf"\multicolumn{{{span}}}{{c}}{{{_escaped(g)}}}" for g, span in table.groups]
        lines.append(" & ".join(spans) + r" \\")
    lines.append(" & ".join(_escaped(column.heading) for column in table.columns) + r" \\")
    lines.append(r"\midrule")
    best = [best_rows(table, index) for index in range(len(table.columns))]
    for number, row in enumerate(table.rows):
        cells = []
        for index, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
            text = _escaped(as_text(cell, column.digits))
            cells.append(rf"\textbf{{{text}}}" if number in best[index] else text)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _number(cell: Cell) -> float:
    if isinstance(cell, Uncertain):
        return cell.value
    return float(cell) if isinstance(cell, int | float) else float("nan")


def _decimals(value: float, digits: int) -> int:
    """Return how many decimals show so many significant digits."""
    if value == 0.0 or not np.isfinite(value):
        return digits
    rounded = float(f"{abs(value):.{digits - 1}e}")
    return max(0, digits - 1 - int(np.floor(np.log10(rounded))))


def _csv_cells(cell: Cell, has_error: bool) -> list[object]:
    if isinstance(cell, Uncertain):
        return [cell.value, cell.error]
    plain: object = cell.text if isinstance(cell, Tag) else cell
    return [plain, None] if has_error else [plain]


_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "Å": r"\AA{}",
    "µ": r"\textmu{}",
    "×": r"$\times$",
    "³": r"$^3$",
}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
