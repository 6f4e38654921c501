r"""What can be fetched by name: files, addresses, checksums, licences and citations.

An address names a commit, so the bytes behind it never change. `git_id` is the id git gives a file,
the SHA-1 of `blob SIZE\0` and its content. It stands here for the files whose ids were computed
from copies; the others are compared with the ids that the repository itself lists for the commit.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final, Literal

from multiace.data.errors import DataError


@dataclass(frozen=True)
class Repository:
    """A git repository at one commit.

    Args:
        name: owner and name on GitHub.
        commit: 40 hexadecimal digits.
    """

    name: str
    commit: str

    def address(self, path: str) -> str:
        """Return where a file of the repository is downloaded from."""
        return f"https://raw.githubusercontent.com/{self.name}/{self.commit}/{path}"

    @property
    def listing(self) -> str:
        """Where the ids of all its files are listed."""
        return f"https://api.github.com/repos/{self.name}/git/trees/{self.commit}?recursive=1"

    @property
    def page(self) -> str:
        """Where people look at it."""
        return f"https://github.com/{self.name}/tree/{self.commit}"


@dataclass(frozen=True)
class PublicFile:
    """One file of a public set.

    Args:
        name: what it is called here.
        path: where it is in the repository.
        n_bytes: its size there; for `rmd17` that of arrays that are not compressed.
        git_id: its id there; None where no copy was at hand.
        repository: where it comes from.
        format: `xyz` is kept as it is, `rmd17` is an archive of arrays that becomes extended XYZ.
    """

    name: str
    path: str
    n_bytes: int | None
    git_id: str | None
    repository: Repository
    format: Literal["xyz", "rmd17"] = "xyz"


@dataclass(frozen=True)
class PublicSet:
    """A named set of files with what must be said of it.

    Args:
        name: what `fetch` takes.
        description: what it is for.
        method: how its labels were computed.
        licence: of the data.
        citations: what to cite.
        files: what it holds.
    """

    name: str
    description: str
    method: str
    licence: str
    citations: tuple[str, ...]
    files: tuple[PublicFile, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes to download, files of unknown size left out."""
        return sum(file.n_bytes or 0 for file in self.files)


_BOTNET: Final = Repository("davkovacs/BOTNet-datasets", "29e6d467317e4b5967b7ea5cbee54de953fa0d45")
_RMD17: Final = Repository("andersx/rmd17-npz", "4f6bb0a186822c90d47cd98b7a27991fe0b3173b")

_UNIFIED: Final = (
    "I. Batatia et al., The design space of E(3)-equivariant atom-centred interatomic potentials, "
    "arXiv:2205.06643"
)
_3BPA: Final = (
    "D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021), doi:10.1021/acs.jctc.1c00647"
)
_CHRISTENSEN: Final = (
    "A. S. Christensen, O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020), "
    "doi:10.1088/2632-2153/abba6f"
)

_BOTNET_FILES: Final = """
    3BPA train_300K.xyz            1504880 93cdf96b0a4d8d81ca52889c4697a553471779f5
    3BPA train_mixedT.xyz          1504818 29a3993db824e41b1160193e447b99e1ffb1463a
    3BPA test_300K.xyz             5023260 -
    3BPA test_600K.xyz             6434399 -
    3BPA test_1200K.xyz            6437539 -
    3BPA test_dih.xyz              -       -
    3BPA iso_atoms.xyz             504     83cc59ef37e4f1526fb073ad12103a75af746b86
    acac train_300K.xyz            -       -
    acac train_600K.xyz            880112  -
    acac test_MD_300K.xyz          -       -
    acac test_MD_600K.xyz          -       -
    acac test_H_transfer.xyz       14306   -
    acac test_dihedral.xyz         43974   -
    acac isolated_atoms.xyz        455     -
    ethanol train.xyz              1115876 142e2973fd0348877538bc177bf947b8acccf3f8
    ethanol test_MD.xyz            1110863 716d0fa09a94e9b41e7379045a232588790a086e
    ethanol train_eth_meth.xyz     1330730 05f8a25e1201d9e1c1198d05fc29bf2643a11734
    ethanol test_eth_meth.xyz      1209446 667db7b0e6bff6ce30738cd7c8d7e53b88cacc5b
    ethanol test_H_removal.xyz     38519   cf0611c0755cad9bc6c899c3056f8c247dc16ea0
    ethanol test_norm_mode_874.xyz 24180   21c49424ef929d5884f4d9555f817bc14122e8a1
    ethanol test_norm_mode_3005.xyz 11769  17d369118a4e941d06d785431adeb3e20a7e8d6b
    ethanol test_dimers.xyz        110276  cff1d7012038da83ccdbb27ae9bee58e000fb34c
    ethanol isolated_atoms.xyz     608     91be284ab5b0a0d1b7acd2fe5d99b52e31c0740b
"""
"""Folder, file, bytes and git id of what `BOTNet-datasets` holds; - where not known."""

