"""Ratios and tables of a result of benchmarks.cpu.run.

    python -m benchmarks.cpu.report [FILE] [--page README]

prints the tables, or puts them into a page between the lines that mark their place.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tables of benchmarks.cpu.report -->", "<!-- end of tables -->"

ROWS = (
    ("energy_forces", "exact", ""),
    ("energy_forces", "spline", "_spline"),
    ("energy_forces", "autograd", "_autograd"),
    ("calculator", "exact", ""),
    ("calculator", "spline", "_spline"),
    ("training_step", "traced", ""),
    ("training_step", "autograd", "_autograd"),
    ("training_step_with_optimiser", "traced", ""),
)
"""Section of a case, contender of ours, and what is added to the key."""


def compare(section: dict[str, Any], contender: str) -> dict[str, Any]:
    """Return the ratio of the fastest mode of the peer and a contender of ours.

    One thread is timed on its processor, several on the wall.
    """
    clock = "processor_ms" if section["threads"] == 1 else "wall_ms"
    times = {name: record[clock] for name, record in section["times"].items()}
    peers = {name[5:]: times[name]["median"] for name in times if name.startswith("peer ")}
    mode = min(peers, key=lambda name: peers[name])
    ours = times[contender]
    return {
        "ratio": peers[mode] / ours["median"],
        "peer_ms": peers[mode],
        "peer_mode": mode,
        "peer_modes_ms": peers,
        "peer_iqr_ms": times[f"peer {mode}"]["iqr"],
        "ours_ms": ours["median"],
        "ours_iqr_ms": ours["iqr"],
        "ours_min_ms": ours["min"],
        "clock": clock,
        "threads": section["threads"],
        "valid": section["load"]["valid"],
        "load": section["load"],
    }


def summarise(content: dict[str, Any]) -> dict[str, Any]:
    """Return the ratios by key, whether they are valid, and a record beside each."""
    records = {key: record for _, key, record in _compared(content, "cases")}
    ratios = {key: record["ratio"] for key, record in records.items()}
    invalid = sorted(key for key, record in records.items() if not record["valid"])
    return {**ratios, "valid": not invalid, "invalid": invalid, "records": records}


def _compared(content: dict[str, Any], of: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for result in content["peers"].values():
        for name, case in result.get(of, {}).items():
            for section, contender, suffix in ROWS:
                if section in case and contender in case[section]["times"]:
                    record = compare(case[section], contender)
                    yield name, f"{name}_{section}{suffix}", record


def write_tables(content: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    parts = [_conditions(content)]
    if any(result["cases"] for result in content["peers"].values()):
        parts += [_ratios(content, "cases"), _accuracy(content), _memory(content)]
    parts.append(_operations(content["operations"]))
    if any("grid" in result for result in content["peers"].values()):
        parts.append(_ratios(content, "grid"))
    return "\n\n".join(parts) + "\n"


def _conditions(content: dict[str, Any]) -> str:
    first = next(iter(content["peers"].values()))
    versions: dict[str, str] = {}
    for result in content["peers"].values():
        versions |= {k: v for k, v in result["versions"].items() if k != "e3nn"}
    cases = [
        case
        for result in content["peers"].values()
        for case in (*result["cases"].values(), *result.get("grid", {}).values())
    ]
    kernels = {case["kernels"] for case in cases}
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"`{content['command']}`, {content['date']}, commit {str(content['commit'])[:12]}, "
        f"{content['seconds'] / 60:.0f} minutes. {first['machine']['processor']}; {packages}; "
        f"kernels {', '.join(sorted(kernels))}; float32. "
        + ("" if content["valid"] else "**The machine was not quiet: see `invalid` in the JSON.**")
    ).rstrip()


def _ratios(content: dict[str, Any], of: str) -> str:
    lines = [
        "| case | peer (ms) | its mode | multiace (ms) | ratio | threads | valid |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, key, record in _compared(content, of):
        lines.append(
            f"| `{key}` | {record['peer_ms']:.1f} | {record['peer_mode']} | "
            f"{record['ours_ms']:.2f} | {record['ratio']:.1f} | {record['threads']} | "
            f"{'yes' if record['valid'] else 'no'} |"
        )
    return "\n".join(lines)


def _accuracy(content: dict[str, Any]) -> str:
    lines = [
        "| case | float64 | float32 | splines | splines' radial error |",
        "|---|---|---|---|---|",
    ]
    for result in content["peers"].values():
        for name, case in result["cases"].items():
            checks = case["checks"]
            deviation = "largest_force_deviation_over_rms"
            numbers = [checks[kind]["plan"][deviation] for kind in ("float64", "float32")]
            spline = checks["spline"]
            numbers += [spline[deviation], spline["largest_radial_error_over_largest_value"]]
            lines.append(f"| `{name}` | " + " | ".join(f"{x:.0e}" for x in numbers) + " |")
    return "Largest deviation of a force from the peer's over the RMS force:\n\n" + "\n".join(lines)


def _memory(content: dict[str, Any]) -> str:
    lines = ["| training step | peer (MiB) | its mode | multiace (MiB) | share |"]
    lines.append("|---|---|---|---|---|")
    for result in content["peers"].values():
        for name, case in result["cases"].items():
            found = case["memory_of_training_step"]
            ours = found["ours"]["above_mib"]
            for side, numbers in found.items():
                if side == "ours" or "above_mib" not in numbers:
                    continue
                theirs = numbers["above_mib"]
                lines.append(
                    f"| `{name}` | {theirs:.0f} | {side[5:]} | {ours:.1f} | {ours / theirs:.3f} |"
                )
    return "Peak memory above the loaded process:\n\n" + "\n".join(lines)


def _operations(operations: dict[str, Any]) -> str:
    lines = [
        "| operation | pass | ms | GFLOP/s | share of peak |",
        "|---|---|---|---|---|",
    ]
    for row in operations["rows"]:
        lines.append(
            f"| {row['operation']} | {row['pass']} | {row['ms']:.3f} | {row['gflops']:.1f} | "
            f"{row['share_of_peak']:.2f} |"
        )
    head = (
        f"Operations of `mace128_si64`, float32, one thread; peak {operations['peak_gflops']:.0f} "
        f"GFLOP/s ({operations['peak']}):\n\n"
    )
    return head + "\n".join(lines)


def put_into(page: Path, tables: str) -> None:
    """Replace what stands between the marks of a page.

    Raises:
        ValueError: the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no place for tables: it needs the lines {BEGIN} and {END}.")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}", encoding="utf-8")


def main() -> None:
    """Print tables or put them into a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=HERE / "results/cpu_headline.json")
    parser.add_argument("--page", type=Path, help="a page with marks, such as benchmarks/README.md")
    arguments = parser.parse_args()
    tables = write_tables(json.loads(arguments.file.read_text(encoding="utf-8")))
    if arguments.page:
        put_into(arguments.page, tables)
    else:
        sys.stdout.write(tables)


if __name__ == "__main__":
    main()
