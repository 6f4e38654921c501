from __future__ import annotations

import re

import pytest
from tests.study import tiny

from multiace.study import StudyError, read_study


def refused(tmp_path, text: str, **changes) -> str:
    """Return the message that a study is refused with, after the line it names was compared."""
    path = tiny.write(tmp_path, tiny.study_fields(tmp_path, **changes))
    with pytest.raises(StudyError) as error:
        read_study(path)
    message = str(error.value)
    found = re.search(rf"{re.escape(str(path))}:(\d+)", message)
    assert found, message
    assert text in path.read_text().splitlines()[int(found.group(1)) - 1], message
    return message


def test_a_grid_has_every_combination(tmp_path):
    study = tiny.study(tmp_path)
    assert [cell.levels for cell in study.cells] == [(p, r) for p in range(3) for r in range(2)]
    assert study.cells[3].name == "pooling: sqrt N, radial: linear"
    design = study.design(study.cells[3])
    assert (design.atomic_basis.pooling, design.radial.hidden) == ("sqrt_N", ())


def test_levels_may_be_named_by_numbers(tmp_path):
    rates = {0.01: {"optimiser.rate": 0.01}, 1e-7: {"optimiser.rate": 1e-7}}
    study = tiny.study(tmp_path, factors={"rate": rates})
    assert study.factors[-1].levels == ("0.01", "1e-07")


def test_the_short_form_of_a_factor_names_levels_by_their_values(tmp_path):
    study = tiny.study(tmp_path, factors={"layers": {"field": "design.layers", "values": [1, 2]}})
    layers = study.factors[-1]
    assert layers.levels == ("1", "2")
    assert layers.changes == ({"design.layers": 1}, {"design.layers": 2})


def test_a_factor_may_choose_whole_designs_and_another_a_field_of_them(tmp_path):
    factors = {
        "architecture": {
            name: {"design": {"preset": name, "size": "small"}} for name in ("nequip", "mace")
        },
        "channels": {"field": "design.channels", "values": [4, 8]},
    }
    fields = {**tiny.study_fields(tmp_path), "factors": factors}
    study = read_study(tiny.write(tmp_path, fields))
    designs = [study.design(cell) for cell in study.cells]
    assert [(d.channels, max(d.per_layer("product_basis.correlation"))) for d in designs] == [
        (4, 1),
        (8, 1),
        (4, 3),
        (8, 3),
    ]


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(tmp_path):
    message = refused(tmp_path, "evaluation:", evaluation={})
    assert "'evaluation' is not an option. Did you mean 'evaluations'?" in message


def test_an_unknown_field_of_a_level_is_named_with_its_line(tmp_path):
    change = {"design.updte.nonlinearity": "gate"}
    message = refused(tmp_path, "gate:", factors={"update": {"none": {}, "gate": change}})
    assert "factors.update.gate" in message
    assert "'design.updte'" in message


def test_a_wrong_value_of_a_level_is_named_with_its_line(tmp_path):
    message = refused(
        tmp_path, "bad:", factors={"layers": {"two": {}, "bad": {"design.layers": 0}}}
    )
    assert "greater than or equal to 1, got 0" in message


def test_a_wrong_field_of_the_base_is_named_with_its_line(tmp_path):
    message = refused(tmp_path, "enery:", base={"loss": {"enery": 1.0}})
    assert "'loss.enery' is not an option. Did you mean 'loss.energy'?" in message


def test_a_factor_with_one_level_is_refused(tmp_path):
    message = refused(tmp_path, "lonely:", factors={"lonely": {"only": {}}})
    assert "at least 2 items" in message


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"base": {"epochs": 3}}, "epochs:", "base.epochs clashes with the study"),
        ({"base": {"minutes": 1}}, "minutes:", "Write budget: {minutes: 1}"),
        ({"base": {"early_stopping": 9}}, "early_stopping:", "different budgets"),
        ({"budget": {"minutes": 1.0}}, "budget:", "got epochs and minutes"),
        ({"seeds": [1, 1]}, "", "hold a seed twice"),
        (
            {"factors": {"length": {"short": {"epochs": 1}, "long": {"epochs": 2}}}},
            "epochs: 1",
            "A factor cannot change 'epochs': the budget decides it",
        ),
    ],
)
def test_a_clash_is_refused_with_its_line(tmp_path, changes, line, words):
    if line:
        assert words in refused(tmp_path, line, **changes)
        return
    with pytest.raises(StudyError, match=words):
        tiny.study(tmp_path, **changes)


