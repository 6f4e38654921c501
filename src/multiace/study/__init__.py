"""Ablation studies: plans, runs done exactly once, statistics and a report that decides."""

from multiace.study.config import StudyConfig
from multiace.study.errors import StudyError
from multiace.study.read_study import make_study, read_study
from multiace.study.study import Cell, Run, Study

__all__ = ["Cell", "Run", "Study", "StudyConfig", "StudyError", "make_study", "read_study"]
