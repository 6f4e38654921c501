"""Where a model computes: a name, checked against what this machine has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class DeviceError(ValueError):
    """A device that there is not: says its name, what there is and the way out."""


@contextmanager
def own_mode(device: str = "cpu") -> Iterator[None]:
    """Context in which torch computes as a model says, within autocast and inference mode too.

    Args:
        device: type of the device that computes.

    Example:
        >>> with torch.inference_mode(), own_mode():
        ...     torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        (False, False)
    """
    differentiate = torch.is_grad_enabled()
    with (
        torch.autocast(device, enabled=False),
        torch.inference_mode(False),  # this alone would enable gradients
        torch.set_grad_enabled(differentiate),
    ):
        yield


def find_device(name: str | torch.device) -> torch.device:
    """Return the device of a name; `auto` is a GPU if there is one.

    Args:
        name: auto, cpu, cuda or cuda:N.

    Raises:
        DeviceError: another name, or a GPU that is not there.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    text = str(name)
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", text)
    if match is None:
        raise DeviceError(f"device must be auto, cpu, cuda or cuda:N, got {text!r}.")
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if text == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device is {text}, but torch {torch.__version__} finds no CUDA device. "
            "Use cpu, or install a build of torch for your GPU."
        )
    n_devices = torch.cuda.device_count()
    if match.group(1) is not None and int(match.group(1)) >= n_devices:
        one = "there is one CUDA device. Use cuda:0."
        many = f"there are {n_devices} CUDA devices. Use cuda:0 to cuda:{n_devices - 1}."
        raise DeviceError(f"device is {text}, but {one if n_devices == 1 else many}")
    return torch.device(text)
