"""One value, a list, or first / rest / last: each gives one value a layer."""

import pytest
from pydantic import ValidationError

from multiace.design.per_layer import Apart, expand


@pytest.mark.parametrize(
    ("value", "layers", "expected"),
    [
        ("a", 3, ("a", "a", "a")),
        (["a", "b"], 2, ("a", "b")),
        (Apart(rest="r"), 3, ("r", "r", "r")),
        (Apart(first="f", rest="r"), 3, ("f", "r", "r")),
        (Apart(rest="r", last="l"), 3, ("r", "r", "l")),
        (Apart(first="f", rest="r", last="l"), 3, ("f", "r", "l")),
        (Apart(first="f", rest="r", last="l"), 2, ("f", "l")),
        (Apart(first="f", rest="r", last="l"), 1, ("l",)),
        (Apart(first="f", rest="r"), 1, ("f",)),
        ((8, 8), 2, ((8, 8), (8, 8))),
    ],
)
def test_value_expands_to_one_a_layer(value, layers, expected):
    assert expand(value, layers, "a.field") == expected


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]])
def test_list_of_another_length_is_refused_with_both_lengths(values):
    message = rf"update.linear lists {len(values)} values for 2 layers\. Give one value a layer"
    with pytest.raises(ValueError, match=message):
        expand(values, 2, "update.linear")


def test_apart_needs_the_rest_and_nothing_unknown():
    for fields in ({"first": 1}, {"rest": 1, "second": 2}):
        with pytest.raises(ValidationError):
            Apart[int].model_validate(fields)
