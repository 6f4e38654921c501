"""The documentation site: pages of docs/, and references generated from the code."""
