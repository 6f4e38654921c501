"""The readable definition of every kernel, in PyTorch: any dtype, any order of derivative."""
