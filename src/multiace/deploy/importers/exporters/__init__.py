"""Scripts that run in the interpreter of another code and write neutral files of its models."""
