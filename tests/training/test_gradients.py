"""Gradients from traced graphs are those of autograd, bit by bit, in every design and batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import needs_compiled
from tests.laws.potentials import random_potential
from tests.laws.strategies import accepted, designs
from tests.training import runs, tiny
from tests.training.batches import BATCHES, batch

from multiace.design import Design
from multiace.kernels.dispatch import REFERENCE
from multiace.potential import Potential
from multiace.presets import PRESETS
from multiace.tracing import TraceError
from multiace.training import ConfigError, train
from multiace.training import gradients as gradients_module
from multiace.training.config import Loss, TrainingConfig
from multiace.training.gradients import (
    WATCHED,
    WORTHWHILE,
    Gradients,
    check_tracing,
    gradients_by_autograd,
)
from multiace.training.loss import weights_at
from multiace.training.memory_estimate import peak_bytes
from multiace.training.traced_gradients import Kind, TracedGradients

pytestmark = needs_compiled

KINDS = ("ef", "weighted", "ace", "per_atom", "huber")


def config_with(directory, loss: Loss | None = None, **changes: Any) -> TrainingConfig:
    """Return a config of which nothing matters but the loss and what is given."""
    return tiny.config(directory).model_copy(
        update={"loss": loss or Loss(stress=100.0), "tracing": "always", **changes}
    )


def computed(
    potential: Potential, gradients: Any, example: Any, weights: Any
) -> list[torch.Tensor | None]:
    """Return loss, terms and gradients."""
    loss, terms = gradients(example, weights)
    found = [None if p.grad is None else p.grad.clone() for p in potential.parameters()]
    return [loss, terms.sums, terms.counts, *found]


def assert_same(one: list[torch.Tensor | None], two: list[torch.Tensor | None]) -> None:
    for a, b in zip(one, two, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.dtype == b.dtype
            assert strides(a) == strides(b)
            assert torch.equal(a.nan_to_num(math.pi), b.nan_to_num(math.pi))


def strides(tensor: torch.Tensor) -> list[int]:
    """Return the strides that have an effect."""
    return [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


def assert_traced_as_by_autograd(
    potential: Potential, config: TrainingConfig, batches: Iterable[str] = BATCHES, n_kinds: int = 2
) -> None:
    """Compare on batches, with and without gaps in the labels."""
    notes: list[str] = []
    gradients = Gradients(potential, config, notes.append)
    weights = weights_at(config.loss, 0)
    by_autograd = partial(gradients_by_autograd, potential, config)
    for name in batches:
        for gaps in (False, True):
            example = batch(potential, BATCHES[name], gaps=gaps)
            expected = computed(potential, by_autograd, example, weights)
            gradients(example, weights, 1)  # the first of its kind is traced
            found = computed(potential, partial(gradients, steps_left=1), example, weights)
            assert_same(found, expected)
    assert len(notes) == n_kinds
    assert all("are traced: " in note for note in notes)


@st.composite
def losses(draw: st.DrawFn) -> dict[str, Any]:
    """Draw fields of losses with any terms."""
    kind = draw(st.sampled_from(KINDS))
    weight = st.sampled_from([0.0, 1.0, 30.0])
    fields = {name: draw(weight) for name in ("energy", "forces", "stress")}
    assume(any(fields.values()))
    deltas = {f"{name}_delta": 0.03 for name in fields} if kind == "huber" else {}
    return {"kind": kind, **fields, **deltas}


def check_random_designs(directory, n_examples: int) -> None:
    @settings(
        max_examples=n_examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(fields=designs(), loss=losses(), grid=st.sampled_from([None, None, 32]), data=st.data())
    def check(fields: dict[str, Any], loss: dict[str, Any], grid: int | None, data: Any) -> None:
        design = accepted(fields)
        assume(design is not None)
        grid = grid if design.radial.transform == "none" else None
        potential = random_potential(design)
        if data.draw(st.booleans()):
            potential = in_float32(potential)
        assert_traced_as_by_autograd(
            potential, config_with(directory, Loss(**loss), radial_grid=grid)
        )

    check()


def in_float32(potential: Potential) -> Potential:
    """Return a potential of the same design in float32."""
    return Potential(
        potential.design, potential.elements, potential.statistics, dtype=torch.float32, seed=1
    )


@pytest.mark.slow
def test_random_designs_and_losses_give_the_bits_of_autograd(tmp_path):
    check_random_designs(tmp_path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_give_the_bits_of_autograd(tmp_path, preset):
    potential = random_potential(PRESETS[preset]("small", channels=4, cutoff=4.0))
    assert_traced_as_by_autograd(potential, config_with(tmp_path))


def small(**energy: Any) -> Potential:
    """Return a model of one layer that is quick to trace."""
    radial = {"number": 2, "hidden": [3]}
    fields = {"layers": 1, "channels": 2, "l_max": 1, "cutoff": 4.0, "radial": radial}
    return random_potential(Design(**fields, energy=energy, readout={"kind": "linear"}))


def test_one_layer_gives_the_bits_of_autograd_in_batches_of_all_shapes(tmp_path):
    potential = small(per_element=True, trainable=True, zbl="inside")
    config = config_with(tmp_path, Loss(kind="huber", stress=1.0))
    several = [name for name in BATCHES if name != "single"]
    assert_traced_as_by_autograd(potential, config, several, n_kinds=1)


class Doubled(TracedGradients):
    """Stands for traced gradients: counts what it is asked, and can be wrong."""

    made: list[Kind]
    used: int
    factor = 1.0

    def __init__(self, potential: Potential, config: TrainingConfig, kind: Kind) -> None:
        self.made.append(kind)
        self.potential, self.config = potential, config
        self.n_operations, self.seconds = 7, 0.25

    def __call__(self, example: Any, weights: Any) -> Any:
        type(self).used += 1
        result = gradients_by_autograd(self.potential, self.config, example, weights)
        for parameter in self.potential.parameters():
            if parameter.grad is not None:
                parameter.grad *= self.factor
        return result


@pytest.fixture
def doubled(monkeypatch) -> type[Doubled]:
    monkeypatch.setattr(Doubled, "made", [], raising=False)
    monkeypatch.setattr(Doubled, "used", 0, raising=False)
    monkeypatch.setattr(gradients_module, "TracedGradients", Doubled)
    return Doubled


def many_and_one(
    gradients: Gradients, steps_left: int, seconds_left: float | None = None, *, n_single: int = 0
) -> None:
    """Take as many steps as decide, and some of single structures."""
    weights = weights_at(gradients.config.loss, 0)
    several = batch(gradients.potential, BATCHES["ragged"])
    single = batch(gradients.potential, BATCHES["single"])
    for example in [single] * n_single + [several] * WATCHED:
        gradients(example, weights, steps_left, seconds_left)


@pytest.mark.parametrize(
    ("tracing", "steps_left", "seconds_left", "n_single", "is_traced"),
    [
        ("auto", WORTHWHILE, None, 0, True),
        ("auto", WORTHWHILE - 1, None, 0, False),
        ("auto", 2 * WORTHWHILE, None, WATCHED // 2, True),
        ("auto", WORTHWHILE, None, WATCHED // 2, False),
        ("auto", WORTHWHILE, 0.0, 0, False),
        ("auto", WORTHWHILE, 1e9, 0, True),
        ("always", 1, 0.0, 0, True),
        ("never", 10 * WORTHWHILE, None, 0, False),
    ],
)
def test_steps_are_traced_where_that_pays(
    tmp_path, doubled, tracing, steps_left, seconds_left, n_single, is_traced
):
    notes: list[str] = []
    gradients = Gradients(small(), config_with(tmp_path, tracing=tracing), notes.append)
    many_and_one(gradients, steps_left, seconds_left, n_single=n_single)
    assert doubled.made == ([Kind(forces=True, stress=True, single=False)] if is_traced else [])
    assert notes == ["Training steps are traced: 7 operations, 0.2 s."] * is_traced
    expected = {"auto": 1, "always": WATCHED, "never": 0}[tracing]  # the first is compared
    assert doubled.used == expected * is_traced


def test_single_structures_have_a_graph_of_their_own(tmp_path, doubled):
    notes: list[str] = []
    gradients = Gradients(small(), config_with(tmp_path), notes.append)
    many_and_one(gradients, 1, n_single=1)
    assert [kind.single for kind in doubled.made] == [True, False]
    assert notes[0].startswith("Training steps of single structures are traced: ")


@pytest.mark.parametrize("name", ["without edges", "one atom"])
def test_batches_too_small_for_a_graph_are_left_to_autograd(tmp_path, doubled, name):
    gradients = Gradients(small(), config_with(tmp_path), lambda _: None)
    example = batch(gradients.potential, BATCHES[name])
    gradients(example, weights_at(gradients.config.loss, 0), 10 * WORTHWHILE)
    assert not doubled.made


@pytest.mark.parametrize("failure", ["wrong gradients", "an error"])
def test_steps_that_cannot_be_traced_are_said_so_and_left_to_autograd(
    tmp_path, doubled, monkeypatch, failure
):
    reason = "TraceError: the graph gives other gradients than autograd"
    if failure == "an error":
        reason = "ArithmeticError: no such operation"
        monkeypatch.setattr(
            doubled, "__init__", raising(ArithmeticError("no such operation\nin line 3"))
        )
    monkeypatch.setattr(doubled, "factor", 1.0 + 1e-12)
    potential, notes = small(), []
    gradients = Gradients(potential, config_with(tmp_path, tracing="auto"), notes.append)
    many_and_one(gradients, WORTHWHILE)
    many_and_one(gradients, WORTHWHILE)
    assert notes == [f"Training steps are not traced, which changes no result: {reason}."]
    example, weights = batch(potential, BATCHES["mixed"]), weights_at(gradients.config.loss, 0)
    by_autograd = partial(gradients_by_autograd, potential, gradients.config)
    expected = computed(potential, by_autograd, example, weights)
    assert_same(computed(potential, partial(gradients, steps_left=1), example, weights), expected)

    always = Gradients(potential, config_with(tmp_path), notes.append)
    with pytest.raises(TraceError, match=f"tracing is always, but .* {reason}. Set tracing: "):
        always(example, weights, 1)


def raising(error: Exception) -> Any:
    """Return a function that raises an error."""

    def fail(*arguments: Any) -> None:
        raise error

    return fail


def test_tracing_always_needs_kernels_that_can_be_traced(tmp_path):
    check_tracing(config_with(tmp_path, tracing="auto"), REFERENCE)
    with pytest.raises(ConfigError, match=r"tracing is always, .* are reference \(PyTorch\)"):
        check_tracing(config_with(tmp_path), REFERENCE)


RUN: dict[str, Any] = {"design": {"layers": 1, "radial": {"hidden": []}}, "epochs": 4}
STAGES = {"second": {"epoch": 2, "energy": 1.0, "forces": 0.0, "stress": 0.0}}


def run_of(directory: Path, name: str, **changes: Any) -> Path:
    """Train on water molecules; return the run directory."""
    config = tiny.config(directory, **{**RUN, **changes}, out=str(directory / name))
    return train(config, progress="none").out


@pytest.fixture
def soon(monkeypatch) -> None:
    """Let auto trace after two steps of a kind, however few are to come."""
    monkeypatch.setattr(gradients_module, "WATCHED", 2)
    monkeypatch.setattr(gradients_module, "WORTHWHILE", 1)


def traced_lines(out: Path) -> list[str]:
    return [line for line in (out / "log.txt").read_text().splitlines() if "are traced" in line]


def test_runs_are_the_same_whether_and_whenever_steps_are_traced(tmp_path, monkeypatch, soon):
    never = run_of(tmp_path, "never", tracing="never", loss=STAGES)
    auto = run_of(tmp_path, "auto", loss=STAGES)
    assert traced_lines(never) == []
    assert len(traced_lines(auto)) == 2  # one for each stage
    runs.assert_same_run(never, auto)


@pytest.mark.slow
@pytest.mark.parametrize("watched", [1, 3, 7])
def test_runs_do_not_depend_on_the_step_from_which_they_are_traced(tmp_path, monkeypatch, watched):
    monkeypatch.setattr(gradients_module, "WATCHED", watched)
    monkeypatch.setattr(gradients_module, "WORTHWHILE", 1)
    second = {"second": {"epoch": 2, "energy": 100.0, "forces": 1.0}}
    changes: dict[str, Any] = {"loss": second, "radial_grid": 16, "optimiser": {"clip": 1.0}}
    never = run_of(tmp_path, "never", tracing="never", **changes)
    auto = run_of(tmp_path, "auto", **changes)
    assert traced_lines(auto)
    runs.assert_same_run(never, auto)


@pytest.mark.slow
def test_a_resumed_traced_run_is_that_of_autograd(tmp_path, monkeypatch):
    never = run_of(tmp_path, "never", tracing="never")
    parts = tiny.config(tmp_path, **RUN, tracing="always", out=str(tmp_path / "parts"))
    runs.stop_after(monkeypatch, parts, 7, runs.SIGTERM)
    train(parts.model_copy(update={"tracing": "never"}), resume=True, progress="none")
    runs.assert_same_run(never, tmp_path / "parts")


@pytest.mark.slow
def test_a_traced_run_from_a_model_is_that_of_autograd(tmp_path):
    design = {**RUN["design"], "energy": {"scale": "rms_forces"}}
    model = run_of(tmp_path, "model", design=design, epochs=1) / "model.safetensors"
    trained = {**design, "energy": {**design["energy"], "trainable": True, "per_element": True}}
    tuned = []
    for tracing in ("never", "always"):
        config = tiny.config(
            tmp_path, design=trained, epochs=3, tracing=tracing, out=str(tmp_path / tracing)
        )
        tuned.append(train(config, from_model=model, progress="none").out)
    assert traced_lines(tuned[1])
    runs.assert_same_run(*tuned)


@pytest.mark.slow
def test_a_traced_step_holds_no_more_memory(tmp_path):
    potential = random_potential(PRESETS["mace"]("small", channels=32, cutoff=4.0))
    config = config_with(tmp_path, Loss())
    example, weights = batch(potential, 8 * BATCHES["mixed"]), weights_at(config.loss, 0)
    traced = TracedGradients(potential, config, Kind.of(example, weights))
    by_autograd = partial(gradients_by_autograd, potential, config)
    peaks = []
    for gradients in (by_autograd, traced):
        for parameter in potential.parameters():
            parameter.grad = None
        peaks.append(peak_bytes(partial(gradients, example, weights), torch.device("cpu")))
    assert peaks[1] <= 1.01 * peaks[0]
