"""Published models as Designs."""

from collections.abc import Callable

from multiace.design import Design
from multiace.presets.botnet import botnet, botnet_ssh
from multiace.presets.mace import mace
from multiace.presets.nequip import nequip, nequip_linear

PRESETS: dict[str, Callable[..., Design]] = {
    "nequip": nequip,
    "nequip-linear": nequip_linear,
    "botnet": botnet,
    "botnet-ssh": botnet_ssh,
    "mace": mace,
}
"""Name on the command line and in YAML -> function that returns the Design."""

__all__ = ["PRESETS", "botnet", "botnet_ssh", "mace", "nequip", "nequip_linear"]
