"""The one-particle basis: radial functions, harmonics and chemistry of one edge."""
