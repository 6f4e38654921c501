"""What makes the golden files needs the environments of other codes."""

collect_ignore = ["make"]
