"""Read a study from YAML, and refuse what cannot work before anything runs, with the line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from multiace.data import DataError
from multiace.data.bundled import data_path
from multiace.design import Design, differences
from multiace.design.errors import error_messages
from multiace.presets.build import merge
from multiace.presets.load import design_fields, load_design
from multiace.study import arrays
from multiace.study.config import Path as PathPlan
from multiace.study.config import StudyConfig
from multiace.study.errors import Places, StudyError
from multiace.study.factors import RESERVED, Factor, check_factors, compound_levels
from multiace.study.model_matrix import identify
from multiace.study.probe_options import PROBES
from multiace.study.study import Cell, Study, cell_name
from multiace.training import ConfigError, make_config
from multiace.training.read_config import parse_yaml

REPLACED = ("plan", "budget", "seeds", "evaluations", "base.data", "title", "out")
"""Parts that a variant replaces as a whole; in others it changes what it names."""

MAX_ERRORS = 10


def read_study(path: str | Path, variant: str | None = None) -> Study:
    """Read and check a study file.

    Args:
        path: the YAML file.
        variant: name of one of its `variants`.

    Raises:
        StudyError: all that is wrong with a part of it, each with its key, line and rule.
        OSError: the file cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        content, lines = parse_yaml(text, str(path))
    except ConfigError as error:
        raise StudyError(str(error)) from None
    content, lines = _with_variant(content, lines, variant, str(path))
    return make_study(content, Places(str(path), lines))


def _with_variant(
    content: dict[str, Any], lines: dict[str, int], variant: str | None, name: str
) -> tuple[dict[str, Any], dict[str, int]]:
    variants = content.pop("variants", {})
    if variant is None:
        return content, lines
    if not isinstance(variants, Mapping) or variant not in variants:
        close = difflib.get_close_matches(variant, list(variants), n=1)
        there = f"It has {', '.join(variants)}." if variants else "It has none."
        hint = f"Did you mean {close[0]!r}?" if close else there
        raise StudyError(f"{name} has no variant {variant!r}. {hint}")
    changes = dict(variants[variant])
    for key in REPLACED:
        group, _, last = key.rpartition(".")
        if last in (changes.get(group, {}) if group else changes):
            if group:
                content[group] = {k: v for k, v in content[group].items() if k != last}
            else:
                content.pop(last, None)
            lines = {k: n for k, n in lines.items() if k != key and not k.startswith(f"{key}.")}
    prefix = f"variants.{variant}."
    lines |= {k.removeprefix(prefix): n for k, n in lines.items() if k.startswith(prefix)}
    return merge(content, changes), lines


def make_study(content: Mapping[str, Any], places: Places | None = None) -> Study:
    """Check plain data and return the study.

    Raises:
        StudyError: all that is wrong with a part of it.
    """
    places = places or Places()
    _check_probes(content, places)
    try:
        config = StudyConfig.model_validate(dict(content))
    except ValidationError as error:
        messages = error_messages(error, StudyConfig, content, places=places.all())
        more = [f"... and {len(messages) - MAX_ERRORS} more."] if len(messages) > MAX_ERRORS else []
        raise StudyError("\n".join(messages[:MAX_ERRORS] + more)) from None
    base = _base(config, places)
    if isinstance(config.plan, PathPlan):
        factors = _steps(config.plan, base, places)
    else:
        factors = tuple(
            Factor(name, tuple(levels), tuple(levels.values()))
            for name, levels in config.factors.items()
        )
        check_factors(factors, places)
    cells = [
        Cell(levels, cell_name(factors, levels, config.plan.kind))
        for levels in _cells(config, factors, places)
    ]
    is_search = config.plan.kind == "search"
    sizes = [len(factor.levels) for factor in factors]
    study = Study(
        config,
        base,
        factors,
        tuple(cells),
        None if is_search else identify([cell.levels for cell in cells], sizes),
        tuple(compound_levels(factors)),
        places,
    )
    _check_base(study)
    _check_levels(study)
    _check_cells(study)
    if not is_search:
        _refuse_confounding(study)
    check_files(study)
    return study


