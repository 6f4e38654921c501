"""Changes to a preset: groups are merged, per-layer values replaced."""

import pytest

from multiace.presets.build import merge


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
        ({"g": {"a": 1, "b": 2}}, {"g": {"a": 3}}, {"g": {"a": 3, "b": 2}}),
        ({"g": {"h": {"a": 1}}}, {"g": {"h": {"b": 2}}}, {"g": {"h": {"a": 1, "b": 2}}}),
        ({"k": {"rest": 1, "last": 2}}, {"k": {"rest": 3}}, {"k": {"rest": 3}}),
        ({"k": 1}, {"k": {"rest": 3}}, {"k": {"rest": 3}}),
        ({"k": {"rest": 3}}, {"k": [1, 2]}, {"k": [1, 2]}),
        ({"k": {"0": 4, "1": 2}}, {"k": {0: 8}}, {"k": {0: 8}}),
    ],
    ids=str,
)
def test_changes_are_merged_into_groups_and_replace_the_rest(base, changes, expected):
    before = {name: dict(v) if isinstance(v, dict) else v for name, v in base.items()}
    assert merge(base, changes) == expected
    assert base == before
