"""Potentials in the simulation codes that people run."""