RMD17_MOLECULES: Final = {
    # name: number of atoms
    "aspirin": 21,
    "azobenzene": 24,
    "benzene": 12,
    "ethanol": 9,
    "malonaldehyde": 9,
    "naphthalene": 18,
    "paracetamol": 20,
    "salicylic": 16,
    "toluene": 15,
    "uracil": 12,
}
RMD17_SPLITS: Final = ("01", "02", "03", "04", "05")


def _botnet_files(folder: str) -> tuple[PublicFile, ...]:
    """Return the files of one folder of `BOTNet-datasets`."""
    rows = (line.split() for line in _BOTNET_FILES.strip().splitlines())
    return tuple(
        PublicFile(
            name=name,
            path=f"dataset_{folder}/{name}",
            n_bytes=None if n_bytes == "-" else int(n_bytes),
            git_id=None if git_id == "-" else git_id,
            repository=_BOTNET,
        )
        for in_folder, name, n_bytes, git_id in rows
        if in_folder == folder
    )


def _rmd17(molecule: str, split: str) -> PublicSet:
    """Return one molecule and split of rMD17, with the isolated atoms of the same method."""
    # float64 coordinates and two sets of forces, two energies and an index, of 1000 frames
    n_bytes = 1000 * (3 * 3 * 8 * RMD17_MOLECULES[molecule] + 3 * 8)
    files = tuple(
        PublicFile(
            name=f"{part}.xyz",
            path=f"rmd17-npz/rmd17_{molecule}_{part}_{split}.npz",
            n_bytes=n_bytes,
            git_id=None,
            repository=_RMD17,
            format="rmd17",
        )
        for part in ("train", "test")
    )
    atoms = tuple(file for file in _botnet_files("ethanol") if file.name == "isolated_atoms.xyz")
    return PublicSet(
        name=f"rmd17/{molecule}/{split}",
        description=f"{molecule}, split {split}: 1000 frames to train on and 1000 to test, with "
        "isolated atoms of the same method",
        method="PBE/def2-SVP",
        licence="CC0-1.0 (isolated atoms: MIT)",
        citations=(_CHRISTENSEN,),
        files=(*files, *atoms),
    )


PUBLIC_SETS: Final[dict[str, PublicSet]] = {
    data.name: data
    for data in (
        PublicSet(
            name="3bpa",
            description="a flexible drug-like molecule, trained at 300 K (or mixed temperatures), "
            "tested at 300, 600, 1200 K and along dihedrals",
            method="ωB97X/6-31G(d)",
            licence="MIT",
            citations=(_3BPA, _UNIFIED),
            files=_botnet_files("3BPA"),
        ),
        PublicSet(
            name="acac",
            description="acetylacetone, trained at 300 K, tested at 300 and 600 K, on a proton "
            "transfer and a dihedral",
            method="PBE-D3/def2-SVP",
            licence="MIT",
            citations=(_UNIFIED,),
            files=_botnet_files("acac"),
        ),
        PublicSet(
            name="ethanol",
            description="ethanol (and methanol), with O-H dissociation, normal modes and dimers",
            method="PBE/def2-SVP",
            licence="MIT",
            citations=(_UNIFIED, _CHRISTENSEN),
            files=_botnet_files("ethanol"),
        ),
        *(_rmd17(molecule, split) for molecule in RMD17_MOLECULES for split in RMD17_SPLITS),
    )
}
"""The public sets by name."""


def public_set(name: str) -> PublicSet:
    """Return a public set by name; `rmd17/ethanol/1` is `rmd17/ethanol/01`.

    Raises:
        DataError: there is none of that name.

    Example:
        >>> [file.name for file in public_set("rmd17/ethanol/1").files]
        ['train.xyz', 'test.xyz', 'isolated_atoms.xyz']
    """
    family, *rest = name.lower().split("/")
    if family == "rmd17" and len(rest) == 2 and rest[1].isdecimal():
        rest[1] = rest[1].zfill(2)
    found = PUBLIC_SETS.get("/".join([family, *rest]))
    if found is not None:
        return found
    if family == "rmd17":
        hint = (
            f"Name molecule and split, as in rmd17/ethanol/01: {', '.join(RMD17_MOLECULES)}; "
            f"{RMD17_SPLITS[0]} to {RMD17_SPLITS[-1]}."
        )
    else:
        close = difflib.get_close_matches(name.lower(), ["3bpa", "acac", "ethanol", "rmd17"], n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        hint += "There are 3bpa, acac, ethanol and rmd17/MOLECULE/SPLIT."
    raise DataError(f"{name!r} is not a public data set", value=name, hint=hint)
