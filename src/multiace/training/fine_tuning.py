"""Start a run from a trained model.

Rules:

- The design must be that of the model. Of its `energy` group, `reference`, `trainable` and
  `per_element` (false to true) may change: none of them changes the energies at the start.
- The elements of the new data must be among those of the model. Weights of all its elements stay,
  those of elements that the new data lack with nothing to change them but weight decay.
- Mean neighbours, scale and shift stay: the weights were trained with them. If they were trained
  themselves, their trained values stay.
- E0 stay (`fine_tuning.energies: keep`), or are taken anew (`refit`) for the elements that occur in
  the new data: from isolated atoms or the config as for a new model; with the references `mean` and
  `least_squares` from what the energies of the new training set have beyond all but E0 in the
  model, E - (E_model - sum E0), as the binding energy is already in its weights. Refit when the new
  labels come from another method: E0 then differ by eV per atom, and forces say nothing about them.
- Optimiser, average and schedule begin anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from multiace.checkpoint import ModelFileError, load_model
from multiace.data import Selection
from multiace.data.atomic_energies import atomic_energies, compositions, fitted_energies
from multiace.design import Design, Statistics
from multiace.elements import ElementError, format_elements, symbol_of
from multiace.geometry import batch_graphs, batches_by, build_graph
from multiace.potential import Potential
from multiace.training.config import Batch, TrainingConfig
from multiace.training.examples import sizes_of
from multiace.training.prepare import StructureSets, reference_of
from multiace.training.run_directory import flattened

FREE = ("energy.reference", "energy.trainable", "energy.per_element")


class FineTuningError(ValueError):
    """A model that a run cannot start from: says what does not fit and what can be done."""


@dataclass(frozen=True)
class Origin:
    """The model file that a run started from.

    Args:
        path: absolute path of the file.
        sha256: digest of its bytes.
    """

    path: str
    sha256: str

    @classmethod
    def of(cls, path: str | Path) -> Origin:
        """Return the origin that a file is.

        Raises:
            ModelFileError: a file that cannot be read.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from None
        return cls(str(Path(path).absolute()), hashlib.sha256(data).hexdigest())

    def check(self) -> None:
        """Refuse to start from a file that is gone or was changed.

        Raises:
            FineTuningError: naming the file.
        """
        try:
            now = Origin.of(self.path)
        except ModelFileError as error:
            raise FineTuningError(
                f"The run holds no checkpoint yet, and the model it began from is gone: {error}. "
                "Put the model back, or begin a new run with --from in another directory."
            ) from None
        if now != self:
            raise FineTuningError(
                f"The run began from {self.path} with SHA-256 {self.sha256}, which is now "
                f"{now.sha256}, and holds no checkpoint yet. Put the model back, or begin a new "
                "run with --from in another directory."
            )


def start_from(
    path: str | Path,
    config: TrainingConfig,
    sets: StructureSets,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
) -> Potential:
    """Return a potential with the weights of a model, ready to be trained on new data.

    Args:
        path: model file.
        config: of the new run.
        sets: the new data.
        dtype: precision of the new run.
        device: where the new run computes.

    Raises:
        FineTuningError: another design.
        ElementError: elements the model does not know.
        ModelFileError: a file that cannot be used.
    """
    model = load_model(path, dtype=dtype, device=device, kernels=config.kernels)
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
        statistics = _refitted(model, statistics, config, sets)
    potential = Potential(
        config.design,
        model.elements,
        statistics,
        dtype=dtype,
        seed=0,
        kernels=config.kernels,
        device=device,
    )
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


def _refitted(
    model: Potential, statistics: Statistics, config: TrainingConfig, sets: StructureSets
) -> Statistics:
    """Return the statistics with E0 of the elements of the new data taken anew."""
    reference, given = reference_of(sets, config)
    elements = sets.elements
    if reference in ("mean", "least_squares"):
        found = compositions(sets.training, elements)
        beyond = found.energies - _binding_energies(model, sets.training, config.batch)
        energies = fitted_energies(replace(found, energies=beyond), elements, reference)
    else:
        structures = Selection.of(sets.training, sets.isolated_atoms)
        energies = atomic_energies(structures, elements, reference, given)
    anew = {symbol_of(z): e for z, e in zip(elements, energies.tolist(), strict=True)}
    return statistics.model_copy(update={"atomic_energies": {**statistics.atomic_energies, **anew}})


def _binding_energies(
    model: Potential, structures: Selection, batch: Batch
) -> Float64[np.ndarray, " labelled"]:
    """Return all terms of the model but E0, eV, for the structures that have an energy."""
    labelled = structures.take(np.flatnonzero(np.isfinite(structures.columns.energy)))
    unit, limit = batch.limit
    sizes = np.minimum(sizes_of(labelled, model.cutoff, unit), limit)
    bindings: list[float] = []
    for group in batches_by(sizes.tolist(), range(len(labelled)), limit):
        graphs = [build_graph(labelled[i], model.cutoff, model.elements) for i in group]
        with torch.no_grad():
            terms = model(batch_graphs(graphs), forces=False).contributions
        bindings += terms[:, 1:].sum(dim=1).tolist()  # E0 is the first
    return np.array(bindings, dtype=np.float64)
