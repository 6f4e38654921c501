"""Files of every version that was ever written load and predict what they did."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.checkpoint.make_files import FILES, predict

from multiace.checkpoint import load_model
from multiace.checkpoint.tensor_file import FORMAT_VERSION
from multiace.presets import PRESETS

TOLERANCE = 1e-10
"""Absolute, in eV, eV/Å and eV/Å^3, float64."""

PREDICTIONS = {path.stem.split("_")[0]: path for path in sorted(FILES.glob("*.json"))}
CASES = [(version, name) for version in PREDICTIONS for name in sorted(PRESETS)]


def test_every_format_version_has_files():
    assert sorted(PREDICTIONS) == [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize(("version", "name"), CASES)
def test_an_old_file_predicts_what_it_did(version, name):
    predicted = predict(load_model(FILES / f"{version}_{name}.safetensors"))
    expected = json.loads(PREDICTIONS[version].read_text())[name]
    for quantity, values in expected.items():
        np.testing.assert_allclose(
            predicted[quantity], values, rtol=0, atol=TOLERANCE, err_msg=quantity
        )
