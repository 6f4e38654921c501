"""`train`: one run from a config to a model and its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiace.analysis import ErrorTable, errors
from multiace.checkpoint import (
    DTYPES,
    ModelFileError,
    build_potential,
    describe_potential,
    parse_description,
    replace_file,
    save_model,
)
from multiace.device import find_device
from multiace.elements import symbol_of
from multiace.kernels.dispatch import select_kernels
from multiace.potential import Potential
from multiace.tracing import TraceError
from multiace.training.config import TrainingConfig
from multiace.training.examples import TrainingData, batch_sizes
from multiace.training.fine_tuning import Origin, start_from
from multiace.training.gradients import check_tracing
from multiace.training.interrupt import StopRequest, TrainingInterrupted
from multiace.training.log import (
    Log,
    ProgressOption,
    check_packages,
    error_lines,
    format_seconds,
    open_log,
)
from multiace.training.loop import Loop, TrainingDiverged
from multiace.training.memory import OutOfMemory, peak_memory
from multiace.training.memory_estimate import estimate_memory
from multiace.training.metrics import EpochRecord
from multiace.training.prepare import (
    StructureSets,
    make_data,
    read_sets,
    statistics_of,
    summary,
)
from multiace.training.read_config import ConfigError, make_config, read_config
from multiace.training.run_directory import (
    FREE_ON_RESUME,
    ResumeError,
    RunDirectory,
    check_same_run,
    environment,
    open_run,
)
from multiace.training.state import TrainingState

_ENDS = (TrainingInterrupted, TrainingDiverged, OutOfMemory, ModelFileError, TraceError)
"""What ends a run early and is written into its log."""

Checkpoint = tuple[Path, dict[str, Any], dict[str, Tensor]]


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Args:
        potential: the best weights, as in model.safetensors.
        history: one record an epoch, from the beginning of the run.
        seconds: training time, validation included.
        errors: errors on each test set.
        out: the run directory.
        reason: why the run ended.
    """

    potential: Potential
    history: tuple[EpochRecord, ...]
    seconds: float
    errors: dict[str, ErrorTable]
    out: Path
    reason: str


def train(
    config: TrainingConfig | str | Path,
    *,
    resume: bool = False,
    from_model: str | Path | None = None,
    progress: ProgressOption = "auto",
) -> TrainingResult:
    """Train a potential; the run directory `config.out` holds everything that comes of it.

    A resumed run continues from its last checkpoint, in the middle of an epoch too, and on a CPU
    with as many threads ends bitwise where it would have ended without the break. It may change
    only `run_directory.FREE_ON_RESUME`. A run from a model follows the rules in
    `multiace.training.fine_tuning`; resumed before its first checkpoint, it starts from that model
    again.

    Args:
        config: a config or the YAML file of one.
        resume: continue the run in `config.out`; begin it if nothing was trained there.
        from_model: model file to start from instead of random weights.
        progress: `auto` (a bar on a terminal, else plain lines), `none`, or a function that is
            given the record of each epoch.

    Raises:
        ConfigError: options that do not fit together or this machine.
        DeviceError: a GPU that is not there.
        DataError: data that cannot be trained on.
        ResumeError: a run that cannot be continued, or a directory that is taken.
        FineTuningError: a model of another design, or one that was changed before the first
            checkpoint of the run to be resumed.
        TrainingDiverged: too many losses were not finite, or those of all validations.
        OutOfMemory: a batch that did not fit into memory, with its structures.
        TraceError: `tracing: always`, and the steps cannot be traced.
        TrainingInterrupted: SIGTERM or SIGINT; the state is saved.
        ModelFileError: a file that cannot be read or written.
    """
    if not isinstance(config, TrainingConfig):
        config = read_config(config, from_model=from_model)
    config = config.resolved()
    if resume and from_model is not None:
        raise ConfigError(
            "--resume continues a run with its own weights, --from starts one from a model. "
            "Give one of them."
        )
    check_packages(config)
    device = find_device(config.device)
    check_tracing(config, select_kernels(config.kernels, device))
    notes: list[str] = []
    with open_run(config.out, resume=resume, note=notes.append) as directory:
        checkpoint = directory.load() if resume else None
        if checkpoint is not None:
            path, content, _ = checkpoint
            check_same_run(path, _config_of(path, content), config.to_dict(), FREE_ON_RESUME)
        origin = _origin(directory, checkpoint, resume, from_model)
        _check_refit(config, origin)
        sets = read_sets(config, notes.append)
        notes.append(summary(sets))
        if checkpoint is None:
            if resume:
                notes.append(_start_note(directory, origin))
            potential = _new_potential(config, sets, origin, device)
            state = TrainingState(potential, config)
            start = {"from": None if origin is None else asdict(origin)}
            directory.begin(config, {**environment(potential.kernels.label), **start})
        else:
            state = _restored(checkpoint, config, sets, device)
            directory.write_config(config)
            notes.append(_resume_note(checkpoint, state))
        notes.append(f"Kernels: {state.potential.kernels.label}.")
        notes += _grid_note(config, state.potential)
        return _run(config, directory, sets, state, origin, progress, notes)


