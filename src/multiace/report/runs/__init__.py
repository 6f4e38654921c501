"""Reports on training runs: `read_run`, then `collect`, then `write_report`."""

from __future__ import annotations

from multiace.report.runs.build import report_page, write_report
from multiace.report.runs.evidence import Evidence, collect, read_test
from multiace.report.runs.run import Run, RunError, read_run
from multiace.report.runs.scan import Scan, parse_scan

__all__ = [
    "Evidence",
    "Run",
    "RunError",
    "Scan",
    "collect",
    "parse_scan",
    "read_run",
    "read_test",
    "report_page",
    "write_report",
]