def test_a_missing_test_file_is_named_with_its_line(tmp_path):
    message = refused(
        tmp_path, "farther:", evaluations={"out_of_domain": {"farther": "nowhere.xyz"}}
    )
    assert "there is no file nowhere.xyz" in message


def test_two_factors_of_one_field_are_confounded(tmp_path):
    other = {"N": {}, "one": {"design.atomic_basis.pooling": "1"}}
    message = refused(tmp_path, "other:", factors={"other": other})
    assert "'pooling' and 'other' are confounded: both set design.atomic_basis.pooling" in message


def test_levels_that_change_nothing_are_refused(tmp_path):
    with pytest.raises(StudyError, match="are the same run: a level changes nothing there"):
        tiny.study(tmp_path, factors={"l": {"two": {}, "2": {"design.layers": 2}}})


def test_a_cell_without_meaning_is_named(tmp_path):
    factors = {
        "products": {"1": {}, "2": {"design.product_basis.correlation": 2}},
        "gate": {"no": {}, "gate": {"design.update.nonlinearity": "gate"}},
    }
    fields = {**tiny.study_fields(tmp_path), "factors": factors}
    with pytest.raises(StudyError, match="The cell 'products: 2, gate: gate' cannot be trained"):
        read_study(tiny.write(tmp_path, fields))


def test_an_array_that_does_not_fit_names_those_that_do(tmp_path):
    message = refused(tmp_path, "cells: 4", plan={"kind": "fractional", "cells": 4})
    assert "no orthogonal array of 4 cells for factors of 3 x 2 levels: 9 or" in message


def test_a_level_that_changes_several_fields_is_noted(tmp_path):
    change = {"design.radial.species": "sender", "design.atomic_basis.before_edges": "per_element"}
    study = tiny.study(tmp_path, factors={"chemistry": {"none": {}, "sender": change}})
    (note,) = study.notes
    assert "changes radial.species, atomic_basis.before_edges together" in note


def test_a_path_goes_from_one_design_to_another(tmp_path):
    plan = {"kind": "path", "to": {"preset": "nequip", "size": "small"}, "orders": "both"}
    fields = tiny.study_fields(tmp_path, base={"design": None})
    fields["base"]["design"] = {"preset": "botnet", "size": "small"}
    del fields["factors"]
    study = read_study(tiny.write(tmp_path, {**fields, "plan": plan}))
    n_steps = len(study.factors)
    assert len(study.cells) == 2 * n_steps
    ends = [study.design(study.cell((level,) * n_steps)).content_hash for level in (0, 1)]
    from multiace.presets import PRESETS

    assert ends == [PRESETS[name]("small").content_hash for name in ("botnet", "nequip")]


def test_a_path_that_leaves_out_a_difference_is_refused(tmp_path):
    fields = tiny.study_fields(tmp_path, base={"design": None})
    fields["base"]["design"] = {"preset": "botnet", "size": "small"}
    del fields["factors"]
    steps = {"gates": ["update.nonlinearity"]}
    plan = {"kind": "path", "to": {"preset": "nequip", "size": "small"}, "steps": steps}
    with pytest.raises(StudyError, match=r"plan\.steps leaves out .*readout\.kind"):
        read_study(tiny.write(tmp_path, {**fields, "plan": plan}))


def test_a_variant_replaces_the_plan_and_merges_the_base(tmp_path):
    variant = {"plan": {"kind": "one-at-a-time"}, "base": {"loss": {"forces": 5.0}}}
    fields = tiny.study_fields(tmp_path, variants={"small": variant})
    path = tiny.write(tmp_path, fields)
    study = read_study(path, "small")
    assert len(study.cells) == 4
    loss = study.training_config(study.cells[0], epochs=1).loss
    assert (loss.energy, loss.forces) == (1.0, 5.0)
    assert len(read_study(path).cells) == 6
    with pytest.raises(StudyError, match="has no variant 'smal'. Did you mean 'small'?"):
        read_study(path, "smal")


def test_a_search_refuses_pruning_by_two_numbers(tmp_path):
    plan = {"kind": "search", "trials": 3, "objectives": "error and cost", "pruning": True}
    with pytest.raises(StudyError, match="pruning compares runs by one number"):
        tiny.study(tmp_path, plan=plan)
