"""Programs that made the bundled reference data; each runs with `python -m`."""
