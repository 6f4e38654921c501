"""The training loop: epochs, steps, validations, and what ends a run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.checkpoint import save_model
from multiace.training.config import TrainingConfig
from multiace.training.examples import Examples, TrainingData, batch_sizes, collate
from multiace.training.gradients import Gradients
from multiace.training.interrupt import StopRequest, TrainingInterrupted
from multiace.training.log import Log
from multiace.training.loss import Terms, loss_terms, weights_at
from multiace.training.memory import batch_message, naming_batch
from multiace.training.metrics import EpochRecord, Errors, errors_of
from multiace.training.optimiser import clip_gradients, set_rate
from multiace.training.run_directory import RunDirectory
from multiace.training.state import TrainingState
from multiace.training.streams import epoch_batches


class TrainingDiverged(ValueError):
    """Losses or gradients that were NaN or infinite too often; the good files are untouched."""


class Loop:
    """One run: `run` trains from wherever the state is until there is a reason to end.

    Args:
        state: new, or restored from a checkpoint.
        data: examples.
        config: resolved.
        directory: where files go.
        log: where messages and metrics go.
        stop: asked after every batch.
        header: plain data that goes into every checkpoint.
        provenance: plain data that goes into the model file.
    """

    def __init__(
        self,
        state: TrainingState,
        data: TrainingData,
        config: TrainingConfig,
        directory: RunDirectory,
        log: Log,
        stop: StopRequest,
        *,
        header: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> None:
        self.state, self.data, self.config = state, data, config
        self.directory, self.log, self.stop = directory, log, stop
        self._header, self._provenance = header, provenance
        self._started = time.monotonic() - state.seconds
        self._saved_at, self._saved_step = time.monotonic(), state.step
        self._sizes, self._limit = batch_sizes(data.training, config.batch)
        self._gradients = Gradients(state.potential, config, log.note)
        first, last = (weights_at(config.loss, epoch) > 0 for epoch in (0, config.epochs - 1))
        self._terms_change = not torch.equal(first, last)

    def run(self) -> str:
        """Train; return why it ended.

        Raises:
            TrainingInterrupted: a signal asked for it; the state is saved.
            TrainingDiverged: too many steps or validations were not finite.
        """
        with self.state.potential.kernels.own_threads():
            return self._run()

    def _run(self) -> str:
        state, data = self.state, self.data
        if not self.directory.checkpoints:
            self._save()
        reason = self._reason_to_end()
        while reason is None:
            weights, batches = self._begin_epoch()
            for indices in batches[state.batch :]:
                with naming_batch(partial(self._out_of_memory, data.training, indices)):
                    self._step(indices, weights, len(batches))
                state.batch += 1
                state.step += 1
                self._between_steps(state.batch / len(batches))
                if self._time_is_up():
                    break
            done = state.batch == len(batches)
            reason = self._end_epoch() if done else self._reason_to_end()
        if state.validated_step != state.step:
            self._validate()
        self._save()
        return reason

    def _reason_to_end(self) -> str | None:
        state, config = self.state, self.config
        if state.epoch >= config.epochs:
            return f"all {config.epochs} epochs are done"
        if self._has_stalled and not self._second_is_to_come:
            return f"no better validation in {state.waited} in a row"
        if self._time_is_up():
            return f"{config.minutes:g} minutes are over"
        return None

    @property
    def _has_stalled(self) -> bool:
        """Whether early stopping has waited long enough."""
        limit = self.config.early_stopping
        return limit is not None and self.state.waited >= limit

    @property
    def _second_is_to_come(self) -> bool:
        """Whether the second stage of the loss has not begun when an epoch is about to begin."""
        second = self.config.loss.second
        return second is not None and self.state.epoch <= second.epoch

    def _time_is_up(self) -> bool:
        self.state.seconds = time.monotonic() - self._started
        minutes = self.config.minutes
        return minutes is not None and self.state.seconds >= 60.0 * minutes

    def _begin_epoch(self) -> tuple[Float64[Tensor, " terms"], list[list[int]]]:
        """Return the weights of the loss and the batches of this epoch."""
        state, config = self.state, self.config
        second = config.loss.second
        if state.batch == 0:
            state.terms = state.no_terms()
            if second is not None and self._second_is_to_come:
                if self._has_stalled and state.epoch < second.epoch:
                    self.log.note(
                        f"No better validation in {state.waited} in a row after epoch "
                        f"{state.epoch}: going on to the second stage, epoch {second.epoch + 1}."
                    )
                    state.epoch = second.epoch
                if state.epoch == second.epoch:
                    state.begin_stage()
        weights = weights_at(config.loss, state.epoch).to(state.device)
        seed = config.seed_of("order")
        return weights, epoch_batches(self._sizes, self._limit, seed, state.epoch)

    def _step(self, indices: list[int], weights: Float64[Tensor, " terms"], n_batches: int) -> None:
        """Follow the gradient of one batch of an epoch, unless it is not finite."""
        state, config = self.state, self.config
        state.learning_rate = self._rate(state.epoch + (state.batch + 0.5) / n_batches)
        set_rate(state.optimiser, state.learning_rate)
        examples = [self.data.training[index] for index in indices]
        batch = collate(examples).to(state.device, state.potential.dtype)
        left = (self._steps_left(n_batches), self._seconds_left)
        loss, terms = self._gradients(batch, weights, *left)
        norm = clip_gradients(state.parameters, config.optimiser.clip)
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            sources = [self.data.training.source(index) for index in indices]
            self._strike("step", sources, {"loss": loss.item(), "gradient_norm": norm})
            return
        state.optimiser.step()
        if state.average is not None:
            state.average.update()
        state.terms = state.terms + terms

    def _steps_left(self, n_batches: int) -> int:
        """Steps to come with the terms that the loss has now, if no epoch is skipped."""
        state, epochs = self.state, self.config.epochs
        second = self.config.loss.second
        if second is not None and state.epoch < second.epoch and self._terms_change:
            epochs = second.epoch
        return (epochs - state.epoch) * n_batches - state.batch

    @property
    def _seconds_left(self) -> float | None:
        minutes = self.config.minutes
        return None if minutes is None else 60.0 * minutes - self.state.seconds

    def _rate(self, t: float) -> float:
        config = self.config
        second = config.loss.second
        rate = config.optimiser.rate
        if second is not None and second.rate is not None and t >= second.epoch:
            rate = second.rate
        return rate * self.state.rate.factor_at(t)

    def _between_steps(self, fraction: float) -> None:
        """Show progress; save if it is time to, or if a signal asks for the end."""
        state, interval = self.state, self.config.checkpoint
        self.log.step(state.epoch + fraction, state.seconds)
        self._stop_if_asked()
        steps = math.inf if interval.steps is None else interval.steps
        seconds = math.inf if interval.seconds is None else interval.seconds
        waited = time.monotonic() - self._saved_at
        if state.step - self._saved_step >= steps or waited >= seconds:
            self._save()

    def _stop_if_asked(self) -> None:
        number = self.stop.signal
        if number is not None:
            path = self._save()
            raise TrainingInterrupted(
                number,
                f"Stopped by signal {number} after step {self.state.step}; the state is in {path}."
                f" Continue with --resume.",
            )

    def _end_epoch(self) -> str | None:
        """Validate, let schedule and early stopping know, go on to the next epoch.

        Returns:
            Why the run ends here, if it does; what was not validated then still is to be.
        """
        state = self.state
        validated = (state.epoch + 1) % self.config.validate_every == 0
        if validated:
            loss, best = self._validate()
            state.rate.validated(loss)
            state.waited = 0 if best else state.waited + 1
        state.epoch += 1
        state.batch = 0
        reason = self._reason_to_end()
        if reason is None and not validated:
            self._record(None, Errors.none(), best=False)
        return reason

    def _validate(self) -> tuple[float, bool]:
        """Return the loss of the validation set with averaged weights, and whether it is the best.

        The best model is written at once. A signal breaks a validation off: the run that goes on
        does it again.
        """
        state, data = self.state, self.data
        terms, errors, bad = state.no_terms(), Errors.none(), []
        with self._averaged(), torch.no_grad():
            for indices in data.validation_batches:
                if self.stop.signal is not None:
                    break
                with naming_batch(partial(self._out_of_memory, data.validation, indices)):
                    of_batch, errors_of_batch = self._validate_batch(indices)
                if not bool(torch.isfinite(of_batch.sums).all()):
                    bad += [data.validation.source(index) for index in indices]
                terms, errors = terms + of_batch, errors + errors_of_batch
            else:
                return self._judge(terms.value(self._weights()).item(), errors, bad)
        self._stop_if_asked()
        raise AssertionError("only a signal breaks a validation off")

    def _validate_batch(self, indices: Sequence[int]) -> tuple[Terms, Errors]:
        """Return loss terms and errors of structures of the validation set."""
        state, data = self.state, self.data
        examples = [data.validation[index] for index in indices]
        batch = collate(examples).to(state.device, state.potential.dtype)
        prediction = state.potential(batch.graph, forces=data.has_forces, stress=data.has_stress)
        terms = loss_terms(prediction, batch.targets, self.config.loss)
        return terms, errors_of(prediction, batch.targets)

    def _judge(self, loss: float, errors: Errors, bad: Sequence[str]) -> tuple[float, bool]:
        """Keep the weights that were validated if they are the best; write the record."""
        state = self.state
        if bad:
            self._strike("validation", bad, {"loss": loss})
        best = state.consider(loss, self._last_epoch)
        if best:
            self._save_model(loss)
        state.validated_step = state.step
        self._record(loss, errors, best=best)
        return loss, best

    @property
    def _last_epoch(self) -> int:
        """Index of the epoch of the last step."""
        state = self.state
        return state.epoch if state.batch > 0 else max(state.epoch - 1, 0)

    def _weights(self) -> Float64[Tensor, " terms"]:
        """Return the weights of the loss in the epoch of the last step."""
        return weights_at(self.config.loss, self._last_epoch).to(self.state.device)

    def _averaged(self) -> AbstractContextManager[None]:
        average = self.state.average
        return nullcontext() if average is None else average.swapped_in()

    def _strike(self, where: str, sources: Sequence[str], values: Mapping[str, Any]) -> None:
        """Write down what was not finite; end the run if that happened too often."""
        state = self.state
        state.strikes += 1
        content = {
            "where": where,
            "epoch": state.epoch,
            "step": state.step,
            "structures": list(sources),
            **{name: str(value) for name, value in values.items()},
        }
        path = self.directory.dump_batch(f"not-finite-{state.step:010d}-{where}.json", content)
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        self.log.note(
            f"Warning: {where} {state.step} was not finite ({shown}) and was left out; "
            f"its structures are in {path} (strike {state.strikes} of {self.config.strikes})."
        )
        if state.strikes >= self.config.strikes:
            raise TrainingDiverged(
                f"{state.strikes} steps or validations were not finite, the last with "
                f"{', '.join(sources)}. Checkpoints and model are those from before. Look at the "
                "labels and distances in these structures, lower optimiser.rate, or set "
                "optimiser.clip; strikes says how many are borne."
            )

    def _out_of_memory(self, examples: Examples, indices: Sequence[int]) -> str:
        """Write down the batch that did not fit into memory; return the message."""
        state, limit = self.state, self.config.batch
        where = "step" if examples is self.data.training else "validation"
        members = [examples.size(index) for index in indices]
        content = {
            "where": where,
            "epoch": state.epoch,
            "step": state.step,
            "structures": [asdict(member) for member in members],
        }
        path = self.directory.dump_batch(f"out-of-memory-{state.step:010d}-{where}.json", content)
        return batch_message(f"{where} {state.step}", members, limit, path)

    def _record(self, valid_loss: float | None, errors: Errors, *, best: bool) -> None:
        """Write down what the epoch came to."""
        state = self.state
        seen = bool(state.terms.counts.sum() > 0)
        state.seconds = time.monotonic() - self._started
        record = EpochRecord(
            epoch=self._last_epoch,
            step=state.step,
            seconds=state.seconds,
            rate=state.learning_rate,
            train_loss=state.terms.value(self._weights()).item() if seen else None,
            valid_loss=valid_loss,
            rmse=errors.rmse(),
            mae=errors.mae(),
            best=best,
        )
        state.records += 1
        self.log.epoch(record)

    def _save(self) -> Path:
        """Write a checkpoint of the whole state."""
        state = self.state
        state.seconds = time.monotonic() - self._started
        content = {**self._header, "progress": state.progress()}
        path = self.directory.save(state.step, content, state.tensors())
        self._saved_at, self._saved_step = time.monotonic(), state.step
        return path

    def _save_model(self, loss: float) -> None:
        """Write the weights that the potential has now as the model of the run."""
        state = self.state
        position = {"epoch": self._last_epoch, "valid_loss": loss}
        save_model(self.directory.model_path, state.potential, {**self._provenance, **position})
