"""One Multi-ACE layer: atomic basis, product basis and message, update."""