def _config_of(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a checkpoint; options that it is too old to have are at their defaults.

    Raises:
        ResumeError: it has options or values that this version does not take.
    """
    try:
        return make_config(content["config"]).to_dict()
    except ConfigError as error:
        raise ResumeError(
            f"{path} was written by another version of multiace, with settings that this one does "
            f"not take:\n{error}\nGo on with that version, or begin a new run in another directory "
            "(with --from to start from this model)."
        ) from None


def _check_refit(config: TrainingConfig, origin: Origin | None) -> None:
    """Refuse to take E0 anew where no model is started from.

    Raises:
        ConfigError: naming the option.
    """
    if origin is None and config.fine_tuning.energies == "refit":
        raise ConfigError(
            "fine_tuning.energies is refit, but the run does not start from a model. "
            "Give one with --from, or leave fine_tuning.energies out."
        )


def _origin(
    directory: RunDirectory,
    checkpoint: Checkpoint | None,
    resume: bool,
    from_model: str | Path | None,
) -> Origin | None:
    """Return the model that the run starts from, or started from before it was resumed.

    Raises:
        FineTuningError: that model is needed again, but is gone or was changed.
    """
    if not resume:
        return None if from_model is None else Origin.of(from_model)
    content = directory.identity() if checkpoint is None else checkpoint[1]
    found = content.get("from")
    origin = None if found is None else Origin(**found)
    if origin is not None and checkpoint is None:
        origin.check()
    return origin


def _new_potential(
    config: TrainingConfig, sets: StructureSets, origin: Origin | None, device: torch.device
) -> Potential:
    dtype = DTYPES[config.dtype]
    if origin is not None:
        return start_from(origin.path, config, sets, dtype, device)
    return Potential(
        config.design,
        sets.elements,
        statistics_of(sets, config),
        dtype=dtype,
        seed=config.seed_of("initialisation"),
        kernels=config.kernels,
        device=device,
    )


def _restored(
    checkpoint: Checkpoint, config: TrainingConfig, sets: StructureSets, device: torch.device
) -> TrainingState:
    """Return the state of a checkpoint, if the data are those it was trained on."""
    path, content, tensors = checkpoint
    check_same_run(path, content["data"], _data_identity(sets), ())
    weights = {
        name.removeprefix("weights/"): value
        for name, value in tensors.items()
        if name.startswith("weights/")
    }
    description = parse_description(path, content["model"], weights)
    potential = build_potential(path, description, weights, device=device, kernels=config.kernels)
    state = TrainingState(potential, config)
    state.restore(path, tensors, content["progress"])
    return state


def _data_identity(sets: StructureSets) -> dict[str, Any]:
    return {"elements": [symbol_of(z) for z in sets.elements], "sha256": sets.content_hash}


def _resume_note(checkpoint: Checkpoint, state: TrainingState) -> str:
    path, content, _ = checkpoint
    note = f"Resumed from {path}: epoch {state.epoch}, batch {state.batch}, step {state.step}."
    before, now = content["environment"], environment(state.potential.kernels.label)
    if before != now:
        note += f" Not bitwise the same run: it had {before}, this process has {now}."
    return note


def _start_note(directory: RunDirectory, origin: Origin | None) -> str:
    start = "random weights" if origin is None else origin.path
    return f"{directory.path} holds no checkpoint yet: starting at epoch 0 from {start}."


def _grid_note(config: TrainingConfig, potential: Potential) -> list[str]:
    """Say what a radial grid costs in accuracy with the weights there are, if one is used."""
    if config.radial_grid is None:
        return []
    error = potential.radial_grid_error(config.radial_grid)
    return [
        f"Training steps take radial functions from a grid of {config.radial_grid} intervals: "
        f"largest error {error:.1e} of the largest value, with these weights."
    ]


def _batch_note(config: TrainingConfig, data: TrainingData) -> str | None:
    """Say that a batch holds everything, if it does."""
    sizes, limit = batch_sizes(data.training, config.batch)
    if sum(sizes) > limit or len(sizes) == 1:
        return None
    unit, _ = config.batch.limit
    return (
        f"Warning: batch.{unit} is {limit:,}, and the whole training set has {sum(sizes):,} "
        f"{unit}: each step follows all structures, one step an epoch."
    )


def _run(
    config: TrainingConfig,
    directory: RunDirectory,
    sets: StructureSets,
    state: TrainingState,
    origin: Origin | None,
    progress: ProgressOption,
    notes: list[str],
) -> TrainingResult:
    """Train from a state, then load the best weights and test them."""
    data = make_data(sets, state.potential, config)
    identity = _data_identity(sets)
    common = {
        "config": config.to_dict(),
        "data": identity,
        "from": None if origin is None else asdict(origin),
    }
    provenance = {"run_id": directory.run_id, **common}
    header = {
        **common,
        "environment": environment(state.potential.kernels.label),
        "model": describe_potential(state.potential, {}).model_dump(mode="json"),
    }
    kept = directory.keep_metrics(state.records)
    history = [EpochRecord.from_json(record) for record in kept]
    with open_log(
        directory.path,
        config,
        run_id=directory.run_id,
        first_step=state.step,
        progress=progress,
        history=history,
    ) as log:
        estimate = estimate_memory(state, data.training, config)
        for note in (*notes, _batch_note(config, data), str(estimate), estimate.check()):
            if note is not None:
                log.note(note)
        with StopRequest() as stop:
            loop = Loop(
                state, data, config, directory, log, stop, header=header, provenance=provenance
            )
            try:
                reason = loop.run()
                if not state.best_weights:
                    raise TrainingDiverged(
                        "No validation was finite, so there is no best model. Lower "
                        "optimiser.rate, and look at the validation set."
                    )
            except _ENDS as end:
                log.note(str(end))
                raise
        tables = _finish(config, state, sets, directory, provenance, log, reason)
    return TrainingResult(
        state.potential, tuple(history), state.seconds, tables, directory.path, reason
    )


def _finish(
    config: TrainingConfig,
    state: TrainingState,
    sets: StructureSets,
    directory: RunDirectory,
    provenance: dict[str, Any],
    log: Log,
    reason: str,
) -> dict[str, ErrorTable]:
    """Give the potential its best weights, write the model, test it."""
    peak = peak_memory(state.device)
    state.load_best()
    position = {"epoch": state.best_epoch, "valid_loss": state.best_loss}
    save_model(directory.model_path, state.potential, {**provenance, **position})
    assert state.best_epoch is not None
    log.note(
        f"Training ended after {format_seconds(state.seconds)}: {reason}. "
        f"The best model, of epoch {state.best_epoch + 1}, is in {directory.model_path}."
    )
    for note in _grid_note(config, state.potential):
        log.note(note)
    tables: dict[str, ErrorTable] = {}
    for name, structures in {"validation": sets.validation, **sets.tests}.items():
        try:
            tables[name] = errors(state.potential, structures)
        except ValueError as error:  # the model is written; one test set must not cost the others
            log.note(f"Warning: {name} was not evaluated: {error}")
    content = {name: table.to_json() for name, table in tables.items()}
    replace_file(directory.path / "errors.json", json.dumps(content, indent=2).encode())
    cost = {"seconds": state.seconds, "peak_memory_bytes": peak}
    replace_file(directory.path / "cost.json", json.dumps(cost, indent=2).encode())
    log.note(error_lines(tables))
    return tables
