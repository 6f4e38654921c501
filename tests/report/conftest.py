"""The sample page, written once."""

from pathlib import Path

import pytest

from multiace.report import write_page

from .sample import page


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """Return the HTML file of the sample page, with its figures beside it."""
    return write_page(page(), tmp_path_factory.mktemp("page"))
