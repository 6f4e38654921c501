"""Named public data sets, from their own addresses at pinned commits."""

from multiace.data.fetch.catalogue import PUBLIC_SETS, PublicFile, PublicSet, public_set
from multiace.data.fetch.download import FetchError
from multiace.data.fetch.fetch import Fetched, cache_directory, fetch

__all__ = [
    "PUBLIC_SETS",
    "FetchError",
    "Fetched",
    "PublicFile",
    "PublicSet",
    "cache_directory",
    "fetch",
    "public_set",
]
