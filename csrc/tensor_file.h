// A safetensors file with a checksum: 8 bytes with the length of a JSON header, the header, the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace multiace {

struct Tensor {
  enum class Type { kFloat32, kFloat64, kInt64 } type;
  std::vector<int64_t> shape;
  int64_t size;      // numbers
  const char* data;  // not aligned
  int64_t n_bytes() const { return size * (type == Type::kFloat32 ? 4 : 8); }
};
using Tensors = std::map<std::string, Tensor>;

/// Tensors by their names, which point into the bytes; they fill the data without gaps. `__metadata__` is left out,
/// and so is the tensor `checksum`: the CRC-32 of all bytes, its own taken for zeros.
/// Throws ProgramError: the bytes are no such file, or not those that were written.
Tensors read_tensors(const char* bytes, size_t size);

/// CRC-32 as in zlib, of bytes after those that `before` is of.
uint32_t crc32(const char* bytes, size_t size, uint32_t before = 0);

}  // namespace multiace