def _check_probes(content: Mapping[str, Any], places: Places) -> None:
    """Refuse options of probes, each in the words of its own probe."""
    evaluations = content.get("evaluations")
    named = evaluations.get("probes", {}) if isinstance(evaluations, Mapping) else {}
    problems = []
    for name, options in named.items() if isinstance(named, Mapping) else ():
        key = f"evaluations.probes.{name}"
        probe = options.get("probe") if isinstance(options, Mapping) else None
        if probe not in PROBES:
            close = difflib.get_close_matches(str(probe), PROBES, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(PROBES)}."
            what = f"names no probe: {probe!r}" if probe is not None else "names no probe"
            problems.append(f"{key} {what}. {hint}{places.at(key)}")
            continue
        try:
            PROBES[probe].model_validate(options)
        except ValidationError as error:
            start = f"{key}."
            lines = {k.removeprefix(start): p for k, p in places.all().items() if start in k}
            found = error_messages(
                error, PROBES[probe], options, places=lines, option=f"an option of {probe}"
            )
            problems += [f"{key}: {m}{'' if m.endswith(')') else places.at(key)}" for m in found]
    if problems:
        raise StudyError("\n".join(problems[:MAX_ERRORS]))


def _base(config: StudyConfig, places: Places) -> dict[str, Any]:
    """Return the training config of `base`, its file read and its design resolved."""
    own = dict(config.base)
    for field, reason in RESERVED.items():
        group, _, last = field.rpartition(".")
        holder = own.get(group, {}) if group else own
        if isinstance(holder, Mapping) and last in holder:
            key = f"base.{field}"
            clash = ""
            if field in ("epochs", "minutes"):
                clash = f" Write budget: {{{field}: {holder[last]}}}, or leave it out."
            raise StudyError(f"{key} clashes with the study: {reason}.{clash}{places.at(key)}")
    file = own.pop("file", None)
    if file is not None:
        try:
            from_file, _ = parse_yaml(Path(file).read_text(encoding="utf-8"), str(file))
        except (OSError, ConfigError) as error:
            raise StudyError(f"base.file: {error}{places.at('base.file')}") from None
        for field in RESERVED:
            group, _, last = field.rpartition(".")
            (from_file.get(group, {}) if group else from_file).pop(last, None)
        if "design" in own and "design" in from_file:
            from_file["design"] = _fields(from_file["design"], places)
        own = merge(from_file, own)
    if "design" in own:
        own["design"] = _fields(own["design"], places)
    return own


def _fields(design: Any, places: Places) -> Any:
    try:
        return design_fields(design)
    except (ValueError, OSError) as error:
        raise StudyError(f"base.design: {error}{places.at('base.design')}") from None


