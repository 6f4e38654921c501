#pragma once

extern "C" {
/// Version of the interface, `ABI_VERSION` of multiace.kernels.cpu.library.
int multiace_abi_version();
/// Best build this processor can run: 0 baseline, 1 avx2, 2 avx512.
int multiace_instruction_set();
/// Digest of the sources this build was made from, see `source_digest` in that module.
const char* multiace_sources();
}
