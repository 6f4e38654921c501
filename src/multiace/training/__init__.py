"""Training of potentials: config, losses, optimiser, loop, run directory."""

from multiace.training.config import TrainingConfig
from multiace.training.fine_tuning import FineTuningError
from multiace.training.interrupt import TrainingInterrupted
from multiace.training.loop import TrainingDiverged
from multiace.training.metrics import EpochRecord
from multiace.training.read_config import ConfigError, make_config, read_config
from multiace.training.run import TrainingResult, train
from multiace.training.run_directory import ResumeError

__all__ = [
    "ConfigError",
    "EpochRecord",
    "FineTuningError",
    "ResumeError",
    "TrainingConfig",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingResult",
    "make_config",
    "read_config",
    "train",
]
