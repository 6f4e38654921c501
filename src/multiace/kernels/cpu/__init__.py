"""The kernels in C++, called through a C interface: vectorised, deterministic, without a compiler.

`csrc/` holds the code, one file an operation; each module here makes an operation of it that
PyTorch can differentiate. `library` finds and loads the build for this processor.
"""
