"""Designs by name, from files and from mappings."""

import json

import pytest

from multiace.design import DesignError
from multiace.presets import botnet, mace
from multiace.presets.load import design_fields, load_design


def test_a_name_is_the_preset_in_the_size_of_the_paper():
    assert load_design("botnet") == botnet()
    assert load_design("botnet", size="small") == botnet("small")


@pytest.mark.parametrize("key", ["", "design: "])
def test_a_file_holds_fields_or_a_training_config(tmp_path, key):
    path = tmp_path / "design.yaml"
    fields = "{preset: mace, size: small, channels: 4, radial: {number: 5}}\n"
    path.write_text(key + fields if key else fields)
    expected = mace("small", channels=4, radial={"number": 5})
    assert load_design(str(path)) == expected
    assert load_design({"file": str(path), "cutoff": 4.5}) == mace(
        "small", channels=4, radial={"number": 5}, cutoff=4.5
    )


def test_a_json_file_of_plain_data_gives_the_design_back(tmp_path):
    path = tmp_path / "design.json"
    path.write_text(json.dumps(mace("small").to_dict()))
    assert load_design(str(path)) == mace("small")


@pytest.mark.parametrize("spelling", ["preset", "file"])
def test_fields_go_before_those_of_the_preset(tmp_path, spelling):
    fields = {"preset": "nequip", "size": "small", "update": {"activation": "tanh"}}
    design = load_design(fields)
    assert design.update.activation == "tanh"
    assert design.update.nonlinearity == "gate"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("botnett", r"'botnett' is neither a preset \(nequip, .*\) nor a YAML file. Did you mean"),
        ({"preset": "mace", "file": "a.yaml"}, "a preset .mace. and a file .a.yaml.. Give one"),
        ({"size": "small"}, "design.size is 'small', but there is no design.preset"),
    ],
)
def test_what_names_no_design_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        design_fields(content)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "product_basis: {corelation: 2}",
            "'product_basis.corelation' is not a design option. "
            "Did you mean 'product_basis.correlation'?",
        ),
        ("presett: mace", "'presett' is not a design option. Did you mean 'preset'?"),
        ("cutoff: -4", "cutoff must be greater than 0, got -4."),
        ("update: {linear: {rest: all}}", "update.linear.rest must be 'none', 'shared' or"),
        ("channels: {rest: 4, second: 2}", "'channels.second' is not a design option."),
        ("radial: {bias: true}", "radial.bias with radial.envelope_on: basis gives"),
        ("channels: true", "channels: must be a whole number, got True."),
        ("layers: two", "layers must be an integer, got 'two'."),
        ("channels: [4, 4, 4]", "channels lists 3 values for 2 layers."),
    ],
)
def test_wrong_fields_of_a_file_are_refused_in_our_words(tmp_path, line, message):
    path = tmp_path / "design.yaml"
    path.write_text(f"{line}\n")
    with pytest.raises(DesignError) as error:
        load_design(str(path))
    assert str(error.value).startswith(message)
    assert "pydantic" not in str(error.value)


def test_everything_that_is_wrong_with_a_design_is_said_at_once():
    with pytest.raises(DesignError) as error:
        load_design({"preset": "mace", "cutof": 4, "layers": 0})
    assert len(str(error.value).splitlines()) == 2


def test_a_file_without_fields_is_refused(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match="empty.yaml holds no fields of a Design"):
        load_design(str(path))
