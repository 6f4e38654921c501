"""Build, train, probe and run E(3)-equivariant atom-centred interatomic potentials."""
