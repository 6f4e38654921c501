"""Programs: a potential as data, its file, and the plan that runs it."""

from multiace.program.builder import build_program
from multiace.program.file import to_bytes
from multiace.program.plan import Plan, fastest
from multiace.program.program import OPERATIONS, Array, Operation, Program

__all__ = [
    "OPERATIONS",
    "Array",
    "Operation",
    "Plan",
    "Program",
    "build_program",
    "fastest",
    "to_bytes",
]
