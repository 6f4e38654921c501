"""Config files: what is read, and what is said of what is wrong."""

from __future__ import annotations

import pytest
import yaml
from tests.training import tiny

from multiace.design.errors import option_keys
from multiace.presets import PRESETS
from multiace.training import ConfigError, TrainingConfig, make_config, read_config

TEXT = """\
design: {preset: botnet, size: small, channels: 8}
data:
  train: train.xyz
  valid: 10
loss:
  energy: 1
  forces: 1e+1
optimiser: {rate: 1e-3}
epochs: 5
out: run
"""


@pytest.fixture
def path(tmp_path):
    """Return a config file."""
    (tmp_path / "run.yaml").write_text(TEXT)
    return tmp_path / "run.yaml"


def _replace(path, old: str, new: str):
    path.write_text(path.read_text().replace(old, new))
    return path


def test_a_file_gives_the_config_that_it_says(path):
    config = read_config(path)
    assert config.design == PRESETS["botnet"]("small", channels=8)
    assert config.data.train == ("train.xyz",)
    assert (config.loss.forces, config.optimiser.rate) == (10.0, 0.001)


def test_changes_go_before_the_file(path):
    config = read_config(
        path, ["optimiser.rate=1e-4", "design.channels=4", "data.tests={a: x.xyz}", "ema=null"]
    )
    assert config.optimiser.rate == 1e-4
    assert config.design.channels == 4
    assert config.data.tests == {"a": ("x.xyz",)}
    assert config.ema is None


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_design_can_be_the_name_of_a_preset(path, name):
    _replace(path, "{preset: botnet, size: small, channels: 8}", name)
    assert read_config(path).design == PRESETS[name]()
    assert read_config(path, ["design.size=small"]).design == PRESETS[name]("small")


def test_a_design_can_be_a_file_and_changes_to_it(path, tmp_path):
    (tmp_path / "design.yaml").write_text("{preset: mace, size: small, channels: 4}")
    _replace(path, "{preset: botnet, size: small,", f"{{file: {tmp_path}/design.yaml,")
    assert read_config(path).design == PRESETS["mace"]("small", channels=8)


def test_a_design_can_be_written_out(path):
    _replace(path, "{preset: botnet, size: small, channels: 8}", "{layers: 3, l_max: 1}")
    assert read_config(path).design.layers == 3


