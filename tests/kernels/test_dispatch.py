"""The choice of kernels is said, and never made silently."""

import logging

import pytest

from multiace.kernels import dispatch
from multiace.kernels.dispatch import select_kernels


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        ValueError, match=r"'auto' or one of \['reference'\], got 'cuda'.*installed"
    ):
        select_kernels("cuda")


def test_auto_says_once_what_it_chose(caplog):
    dispatch._automatic.cache_clear()
    with caplog.at_level(logging.INFO, logger="multiace"):
        first, second = select_kernels("auto"), select_kernels()
    assert first is second
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert messages[0].startswith(f"kernels: {first.name} ")


def test_a_kernel_asked_for_by_name_is_the_one_returned():
    assert select_kernels("reference").name == "reference"
