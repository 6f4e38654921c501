// What a convolution reads of its table: paths, their couplings, and chunks of paths.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "convolution.h"

namespace multiace::convolution {

struct Path {
  int64_t dim_in, dim_out;      // 2 l + 1 of h and of A
  int64_t in, channels;         // where h's irrep starts in a row, and its channels
  int64_t out, out_channels;    // where the path starts in a row of A, and the channels of its irrep
  int64_t weight;               // first radial weight
  int64_t couplings, couplings_end;
};

struct Coupling {
  int64_t harmonic, entry;  // T[entry] += value * Y[harmonic], entry = b * dim_in + a
  double value;
};

struct Chunk {  // consecutive paths whose radial functions are formed together
  int64_t first, last, weight, n_weights;
};

constexpr int64_t kPathWords = 9;
constexpr int64_t kChunkWeights = 128;

struct Table {
  int64_t n_paths, dim_in, dim_out, n_harmonics, n_weights, largest_entry;
  const Path* paths;
  const Coupling* couplings;
  std::vector<Chunk> chunks;

  explicit Table(const int64_t* words) {
    n_paths = words[0], dim_in = words[1], dim_out = words[2], n_harmonics = words[3], n_weights = words[4];
    largest_entry = words[5];
    paths = reinterpret_cast<const Path*>(words + 7);
    couplings = reinterpret_cast<const Coupling*>(words + 7 + n_paths * kPathWords);
    for (int64_t p = 0; p < n_paths; ++p) {
      if (chunks.empty() || chunks.back().n_weights >= kChunkWeights)
        chunks.push_back({p, p, paths[p].weight, 0});
      chunks.back().last = p + 1;
      chunks.back().n_weights += paths[p].channels;
    }
  }
  int64_t widest_chunk() const {
    int64_t widest = 0;
    for (const Chunk& chunk : chunks) widest = std::max(widest, chunk.n_weights);
    return widest;
  }
};

/// What a `void` pointer of the arguments points to.
template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

static_assert(sizeof(Path) == kPathWords * 8 && sizeof(Coupling) == 24, "the table is read in place");

}  // namespace multiace::convolution
