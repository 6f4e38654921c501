import pytest
from tests.data.fetch.server import serving


@pytest.fixture
def site(monkeypatch):
    """Return a server on this machine, reached directly."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as site:
        yield site