def test_what_is_written_is_read_back_equal(path):
    config = read_config(path).resolved()
    assert make_config(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def _error(path, *changes: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(path, changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("loss.enery=1", "'loss.enery' is not an option. Did you mean 'loss.energy'?"),
        ("los.energy=1", "'los' is not an option. Did you mean 'loss'?"),
        ("rate=1", "'rate' is not an option. Did you mean 'optimiser.rate'?"),
        ("design.chanels=4", "'design.chanels' is not an option. Did you mean 'design.channels'?"),
        ("design.radial.numbr=4", "Did you mean 'design.radial.number'?"),
        ("design.presett=mace", "Did you mean 'design.preset'?"),
        ("zzz=4", "'zzz' is not an option."),
        ("loss.second.enegy=4", "Did you mean 'loss.second.energy'?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(path, change, message):
    assert message in _error(path, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs=0", "epochs must be greater than or equal to 1, got 0"),
        ("epochs=2.5", "epochs must be an integer, got a number with a fractional part, got 2.5"),
        ("optimiser.rate=0", "optimiser.rate must be greater than 0, got 0"),
        ("optimiser.rate=fast", "optimiser.rate must be a number, got 'fast'"),
        ("optimiser.rate=.inf", "optimiser.rate must be a finite number, got inf"),
        ("loss.kind=mse", "loss.kind must be 'ef', 'weighted', 'ace', 'per_atom' or 'huber', got"),
        ("loss.energy=-1", "loss.energy must be greater than or equal to 0, got -1"),
        ("loss={energy: 0, forces: 0}", "energy, forces and stress are all 0"),
        ("design.cutoff=-4", "design.cutoff must be greater than 0, got -4"),
        ("design.l_max=9", "design.l_max must be less than or equal to 6, got 9"),
        ("design.channels=many", "design.channels must be"),
        ("design.preset=bot", "'bot' is neither a preset"),
        ("design.file=x.yaml", "has a preset (botnet) and a file (x.yaml). Give one of them."),
        ("data.valid=1.5", "data.valid must be"),
        ("data.valid=0", "data.valid must be"),
        ("data.train=[]", "data.train must"),
        ("data.energies={Xx: 1}", "'Xx' is not the symbol of a chemical element"),
        ("data.energies.H=.nan", "energies.H must be a finite number of eV"),
        ("batch={atoms: 5, edges: 5}", "limited by one of structures, atoms or edges"),
        ("device=gpu", "device must be text of the form '^(auto|cpu|cuda"),
        ("dtype=float16", "dtype must be 'float32' or 'float64', got 'float16'"),
        ("loss.second={epoch: 5, energy: 1, forces: 1}", "the run ends after 5 epochs"),
        ("optimiser.decayed=[a]", "no effect while optimiser.weight_decay is 0"),
        ("loss=3", "loss must be"),
        ("loss.energy_delta=0.5", "energy_delta is 0.5, but has no effect while kind is weighted"),
        ("schedule={name: cosine, factor: 0.5}", "no effect while name is cosine, only with plat"),
        ("schedule={name: exponential, patience: 5}", "patience is 5, but has no effect while"),
        ("schedule={name: plateau, epochs: 5}", "epochs is 5, but has no effect while name is"),
    ],
)
def test_a_wrong_value_is_named_with_the_rule(path, change, message):
    assert message in _error(path, change)


def test_isolated_atoms_that_nothing_asks_for_are_refused(path):
    message = _error(path, "data.isolated_atoms=a.xyz", "design.energy.reference=mean")
    assert "data.isolated_atoms has no effect while design.energy.reference is mean" in message


@pytest.mark.parametrize("name", ["constant", "plateau", "exponential", "cosine"])
def test_every_schedule_is_read_back_resolved(path, name):
    config = read_config(path, [f"schedule.name={name}"]).resolved()
    assert make_config(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_the_line_of_the_file_is_named(path):
    _replace(path, "  energy: 1", "  enery: 1")
    assert f"({path}:6)" in _error(path)


def test_a_missing_key_is_described(path):
    _replace(path, "epochs: 5\n", "")
    assert "'epochs' is missing: Passes over the training set." in _error(path)


def test_a_misspelt_key_is_not_also_missing(path):
    _replace(path, "epochs", "epoch")
    assert _error(path) == f"'epoch' is not an option. Did you mean 'epochs'? ({path}:9)"


def test_everything_that_is_wrong_is_said_at_once(path):
    message = _error(path, "epochs=0", "loss.enery=1", "dtype=half")
    assert len(message.splitlines()) == 3


def test_a_key_given_twice_is_refused_with_both_lines(path):
    path.write_text(path.read_text() + "epochs: 7\n")
    assert _error(path) == f"{path}:11: 'epochs' was already given in line 9. Keep one of them."


@pytest.mark.parametrize("text", ["[1, 2]", "text", "", "a: [", "a: !!python/name:os.system"])
def test_what_is_no_mapping_is_refused(path, text):
    path.write_text(text)
    assert str(path) in _error(path)


def test_yaml_that_would_run_code_runs_none(path, tmp_path):
    marker = tmp_path / "marker"
    path.write_text(f"out: !!python/object/apply:os.system ['touch {marker}']")
    assert "not valid YAML" in _error(path)
    assert not marker.exists()


@pytest.mark.parametrize("change", ["epochs", "=3", "a..b=3", "epochs=["])
def test_a_malformed_change_is_refused(path, change):
    assert "--set" in _error(path, change)


def test_every_option_says_what_it_is():
    def undescribed(model, prefix=""):
        for name, field in model.model_fields.items():
            if not field.description:
                yield prefix + name

    assert not list(undescribed(TrainingConfig))
    assert len(set(option_keys(TrainingConfig))) > 70


def test_seeds_of_streams_come_from_the_seed_unless_given():
    config = make_config(
        {
            "design": "mace",
            "data": {"train": "a"},
            "epochs": 1,
            "out": "o",
            "seed": 3,
            "seeds": {"split": 0},
        }
    )
    streams = ("split", "order", "initialisation")
    assert [config.seed_of(stream) for stream in streams] == [0, 3, 3]


def test_a_config_without_design_takes_that_of_the_model(path, tmp_path):
    from multiace.checkpoint import save_model

    save_model(tmp_path / "model", tiny.potential())
    _replace(path, "design: {preset: botnet, size: small, channels: 8}\n", "")
    assert read_config(path, from_model=tmp_path / "model").design == tiny.design()


def test_a_radial_grid_needs_radial_functions_of_the_distance_alone(path):
    changes = ["radial_grid=64", "design.radial.transform=agnesi"]
    with pytest.raises(ConfigError, match=r"radial_grid is 64.*agnesi.*set the transform to none"):
        read_config(path, changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a0: &a0 {k: 1}\n" + "".join(
            f"a{i + 1}: &a{i + 1} {{{', '.join(f'k{j}: *a{i}' for j in range(10))}}}\n"
            for i in range(12)
        ), "more than 100,000 keys and values"),
        ("a0: &a0 [x]\n" + "".join(
            f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12)
        ), "more than 100,000 keys and values"),
        ("a: &a {b: *a}\n", "more than 100,000 keys and values"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("a: " + "{b: " * 100_000, "nested too deeply"),
        ("a: !!python/object/apply:os.system ['touch hacked']\n", "not valid YAML"),
        ("a: !!python/name:os.system\n", "not valid YAML"),
    ],
    ids=["mappings", "lists", "itself", "brackets", "braces", "call", "name"],
)  # fmt: skip
def test_hostile_yaml_is_refused_at_once(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "run.yaml")
    assert not (tmp_path / "hacked").exists()