def _steps(plan: PathPlan, base: Mapping[str, Any], places: Places) -> tuple[Factor, ...]:
    """Return the steps of a path as factors with the levels `before` and `after`."""
    start = _checked(lambda: load_design(base.get("design", {})), "base.design", places)
    end = _checked(lambda: load_design(plan.to), "plan.to", places)
    values = {field: value for field, _, value in differences(start, end)}
    if not values:
        raise StudyError(
            "plan.to is the design of base: a path needs two designs that differ."
            f"{places.at('plan.to')}"
        )
    steps = plan.steps or {field: (field,) for field in values}
    named = [field for fields in steps.values() for field in fields]
    for name, fields in steps.items():
        for field in fields:
            if field not in values:
                close = difflib.get_close_matches(field, values, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise StudyError(
                    f"plan.steps.{name} names {field!r}, which is the same in both designs or no "
                    f"field of a design.{hint} They differ in {', '.join(values)}."
                    f"{places.at(f'plan.steps.{name}')}"
                )
            if named.count(field) > 1:
                raise StudyError(
                    f"plan.steps names {field!r} twice.{places.at(f'plan.steps.{name}')}"
                )
    missing = [field for field in values if field not in named]
    if missing:
        raise StudyError(
            f"plan.steps leaves out {', '.join(missing)}, in which the designs differ too. Add "
            f"them to a step.{places.at('plan.steps')}"
        )
    return tuple(
        Factor(name, ("before", "after"), ({}, {f"design.{f}": values[f] for f in fields}))
        for name, fields in steps.items()
    )


def _checked(make: Callable[[], Design], key: str, places: Places) -> Design:
    try:
        return make()
    except (ValueError, OSError) as error:
        raise StudyError(f"{key}: {error}{places.at(key)}") from None


def _cells(config: StudyConfig, factors: Sequence[Factor], places: Places) -> list[tuple[int, ...]]:
    sizes = [len(factor.levels) for factor in factors]
    plan = config.plan
    if plan.kind == "grid":
        return arrays.grid(sizes)
    if plan.kind == "one-at-a-time":
        return arrays.one_at_a_time(sizes)
    if plan.kind == "path":
        return arrays.path(len(factors), both=plan.orders == "both")
    if plan.kind == "fractional":
        try:
            return arrays.orthogonal_array(sizes, plan.cells)
        except StudyError as error:
            raise StudyError(f"plan.cells: {error}{places.at('plan.cells')}") from None
    return []


def _try_config(study: Study, cell: Cell, places: Mapping[str, str]) -> str | None:
    """Return what is wrong with the training config of a cell, if anything is."""
    content = study.training_fields(cell)
    # As many epochs as any run could have: rules about stages of the loss are for runs.
    content |= {"epochs": study.config.budget.epochs or 10**9, "out": "-"}
    try:
        make_config(content, places)
    except (ConfigError, OSError) as error:
        return str(error)
    return None


def _first(study: Study) -> Cell:
    return Cell((0,) * len(study.factors), "the first levels")


def _check_base(study: Study) -> None:
    """Refuse a base that is wrong whatever the factors do."""
    bare = Study(study.config, study.base, (), (), None)
    places = {
        key.removeprefix("base."): place
        for key, place in study.places.all().items()
        if key.startswith("base.")
    }
    problem = _try_config(bare, Cell((), "base"), places)
    if problem is not None:
        raise StudyError(f"base: {problem}")


def _check_levels(study: Study) -> None:
    """Refuse levels that are wrong beside the first levels of all other factors."""
    if study.config.plan.kind == "path":
        return  # a step may need the ones before
    problems = []
    for cell in arrays.one_at_a_time(study.sizes):
        changed_factor = next((f for f, level in enumerate(cell) if level), None)
        problem = _try_config(study, Cell(cell, ""), {})
        if problem is None:
            continue
        if changed_factor is None:
            raise StudyError(f"The first levels of the factors together: {problem}")
        factor = study.factors[changed_factor]
        key = f"factors.{factor.name}.{factor.levels[cell[changed_factor]]}"
        problems.append(f"{key}: {problem}{study.places.at(key)}")
    if problems:
        raise StudyError("\n".join(problems[:MAX_ERRORS]))


def _check_cells(study: Study) -> None:
    """Refuse combinations without meaning, and two cells that would be the same run."""
    seen: dict[str, Cell] = {}
    for cell in study.cells:
        problem = _try_config(study, cell, {})
        if problem is not None:
            way_out = (
                "Put fields that belong together into one step with plan.steps."
                if study.config.plan.kind == "path"
                else "Change the levels, or choose another plan."
            )
            key = "plan" if study.config.plan.kind == "path" else "factors"
            raise StudyError(
                f"The cell '{cell.name}' cannot be trained: {problem} {way_out}"
                f"{study.places.at(key)}"
            )
        config = study.training_config(cell, epochs=study.config.budget.epochs or 10**9)
        content = {**config.to_dict(), "design": config.design.content_hash}
        other = seen.setdefault(repr(content), cell)
        if other is not cell:
            raise StudyError(
                f"The cells '{other.name}' and '{cell.name}' are the same run: a level changes "
                f"nothing there. Take it out.{study.places.at('factors')}"
            )


def _refuse_confounding(study: Study) -> None:
    assert study.identification is not None
    for group in study.identification.confounded:
        names = " and ".join(repr(study.factors[factor].name) for factor in group)
        raise StudyError(
            f"The plan confounds {names}: no difference between cells tells their effects apart. "
            f"Take more cells, or fewer factors.{study.places.at('plan')}"
        )


def check_files(study: Study) -> None:
    """Refuse data files that do not exist, naming the line that asks for them.

    Raises:
        StudyError: all that are missing.
    """
    problems = []
    for key, file in _files(study):
        try:
            path = data_path(file)
            if not path.is_file():
                problems.append(f"{key}: there is no file {file}.{study.places.at(key)}")
        except DataError as error:
            problems.append(f"{key}: {error}{study.places.at(key)}")
    if problems:
        raise StudyError("\n".join(dict.fromkeys(problems)))


def _files(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the key and the name of every data file of a study."""
    for cell in study.cells or (_first(study),):
        data = study.training_config(cell, epochs=10**9).data
        for name in ("train", "valid", "isolated_atoms"):
            files = getattr(data, name)
            if isinstance(files, tuple):
                yield from ((f"base.data.{name}", file) for file in files)
    evaluations = study.config.evaluations
    for group in ("in_domain", "out_of_domain"):
        for name, test in getattr(evaluations, group).items():
            yield from ((f"evaluations.{group}.{name}", file) for file in test.files)
    for name, scan in evaluations.scans.items():
        yield f"evaluations.scans.{name}", scan.file
    for name, probe in evaluations.probes.items():
        for option, file in (*probe.files, *probe.models):
            yield f"evaluations.probes.{name}.{option}", file
