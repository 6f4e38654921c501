"""What griffe has to know of our code, loaded by the mkdocstrings handler (zensical.toml)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import Alias, Extension, GriffeLoader, Module, Object


class OurCode(Extension):
    """Read `Example:` as doctests, and a name that a package exports as what it exports.

    griffe reads doctests under `Examples:` only. Where `multiace.design` exports the function
    `describe` of its module `describe`, it takes the module for it.
    """

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: Any) -> None:
        """Rename sections, and put exported objects in the place of modules of the same name."""
        loader.resolve_aliases()  # by their path through the modules
        objects = list(_objects(pkg))
        for described in objects:
            if described.docstring is not None:
                text = described.docstring.value
                described.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", text)
        for module in [described for described in objects if isinstance(described, Module)]:
            for name in map(str, module.exports or []):
                home = module.members.get(name)
                if isinstance(home, Module) and isinstance(home.members.get(name), Object):
                    module.members[name] = Alias(name, home.members[name], parent=module)


def _objects(parent: Object) -> Iterator[Object]:
    """Yield an object and everything defined in it."""
    yield parent
    for child in parent.members.values():
        if isinstance(child, Object):
            yield from _objects(child)
