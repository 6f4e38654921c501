"""Runs that earlier versions of the file format began go on as they would have gone on then."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.training import runs
from tests.training.make_files import FILES, WHOLE

from multiace.checkpoint.tensor_file import FORMAT_VERSION
from multiace.training import read_config, train

VERSIONS = sorted(path.name for path in FILES.glob("v*"))
TOLERANCE = 1e-8
"""Relative, float64: processors round differently."""


def test_every_format_version_has_a_run():
    assert sorted(VERSIONS) == [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_run_goes_on(tmp_path, version):
    out = tmp_path / "run"
    shutil.copytree(FILES / version, out)
    data = f"data.train={out / 'train.xyz'}"
    config = read_config(out / "config.yaml", [f"epochs={WHOLE}", f"out={out}", data])
    train(config, resume=True, progress="none")
    expected = [json.loads(line) for line in (out / "expected.jsonl").read_text().splitlines()]
    for found, record in zip(runs.metrics(out), expected, strict=True):
        for name in ("epoch", "step", "best"):
            assert found[name] == record[name]
        for name in ("train_loss", "valid_loss", "rate"):
            assert found[name] == pytest.approx(record[name], rel=TOLERANCE)
