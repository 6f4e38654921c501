from tests.data.fetch.conftest import site

__all__ = ["site"]
