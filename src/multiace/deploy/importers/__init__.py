"""Models of other codes as Designs with weights."""
