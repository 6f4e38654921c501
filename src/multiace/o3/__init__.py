"""Irreducible representations of O(3) and the maps between them.

Nothing is imported here: `irreps` is pure Python, `clebsch_gordan`, `couplings` and `rotation`
need NumPy, and only `harmonics` needs torch.

Conventions shared by every file of this room:

- components of degree l are real, ordered m = -l..l, with z as the polar axis (l = 1: y, z, x);
- harmonics carry no Condon-Shortley sign and are component-normalised, sum_m Y_lm^2 = 2l + 1;
- an irrep of O(3) is a degree l and a parity p = +1 (even, "e") or -1 (odd, "o");
- irreps are ordered by l, then even before odd.
"""
