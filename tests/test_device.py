"""Names of devices are checked against what the machine has."""

import pytest
import torch

from multiace.device import DeviceError, find_device


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that makes torch see a number of GPUs."""

    def pretend(n_devices: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)

    return pretend


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(gpus, name):
    gpus(0)
    with pytest.raises(DeviceError, match=f"device is {name}, but .* finds no CUDA device. Use cp"):
        find_device(name)


@pytest.mark.parametrize(
    ("n_devices", "message"),
    [(1, "there is one CUDA device. Use cuda:0."), (2, "there are 2 .* Use cuda:0 to cuda:1.")],
)
def test_a_number_beyond_the_last_gpu_is_refused(gpus, n_devices, message):
    gpus(n_devices)
    with pytest.raises(DeviceError, match=message):
        find_device(f"cuda:{n_devices}")
    assert find_device(f"cuda:{n_devices - 1}") == torch.device("cuda", n_devices - 1)


@pytest.mark.parametrize(("n_devices", "kind"), [(0, "cpu"), (1, "cuda")])
def test_auto_is_a_gpu_if_there_is_one(gpus, n_devices, kind):
    gpus(n_devices)
    assert find_device("auto").type == kind


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cpu:0x", "", "meta"])
def test_another_name_is_refused_with_those_there_are(name):
    with pytest.raises(DeviceError, match="must be auto, cpu, cuda or cuda:N, got"):
        find_device(name)


def test_a_device_of_torch_is_taken():
    assert find_device(torch.device("cpu")) == torch.device("cpu")
