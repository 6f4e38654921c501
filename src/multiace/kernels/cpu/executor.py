"""The executor of programs in C++, through its C interface (csrc/include/multiace.h)."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from multiace.kernels.cpu.library import library, pointer
from multiace.kernels.cpu.threads import threads

_ERRORS: dict[int, type[Exception]] = {
    1: MemoryError,
    2: RuntimeError,
    3: IndexError,
    4: ValueError,
    5: RuntimeError,
}
"""What the codes of multiace.h are raised as."""

_INT, _POINTER = ctypes.c_int64, ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "last_error": (ctypes.c_char_p, ()),
    "open_bytes": (ctypes.c_int, (_POINTER, ctypes.c_size_t, _POINTER)),
    "close": (None, (_POINTER,)),
    "n_terms": (_INT, (_POINTER,)),
    "number_bytes": (_INT, (_POINTER,)),
    "features_width": (_INT, (_POINTER, _INT)),
    "set_threads": (None, (_POINTER, _INT)),
    "bind": (ctypes.c_int, (_POINTER, _INT, _INT, _INT, *4 * (_POINTER,))),
    "begin": (ctypes.c_int, (_POINTER, _POINTER, ctypes.c_int)),
    "forward_layer": (ctypes.c_int, (_POINTER, _INT)),
    "features": (_POINTER, (_POINTER, _INT)),
    "energies": (ctypes.c_int, (_POINTER, _POINTER, _POINTER)),
    "reverse_layer": (ctypes.c_int, (_POINTER, _INT)),
    "feature_gradients": (_POINTER, (_POINTER, _INT)),
    "gradient": (ctypes.c_int, (_POINTER, _POINTER)),
    "evaluate": (ctypes.c_int, (_POINTER, _POINTER, _INT, *6 * (_POINTER,))),
}
"""Name without `multiace_` -> type of the result, types of the arguments."""


class Executor:
    """Runs a program on the CPU, with as many threads as torch; one thread may call at a time.

    `bind` comes first; then `evaluate`, or the calls of `multiace.program.Plan`. After an error it
    must be bound again.

    Args:
        program: bytes of a program file.

    Raises:
        ValueError: the bytes are no program that this version can run.
    """

    def __init__(self, program: bytes) -> None:
        self._functions = {
            name: library().entry_point(f"multiace_{name}", *signature)
            for name, signature in _FUNCTIONS.items()
        }
        self._address, self._n_threads = ctypes.c_void_p(), 0
        self._call("open_bytes", program, len(program), ctypes.byref(self._address), opened=False)
        weakref.finalize(self, self._functions["close"], self._address)
        self._dtype = {4: ctypes.c_float, 8: ctypes.c_double}[self._get("number_bytes")]
        self._n_terms = self._get("n_terms")
        self._n_nodes = self._n_owned = self._n_edges = 0

    def _get(self, name: str, *arguments: Any) -> Any:
        return self._functions[name](self._address, *arguments)

    def _call(self, name: str, *arguments: Any, opened: bool = True) -> None:
        if opened:
            if self._n_threads != threads():
                self._n_threads = threads()
                self._get("set_threads", self._n_threads)
            arguments = (self._address, *arguments)
        code = self._functions[name](*arguments)
        if code:
            self._fail(code)

    def _fail(self, code: int) -> None:
        raise _ERRORS[code](self._functions["last_error"]().decode(errors="replace"))

    def bind(
        self,
        n_owned: int,
        species: Int64[Tensor, " nodes"],
        senders: Int64[Tensor, " edges"],
        receivers: Int64[Tensor, " edges"],
        reverse: Int64[Tensor, " edges"] | None,
    ) -> None:
        """Copy nodes and edges.

        Args:
            n_owned: the first nodes, which are not ghosts.
            species: of each node, as position in the elements of the program.
            senders: j of each edge.
            receivers: i of each edge, an owned node.
            reverse: the opposite of each edge, for radial functions once a pair; None: for every
                edge.

        Raises:
            IndexError: an index of a node, edge or element that does not exist.
        """
        indices = (species, senders, receivers, reverse)
        kept = [None if x is None else x.contiguous() for x in indices]
        self._n_nodes, self._n_owned, self._n_edges = len(species), n_owned, len(senders)
        self._call("bind", self._n_nodes, n_owned, self._n_edges, *map(pointer, kept))

    def begin(self, edge_vectors: Float[Tensor, "edges 3"], gradients: bool) -> None:
        """Evaluate what no layer changes."""
        self._call("begin", pointer(self._double(edge_vectors)), int(gradients))

    def forward_layer(self, t: int) -> None:
        """Evaluate h^(t) of owned nodes."""
        self._call("forward_layer", t)

    def features(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return the memory of h^(t), until nodes and edges are bound again."""
        return self._memory("features", t)

    def energies(self) -> Float64[Tensor, "owned terms"]:
        """Return the terms of each energy."""
        terms = _empty(self._n_owned, self._n_terms)
        self._call("energies", None, pointer(terms))
        return terms

    def reverse_layer(self, t: int) -> None:
        """Add what layer t contributes to the gradients."""
        self._call("reverse_layer", t)

    def feature_gradients(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return the memory of dE/dh^(t), until nodes and edges are bound again."""
        return self._memory("feature_gradients", t)

    def gradient(self) -> Float64[Tensor, "edges 3"]:
        """Return dE/d(edge vector)."""
        gradient = _empty(self._n_edges, 3)
        self._call("gradient", pointer(gradient))
        return gradient

    def evaluate(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        structure_of_node: Int64[Tensor, " nodes"],
        n_structures: int,
        *,
        forces: bool,
        virial: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """Evaluate structures without ghosts.

        Returns:
            Energy of structures, energies of nodes, terms of structures (eV); forces (eV/Å) and
            virial (eV) if wanted.

        Raises:
            IndexError: a structure that does not exist.
        """
        n_nodes, n_terms = self._n_nodes, self._n_terms
        energy, energies = _empty(n_structures), _empty(n_nodes)
        contributions = _empty(n_structures, n_terms)
        of_nodes = _empty(n_nodes, 3) if forces else None
        of_strain = _empty(n_structures, 3, 3) if virial else None
        vectors, structures = self._double(edge_vectors), structure_of_node.contiguous()
        results = (energies, energy, contributions, of_nodes, of_strain)
        arguments = (pointer(vectors), n_structures, pointer(structures), *map(pointer, results))
        self._call("evaluate", *arguments)
        return energy, energies, contributions, of_nodes, of_strain

    def _double(self, edge_vectors: Tensor) -> Tensor:
        """Return edge vectors as C takes them."""
        if edge_vectors.shape != (self._n_edges, 3):
            raise ValueError(
                f"edge_vectors are {tuple(edge_vectors.shape)}, but {self._n_edges} edges are "
                f"bound. Give ({self._n_edges}, 3)."
            )
        return edge_vectors.detach().double().contiguous()

    def _memory(self, name: str, t: int) -> Tensor:
        """Return rows of all nodes that C owns; they keep the executor alive."""
        address = self._get(name, t)
        width = self._get("features_width", t)
        if address is None and (self._n_nodes or not width):
            self._fail(5)
        buffer = (self._dtype * (self._n_nodes * width)).from_address(address or 0)
        buffer.executor = self
        return torch.from_numpy(np.ctypeslib.as_array(buffer).reshape(self._n_nodes, width))


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float64)
