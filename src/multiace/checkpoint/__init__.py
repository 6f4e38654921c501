"""Files of weights: models and the states of training runs, as safetensors with JSON."""

from multiace.checkpoint.load import load
from multiace.checkpoint.model_file import (
    DTYPES,
    ModelDescription,
    build_potential,
    describe_potential,
    load_model,
    parse_description,
    save_model,
)
from multiace.checkpoint.tensor_file import (
    ModelFileError,
    read_tensors,
    replace_file,
    set_values,
    write_tensors,
)

__all__ = [
    "DTYPES",
    "ModelDescription",
    "ModelFileError",
    "build_potential",
    "describe_potential",
    "load",
    "load_model",
    "parse_description",
    "read_tensors",
    "replace_file",
    "save_model",
    "set_values",
    "write_tensors",
]
