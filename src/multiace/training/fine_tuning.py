"""Start a run from a trained model.

Rules:

- The design must be that of the model. Of its `energy` group, `reference`, `trainable` and
  `per_element` (false to true) may change: none of them changes the energies at the start.
- The elements of the new data must be among those of the model. Weights of all its elements stay,
  those of elements that the new data lack with nothing to change them but weight decay.
- Mean neighbours, scale and shift stay: the weights were trained with them. If they were trained
  themselves, their trained values stay.
- E0 stay (`fine_tuning.energies: keep`), or are taken anew from the new data and the config as for
  a new model (`refit`), for the elements that occur there. Refit when the new labels come from
  another method: E0 then differ by eV per atom, and forces say nothing about them.
- Optimiser, average and schedule begin anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from multiace.checkpoint import load_model
from multiace.data.atomic_energies import atomic_energies
from multiace.design import Design, Statistics
from multiace.elements import ElementError, format_elements, symbol_of
from multiace.potential import Potential
from multiace.training.config import TrainingConfig
from multiace.training.prepare import StructureSets, reference_of
from multiace.training.run_directory import flattened

FREE = ("energy.reference", "energy.trainable", "energy.per_element")


class FineTuningError(ValueError):
    """A model that a run cannot start from: says what does not fit and what can be done."""


def start_from(
    path: str | Path, config: TrainingConfig, sets: StructureSets, dtype: torch.dtype
) -> Potential:
    """Return a potential with the weights of a model, ready to be trained on new data.

    Args:
        path: model file.
        config: of the new run.
        sets: the new data.
        dtype: precision of the new run.

    Raises:
        FineTuningError: another design.
        ElementError: elements the model does not know.
        ModelFileError: a file that cannot be used.
    """
    model = load_model(path, dtype=dtype)
    check_design(path, model.design, config.design)
    missing = set(sets.elements) - set(model.elements)
    if missing:
        raise ElementError(
            f"The new data contain {format_elements(sorted(missing))}, which {path} was not "
            f"trained on: its elements are {format_elements(model.elements)}. Leave these "
            "structures out, or train a new model on all elements."
        )
    statistics = trained_statistics(model, config.design)
    if config.fine_tuning.energies == "refit":
        statistics = _refitted(statistics, config, sets)
    potential = Potential(config.design, model.elements, statistics, dtype=dtype, seed=0)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in potential.named_parameters():
            if name in weights and weights[name].shape == parameter.shape:
                parameter.copy_(weights[name])
    return potential


def check_design(path: str | Path, before: Design, now: Design) -> None:
    """Refuse a design that is not the model's.

    Raises:
        FineTuningError: listing every difference.
    """
    old, new = (dict(flattened({"layers": d.layers, **d.canonical()})) for d in (before, now))
    free = {key for key in FREE if not (key == "energy.per_element" and old.get(key))}
    differences = [
        f"  {key}: {old.get(key, 'default')} -> {new.get(key, 'default')}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key) and key not in free
    ]
    if differences:
        raise FineTuningError(
            f"{path} has another design (model -> config):\n"
            + "\n".join(differences)
            + "\nLeave `design` out of the config to take the model's; only "
            f"{', '.join(FREE)} (false to true) may change."
        )


def trained_statistics(model: Potential, design: Design) -> Statistics:
    """Return the statistics with the scale and the shift that a model was trained to."""
    baseline = model.model.baseline
    symbols = [symbol_of(number) for number in model.elements]
    found: dict[str, float | dict[str, float]] = {}
    for name in ("scale", "shift"):
        value: list[float] = getattr(baseline, name).detach().double().tolist()
        if model.design.energy.per_element:
            found[name] = dict(zip(symbols, value, strict=True))
        elif design.energy.per_element:
            found[name] = dict.fromkeys(symbols, value[0])
        else:
            found[name] = value[0]
    return model.statistics.model_copy(update=found)


def _refitted(statistics: Statistics, config: TrainingConfig, sets: StructureSets) -> Statistics:
    reference, given = reference_of(config)
    elements = sets.elements
    energies: Iterable[float] = atomic_energies(
        [*sets.training, *sets.isolated_atoms], elements, reference, given
    ).tolist()
    anew = {symbol_of(z): e for z, e in zip(elements, energies, strict=True)}
    return statistics.model_copy(update={"atomic_energies": {**statistics.atomic_energies, **anew}})
