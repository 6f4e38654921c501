"""Programs: a potential as data, its file, and the plan that runs it."""

from multiace.program.builder import build_program
from multiace.program.file import ProgramFileError, read_program, to_bytes, write_program
from multiace.program.plan import Plan, fastest
from multiace.program.program import OPERATIONS, Array, Operation, Program

__all__ = [
    "OPERATIONS",
    "Array",
    "Operation",
    "Plan",
    "Program",
    "ProgramFileError",
    "build_program",
    "fastest",
    "read_program",
    "to_bytes",
    "write_program",
]
