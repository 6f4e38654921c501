"""`load`: a model file as a potential, several as an ensemble."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import overload

import torch

from multiace.checkpoint.model_file import load_model
from multiace.ensemble import Ensemble
from multiace.potential import Potential


@overload
def load(
    path: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    kernels: str = "auto",
) -> Potential: ...


@overload
def load(
    path: Sequence[str | os.PathLike[str]],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    kernels: str = "auto",
) -> Ensemble: ...


def load(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    kernels: str = "auto",
) -> Potential | Ensemble:
    """Read a model file, or several files as one ensemble.

    Args:
        path: a file, or at least two.
        dtype: precision to compute in; default: the one it was saved in.
        device: where it computes: auto, cpu, cuda or cuda:N.
        kernels: what it computes with: auto, cpu (compiled) or reference (PyTorch).

    Raises:
        DeviceError: a GPU that is not there.
        KernelLibraryError: compiled kernels that are not there.
        ModelFileError: a file that is damaged, foreign, or of a later version.
        ValueError: an ensemble of one, or of models that do not belong together.

    Example:
        >>> from multiace.checkpoint import save_model
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=2.0, atomic_energies={"H": -13.6})
        >>> paths = [getfixture("tmp_path") / f"seed_{seed}.safetensors" for seed in (0, 1)]
        >>> for seed, path in enumerate(paths):
        ...     save_model(path, Potential(botnet("small"), (1,), statistics, seed=seed))
        >>> len(load(paths)), type(load(paths[0])).__name__
        (2, 'Potential')
    """
    if isinstance(path, str | os.PathLike):
        return load_model(path, dtype=dtype, device=device, kernels=kernels)
    return Ensemble(
        [load_model(each, dtype=dtype, device=device, kernels=kernels) for each in path]
    )
