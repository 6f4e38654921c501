"""Kernels give the same bits however they are threaded, and survive forks and lack of memory."""

import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.kernels.test_convolution import build_table
from tests.program.cases import STRUCTURES, graph_of, potential

from multiace.kernels.cpu import convolution
from multiace.kernels.cpu.library import KernelLibrary, library
from multiace.kernels.cpu.threads import OwnThreads
from multiace.kernels.cpu.threads import threads as threads_of_kernels
from multiace.kernels.operations.convolution import CONVOLUTION
from multiace.program import Plan

pytestmark = needs_compiled
N_NODES, N_EDGES, N_PAIRS, N_HIDDEN = 60, 700, 350, 8


@pytest.fixture(autouse=True)
def threads():
    """Leave torch's number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def arguments():
    table = build_table("unequal_channels")
    random = torch.Generator().manual_seed(0)
    sizes = (
        (N_NODES, table.irreps_in.dim),
        (N_EDGES, (table.l_max + 1) ** 2),
        (N_PAIRS, N_HIDDEN),
        (1, N_HIDDEN, table.n_weights),
    )
    tensors = [torch.randn(size, generator=random) for size in sizes]
    ends = torch.randint(0, N_NODES, (2, N_EDGES), generator=random)
    receivers = ends[1].sort().values
    pairs = torch.randperm(N_EDGES, generator=random) % N_PAIRS
    return (*tensors, None, ends[0], receivers, pairs, table.encoding, table.irreps_out.dim)


def compute(arguments):
    """The value, the gradients and their tangents, as one list."""
    inputs, constants = arguments[:4], arguments[4:]
    (value,) = convolution.PASSES.forward(*arguments)
    cotangent = torch.cos(value)
    first = convolution.PASSES.backward([True] * 4, cotangent, *arguments)
    dots = [torch.sin(x) for x in inputs]
    second = convolution.PASSES.double_backward([True] * 5, *dots, cotangent, *inputs, *constants)
    return [value, *first, *second]


def equal(found, expected) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_run_gives_the_same_bits(arguments, n_threads):
    torch.set_num_threads(n_threads)
    first = compute(arguments)
    assert all(equal(compute(arguments), first) for _ in range(20))


def test_values_do_not_depend_on_the_number_of_threads(arguments):
    torch.set_num_threads(1)
    (alone,) = convolution.PASSES.forward(*arguments)
    torch.set_num_threads(5)
    (together,) = convolution.PASSES.forward(*arguments)
    assert torch.equal(alone, together)


def test_as_many_threads_work_as_torch_has(arguments):
    def after(n_threads: int) -> int:
        torch.set_num_threads(n_threads)
        convolution.PASSES.forward(*arguments)
        return len(os.listdir("/proc/self/task"))

    six = after(6)
    assert [after(n) - six for n in (8, 9, 3)] == [2, 3, 3]  # those that there are stay


def test_threads_that_a_job_does_not_need_sleep_on(arguments):
    def switches() -> dict[str, int]:
        found = {}
        for thread in os.listdir("/proc/self/task"):
            text = Path(f"/proc/self/task/{thread}/status").read_text()
            found[thread] = int(text.split("voluntary_ctxt_switches:")[1].split()[0])
        return found

    torch.set_num_threads(12)
    convolution.PASSES.forward(*arguments)
    torch.set_num_threads(2)
    time.sleep(0.2)  # until those of the first job have gone to sleep
    before = switches()
    for _ in range(200):
        convolution.PASSES.forward(*arguments)
        time.sleep(0.001)
    after = switches()
    woken = [thread for thread in before if after[thread] - before[thread] > 20]
    assert len(woken) <= 2  # this thread and one of the pool


def test_kernels_alone_use_the_threads_of_torch_that_they_take():
    torch.set_num_threads(3)
    with OwnThreads():
        with OwnThreads():
            pass
        assert (torch.get_num_threads(), threads_of_kernels()) == (1, 3)
    assert (torch.get_num_threads(), threads_of_kernels()) == (3, 3)
    with pytest.raises(KeyError), OwnThreads():
        raise KeyError
    torch.set_num_threads(2)
    assert threads_of_kernels() == 2


@pytest.mark.parametrize(("kernels", "expected"), [("cpu", (1, 3)), ("reference", (3, 3))])
def test_potentials_leave_the_threads_to_compiled_kernels(kernels, expected, monkeypatch):
    model, found = potential("mace", kernels=kernels), []
    graph, baseline = graph_of(model, STRUCTURES), type(model.model.baseline)
    forward = baseline.forward

    def recorded(self, *arguments):
        found.append((torch.get_num_threads(), threads_of_kernels()))
        return forward(self, *arguments)

    monkeypatch.setattr(baseline, "forward", recorded)
    torch.set_num_threads(3)
    model(graph)
    assert found == [expected]
    assert torch.get_num_threads() == 3


def test_calls_from_several_threads_of_python_do_not_mix(arguments):
    torch.set_num_threads(3)
    expected = compute(arguments)

    def work(_: int) -> bool:
        torch.set_num_threads(3)
        return all(equal(compute(arguments), expected) for _ in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_a_forked_process_computes_with_threads_of_its_own(arguments):
    torch.set_num_threads(3)
    expected = compute(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        child = os.fork()
    if child == 0:
        (value,) = convolution.PASSES.forward(*arguments)
        os._exit(0 if torch.equal(value, expected[0]) else 1)
    for _ in range(600):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the forked process hangs")
    assert status == 0
    assert equal(compute(arguments), expected)


@pytest.mark.parametrize("n_threads", [1, 4])
def test_lack_of_memory_is_an_error_that_one_survives(arguments, n_threads):
    torch.set_num_threads(n_threads)
    expected = compute(arguments)
    sizes, indices = convolution.fields(*arguments)
    named = indices | dict(zip(CONVOLUTION.inputs, arguments, strict=False))
    pointers = {name: x.data_ptr() for name, x in named.items() if x is not None}
    call = convolution.Arguments(n_threads=n_threads, **sizes, **pointers)
    call.pooled = expected[0].clone().data_ptr()
    call.knots = call.senders  # no hidden features are read,
    call.hidden_gradient = call.pooled  # but each thread makes room for their gradients
    call.n_hidden = 2**44
    with pytest.raises(MemoryError, match="convolution_forward ran out of memory"):
        library().call("convolution_forward", torch.float32, call)
    assert equal(compute(arguments), expected)


def test_a_plan_follows_the_number_of_threads(monkeypatch):
    used, entry_point = [], KernelLibrary.entry_point

    def recorded(self, name, *signature):
        if name == "multiace_set_threads":
            return lambda _, n_threads: used.append(n_threads)
        return entry_point(self, name, *signature)

    monkeypatch.setattr(KernelLibrary, "entry_point", recorded)
    model = potential("mace", kernels="cpu")
    plan, graph = Plan(model), graph_of(model, STRUCTURES)
    for n_threads in (1, 3, 2):
        torch.set_num_threads(n_threads)
        plan.evaluate(graph)
        assert used[-1] == n_threads
