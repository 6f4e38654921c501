"""Structures on the disk, read one at a time: HDF5 files made from extended XYZ."""

from multiace.data.store.header import Header, Keys, SourceFile
from multiace.data.store.prepare import fresh_store, is_store, prepare_store
from multiace.data.store.store import Store

__all__ = ["Header", "Keys", "SourceFile", "Store", "fresh_store", "is_store", "prepare_store"]
