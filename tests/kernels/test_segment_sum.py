"""Segment sums against a loop."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.kernels.segment_sum import segment_sum

# name -> segments, number of segments
CASES = {
    "typical": ([0, 0, 1, 3, 3, 3], 5),
    "one_row": ([1], 2),
    "no_rows": ([], 3),
    "not_sorted": ([2, 0, 2, 1], 3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("layout", [lambda x: x, non_contiguous], ids=["contiguous", "strided"])
def test_each_segment_is_the_sum_of_its_rows(dtype, case, shape, layout):
    segments, n_segments = CASES[case]
    indices = {
        "segments": torch.tensor(segments, dtype=torch.int64),
        "n_segments": n_segments,
    }
    kernel, loop = partial(segment_sum, **indices), partial(loops.segment_sum, **indices)
    values = layout(random(len(segments), *shape, dtype=dtype))
    assert_same_to_second_order(kernel, loop, [values])


def test_derivatives_of_the_segment_sum_are_finite_differences():
    function = partial(segment_sum, segments=torch.tensor([0, 0, 2]), n_segments=3)
    values = random(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)
