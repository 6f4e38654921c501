"""Recipes are read strictly, and what is wrong is said in their own words."""

import pytest

from multiace.data.make import RecipeError, make_recipe, read_recipe, recipe_as_yaml

WATER = {"structure": "molecule:H2O", "sets": {"atoms": {"kind": "isolated_atoms"}}}


def with_set(**content):
    return {"structure": "molecule:H2O", "sets": {"one": content}}


def test_a_recipe_in_yaml_is_read_back_as_written(tmp_path):
    recipe = make_recipe(
        {
            **WATER,
            "method": {"name": "GFN1-xTB", "charge": 1},
            "sets": {
                "hot": {"kind": "md", "temperatures": 600, "frames": 10},
                "bend": {"kind": "angle", "atoms": [1, 0, 2], "relax": True},
                "near": {"kind": "dimers", "pairs": ["O-H"], "multiplicities": {"H-O": 4}},
            },
        }
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_as_yaml(recipe))
    assert read_recipe(path) == recipe
    assert recipe.sets["hot"].temperatures == (600.0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**WATER, "strcture": "x"}, "'strcture' is not an option. Did you mean 'structure'?"),
        ({"structure": "molecule:H2O"}, "'sets' is missing"),
        ({**WATER, "method": {"name": "PBE"}}, "method.name must be 'GFN2-xTB' or 'GFN1-xTB'"),
        (with_set(kind="mdd"), "sets.one.kind must be one of md, .* Did you mean 'md'?"),
        (with_set(kind="md", frames=5), "'sets.one.temperatures' is missing: K; each gets"),
        (
            with_set(kind="md", temperatures=[-1], frames=5),
            "sets.one: temperatures.*greater than 0",
        ),
        (with_set(kind="md", temperatures=[300], frames=2), "trajectories must be at most frames"),
        (with_set(kind="bond", atom=[0, 1]), "'sets.one.atom' is not an option.*'atoms'"),
        (with_set(kind="bond", atoms=[1, 1]), "atoms must all be different"),
        (with_set(kind="dimers", pairs=["OH"]), "a pair is two symbols, such as H-O, got 'OH'"),
        (with_set(kind="isolated_atoms", elements=["Hx"]), "'Hx' is not the symbol"),
        ({**WATER, "sets": {"a/b": {"kind": "isolated_atoms"}}}, "must be a file name"),
        ({**WATER, "sets": {"a": 3}}, "sets.a must hold `key: value` lines, got 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(content, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(content)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(RecipeError) as caught:
        make_recipe({**with_set(kind="mdd"), "seed": -1, "optimize": True})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"recipe\.yaml (is not valid YAML|must hold)"):
        read_recipe(path)
