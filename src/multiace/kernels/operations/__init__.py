"""The operations every design is made of: module, schema and definition in PyTorch, one a file."""
