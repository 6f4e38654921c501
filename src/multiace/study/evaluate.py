"""Judge the model of a run: errors on test sets, energies along scans, cost, and probes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from pydantic import TypeAdapter

from multiace.analysis import predict
from multiace.analysis.errors import REPORT_UNITS, Deviation, compare
from multiace.checkpoint import load_model
from multiace.data import DataError
from multiace.data.extxyz import LabelNames
from multiace.data.strict import read_files
from multiace.geometry import Structure
from multiace.geometry.coordinate import along, default_atoms, label_of, scans_among
from multiace.potential import Potential
from multiace.probes import surface
from multiace.study.errors import Places, StudyError
from multiace.study.probe_options import NOT_IN_IDENTITY, Probe
from multiace.study.study import Study, file_hash
from multiace.training.config import Keys
from multiace.units import MEV

_REPEATS = 3
_PROBE: TypeAdapter[Probe] = TypeAdapter(Probe)
_TIMED_STRUCTURES = 20


def evaluations_of(study: Study) -> dict[str, dict[str, Any]]:
    """Return what models are judged on, as plain data: name of each evaluation -> its content.

    The `id` of an evaluation is the hash of what it computes and of the bytes of its files.
    """
    data = study.base.get("data", {})
    keys = Keys.model_validate(data.get("keys", {})).model_dump(mode="json")
    reading = {"keys": keys, "unit_check": data.get("unit_check", True)}
    found: dict[str, dict[str, Any]] = {}
    evaluations = study.config.evaluations
    for domain in ("in_domain", "out_of_domain"):
        for name, test in getattr(evaluations, domain).items():
            files, decisive = list(test.files), {}
            if test.config_type is not None:
                decisive = {"config_type": test.config_type}
            found[name] = {"kind": "test", "domain": domain, "files": files, **reading, **decisive}
            found[name]["identity"] = _identity(found[name], keys, decisive)
    for name, scan in evaluations.scans.items():
        path = scan.model_dump(mode="json", include={"coordinate", "zero"})
        found[name] = {"kind": "scan", "domain": "scan", "files": [scan.file], **reading, **path}
        decisive = path if scan.zero != "absolute" else {}
        found[name]["identity"] = _identity(found[name], keys, decisive)
    for name, probe in evaluations.probes.items():
        files = [file for _, file in probe.files]
        reference = [file_hash(file) for _, file in probe.models]
        decisive = probe.model_dump(mode="json", exclude_defaults=True, exclude=NOT_IN_IDENTITY)
        found[name] = {
            "kind": "probe",
            "domain": "probe",
            "files": files,
            **reading,
            "options": probe.model_dump(mode="json"),
            "identity": ["probe", decisive, [file_hash(f) for f in files], reference],
        }
    for content in found.values():
        identity = content.pop("identity")
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        content["id"] = f"{content['kind']}-{digest[:16]}"
    return found


def _identity(
    content: Mapping[str, Any], keys: dict[str, Any], decisive: dict[str, Any]
) -> list[Any]:
    """Return what the results of a test or scan depend on, its options where they are set."""
    files = [file_hash(file) for file in content["files"]]
    return [content["kind"], files, keys, *([decisive] if decisive else [])]


def evaluate(
    model: Path, evaluation: Mapping[str, Any], *, device: str = "cpu", kernels: str = "auto"
) -> dict[str, Any]:
    """Judge a model once.

    Args:
        model: model file.
        evaluation: content as `evaluations_of` returns it.
        device: where the model computes.
        kernels: what it computes with.

    Returns:
        Plain data: errors by quantity in meV units for a test; energies in eV for a scan; numbers
        with unit and meaning for a probe. What cannot be predicted has its reason under `failed`.
    """
    if evaluation["kind"] == "probe":
        return _probe(model, evaluation, device, kernels)
    potential = load_model(model, device=device, kernels=kernels)
    structures = read(evaluation)
    try:
        if evaluation["kind"] == "scan":
            return _scan(potential, structures, evaluation)
        return _test(potential, structures)
    except ValueError as error:  # not finite far from the data: that is a result too
        return {"failed": str(error)}


def read(evaluation: Mapping[str, Any]) -> list[Structure]:
    """Return the structures of an evaluation.

    Raises:
        DataError: files that cannot be read, or are wrong.
    """
    structures = [structure for structures in _sets(evaluation) for structure in structures]
    kind = evaluation.get("config_type")
    return structures if kind is None else [s for s in structures if s.config_type == kind]


def _sets(evaluation: Mapping[str, Any]) -> tuple[Sequence[Structure], ...]:
    """Return the structures of each file of an evaluation."""
    if not evaluation["files"]:
        return ()
    return read_files(
        evaluation["files"],
        LabelNames(**evaluation["keys"]),
        unit_check=evaluation["unit_check"],
        duplicates=False,
    ).sets


def check_evaluations(
    evaluations: Mapping[str, Mapping[str, Any]], places: Places | None = None
) -> None:
    """Read everything that models will be judged on, so that nothing is wrong after training.

    Args:
        evaluations: as `evaluations_of` returns them.
        places: where they are written.

    Raises:
        DataError: files that cannot be read, or are wrong.
        StudyError: a coordinate of atoms that are not there, a test set without labels, or options
            of a probe that its structures cannot meet.
    """
    places = places or Places()
    for name, content in evaluations.items():
        if content["kind"] == "probe":
            _check_probe(name, content, places)
            continue
        structures = read(content)
        if not structures:
            raise StudyError(
                f"evaluations: no structure in the files of {name!r} has the config_type "
                f"{content['config_type']!r}. Use one that is in them."
                + places.at(f"evaluations.{content['domain']}.{name}")
            )
        if all(s.labels.energy is None and s.labels.forces is None for s in structures):
            raise StudyError(
                f"evaluations: none of the structures of {name!r} has an energy or forces to "
                "compare with. Set base.data.keys to the names of the labels."
                + places.at(f"evaluations.{content['domain']}.{name}")
            )
        if content["kind"] == "scan":
            _check_scan(name, content, structures, places)


def _check_scan(
    name: str, content: Mapping[str, Any], structures: Sequence[Structure], places: Places
) -> None:
    key = f"evaluations.scans.{name}"
    try:
        paths = paths_of(structures, content["coordinate"] or ())
    except ValueError as error:
        raise StudyError(f"{key}.coordinate: {error}{places.at(key)}") from None
    for path in paths:
        end = structures[path.members[-1]]
        if content["zero"] == "far_end" and end.labels.energy is None:
            raise StudyError(
                f"{key}: zero is far_end, but the last structure along {path.label} has no energy "
                f"({end.source}). Give it one, or set zero: absolute.{places.at(key)}"
            )


def _check_probe(name: str, content: Mapping[str, Any], places: Places) -> None:
    try:
        _PROBE.validate_python(content["options"]).check(_sets(content))
    except DataError:
        raise  # it names the file and the line in it
    except ValueError as error:
        key = f"evaluations.probes.{name}"
        raise StudyError(f"{key}: {error}{places.at(key)}") from None


def _probe(model: Path, evaluation: Mapping[str, Any], device: str, kernels: str) -> dict[str, Any]:
    """Return the numbers of a probe; its tables and curves are those of `multiace probe`."""
    probe = _PROBE.validate_python(evaluation["options"])
    dtype = getattr(torch, probe.dtype)
    potential = load_model(model, dtype=dtype, device=device, kernels=kernels)
    sets = _sets(evaluation)
    try:
        found = probe.ask(surface(potential), sets).to_json()
    except ValueError as error:
        return {"failed": str(error)}
    return {key: found[key] for key in ("probe", "settings", "numbers")}


def _test(potential: Potential, structures: Sequence[Structure]) -> dict[str, Any]:
    total = compare(structures, predict(potential, structures)).total
    errors: dict[str, Any] = {}
    for quantity in ("energy", "energy_per_atom", "forces"):
        deviation: Deviation | None = getattr(total, quantity)
        unit, size = REPORT_UNITS[quantity]
        if deviation is not None:
            errors[quantity] = {
                "unit": unit,
                "rmse": deviation.rmse / size,
                "mae": deviation.mae / size,
                "largest": deviation.largest / size,
            }
    return {
        "n_structures": len(structures),
        "errors": errors,
        "microseconds_per_atom": _microseconds_per_atom(potential, structures),
    }


def _microseconds_per_atom(potential: Potential, structures: Sequence[Structure]) -> float:
    """Time energies and forces, graphs included, as they are here and now: the best of three."""
    chosen = structures[:_TIMED_STRUCTURES]
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        predict(potential, chosen)
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / sum(structure.n_atoms for structure in chosen)


def _scan(
    potential: Potential, structures: Sequence[Structure], scan: Mapping[str, Any]
) -> dict[str, Any]:
    predicted = [labels.energy for labels in predict(potential, structures, forces=False)]
    energies = np.array(predicted, dtype=np.float64)
    reference = np.array([s.labels.energy for s in structures], dtype=np.float64)  # None is nan
    differences = energies - reference
    for path in paths_of(structures, scan["coordinate"] or ()):
        differences[path.members] -= path.zero(differences, scan["zero"])
    differences = differences[np.isfinite(differences)]
    errors: dict[str, Any] = {}
    if differences.size:
        size = np.abs(differences) / MEV
        errors["energy"] = {
            "unit": "meV",
            "rmse": float(np.sqrt(np.mean(size**2))),
            "mae": float(size.mean()),
            "largest": float(size.max()),
        }
    return {"n_structures": len(structures), "errors": errors, "energies": predicted}


@dataclass(frozen=True, eq=False)
class ScanPath:
    """One path of a scan.

    Args:
        name: empty where the scan has one path.
        label: the coordinate with its unit.
        coordinate: its values, ascending.
        members: the structures in this order, by their places in the scan.
    """

    name: str
    label: str
    coordinate: Float64[np.ndarray, " points"]
    members: Int64[np.ndarray, " points"]

    def zero(self, energies: Float64[np.ndarray, " structures"], kind: str) -> float:
        """Return what is subtracted from energies of the scan: 0, or that of the far end."""
        return 0.0 if kind == "absolute" else float(energies[self.members[-1]])


def paths_of(structures: Sequence[Structure], atoms: Sequence[int]) -> list[ScanPath]:
    """Return the paths of a scan.

    Raises:
        ValueError: atoms that define no coordinate.
    """
    found = []
    for name, members in scans_among(structures):
        chosen = [structures[index] for index in members]
        named = tuple(atoms) or default_atoms(chosen[0])
        values = along(chosen, named)
        order = np.argsort(values, kind="stable")
        found.append(ScanPath(name, label_of(named), values[order], np.array(members)[order]))
    return found
