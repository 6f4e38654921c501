// Radial functions R = u V of the rows of a block, and what their gradients say of u and V.
#pragma once

#include <algorithm>
#include <vector>

#include "convolution_block.h"
#include "convolution_table.h"
#include "gemm.h"
#include "simd.h"
#include "threads.h"

namespace multiace::convolution {

constexpr int64_t kFewHidden = 8;    // up to here u V is formed from rows of V as they are, not packed
constexpr int64_t kRowsAtOnce = 96;  // of gR in a product u^T gR

/// V packed for u V (and for gR V^T), type after type and chunk after chunk.
template <class T>
struct PackedWeights {
  const T *forward = nullptr, *transposed = nullptr;
  int64_t forward_type = 0, transposed_type = 0;  // sizes of one type
  std::vector<int64_t> forward_chunk, transposed_chunk;

  PackedWeights(const Table& table, const MultiaceConvolution& c, const T* weights, bool backward, Scratch& scratch) {
    const int64_t n_types = c.n_types, n_hidden = c.n_hidden;
    if (weights == nullptr || n_hidden <= kFewHidden) return;
    for (const Chunk& chunk : table.chunks) {
      forward_chunk.push_back(forward_type);
      transposed_chunk.push_back(transposed_type);
      forward_type += packed_size<T>(n_hidden, chunk.n_weights);
      transposed_type += packed_size<T>(chunk.n_weights, n_hidden);
    }
    T* to = scratch.array<T>(forward_type * n_types);
    T* back = backward ? scratch.array<T>(transposed_type * n_types) : nullptr;
    for (int64_t type = 0; type < n_types; ++type) {
      for (size_t k = 0; k < table.chunks.size(); ++k) {
        const Chunk& chunk = table.chunks[k];
        const T* from = weights + type * c.type_rows * table.n_weights + chunk.weight;
        pack(n_hidden, chunk.n_weights, from, table.n_weights, int64_t{1},
             to + type * forward_type + forward_chunk[k]);
        if (backward)
          pack(chunk.n_weights, n_hidden, from, int64_t{1}, table.n_weights,
               back + type * transposed_type + transposed_chunk[k]);
      }
    }
    forward = to;
    transposed = back;
  }
};

/// V of a type, at a chunk's first column.
template <class T>
T* weights_of(const Table& table, const MultiaceConvolution& c, const Chunk& chunk, int64_t type, T* weights) {
  return weights + type * c.type_rows * table.n_weights + chunk.weight;
}

/// R (+)= u V of one row and chunk, for few u.
template <class T>
void combine(int64_t width, int64_t row, int64_t n_hidden, const T* u, const T* v, bool accumulate, T* r) {
  for (int64_t w = 0; w < width; w += kWidth<T>) {
    const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
    Vector<T> total = accumulate ? load(r + w, n) : zero<T>();
    for (int64_t q = 0; q < n_hidden; ++q) total += u[q] * load(v + q * row + w, n);
    store(r + w, total, n);
  }
}

/// R of a block's rows for one chunk of paths: (n_rows, chunk.n_weights), (+)= u V.
template <class T>
void radial(const Table& table, const MultiaceConvolution& c, const Block<T>& block, size_t k, const T* weights,
            const PackedWeights<T>& packed, const T* hidden, bool accumulate, T* r) {
  const Chunk& chunk = table.chunks[k];
  const int64_t width = chunk.n_weights;
  for (size_t run = 0; run + 1 < block.runs.size(); ++run) {
    const int64_t begin = block.runs[run], end = block.runs[run + 1], type = block.type[begin];
    if (c.n_hidden > kFewHidden) {
      multiply(end - begin, width, c.n_hidden, hidden + begin * c.n_hidden, c.n_hidden, int64_t{1},
               packed.forward + type * packed.forward_type + packed.forward_chunk[k], r + begin * width, width,
               accumulate);
      continue;
    }
    const T* v = weights_of(table, c, chunk, type, weights);
    for (int64_t row = begin; row < end; ++row)
      combine(width, table.n_weights, c.n_hidden, hidden + row * c.n_hidden, v, accumulate, r + row * width);
  }
}

/// R of the rows of a block for one chunk, with its tangent.
template <class T>
struct Radials {
  T *r, *dot;

  Radials(const Table& table, int64_t most_rows, bool tangent, Scratch& scratch) {
    const int64_t size = most_rows * table.widest_chunk();
    r = scratch.array<T>(size);
    dot = tangent ? scratch.array<T>(size) : nullptr;
  }

  void fill(const Table& table, const MultiaceConvolution& c, const Block<T>& block, size_t k,
            const PackedWeights<T>& weights, const PackedWeights<T>& weights_dot) const {
    const T *v = as<T>(c.weights), *v_dot = as<T>(c.weights_dot);
    radial(table, c, block, k, v, weights, block.hidden, false, r);
    if (dot == nullptr) return;
    if (block.hidden_dot) radial(table, c, block, k, v, weights, block.hidden_dot, false, dot);
    else std::fill_n(dot, block.n_rows * table.chunks[k].n_weights, T(0));
    if (v_dot) radial(table, c, block, k, v_dot, weights_dot, block.hidden, true, dot);
  }
};

/// gu = gR V^T, gV = u^T gR (and their tangents) of one block and chunk.
template <class T>
struct RadialGradients {
  const Table& table;
  const MultiaceConvolution& c;
  T* packed;  // rows of gR, as the right factor of u^T gR

  /// gu += gR V^T.
  void to_hidden(const Block<T>& block, size_t k, const T* v, const PackedWeights<T>& packed_v, const T* gr,
                 T* gu) const {
    const Chunk& chunk = table.chunks[k];
    const int64_t width = chunk.n_weights;
    for (size_t run = 0; run + 1 < block.runs.size(); ++run) {
      const int64_t begin = block.runs[run], end = block.runs[run + 1], type = block.type[begin];
      if (c.n_hidden > kFewHidden) {
        multiply(end - begin, c.n_hidden, width, gr + begin * width, width, int64_t{1},
                 packed_v.transposed + type * packed_v.transposed_type + packed_v.transposed_chunk[k],
                 gu + begin * c.n_hidden, c.n_hidden, true);
        continue;
      }
      const T* of_type = weights_of(table, c, chunk, type, v);
      for (int64_t row = begin; row < end; ++row)
        add_dots(width, of_type, gr + row * width, gu + row * c.n_hidden);
    }
  }

  /// gV += u^T gR.
  void to_weights(const Block<T>& block, size_t k, const T* u, const T* gr, T* gv) const {
    const Chunk& chunk = table.chunks[k];
    const int64_t width = chunk.n_weights;
    for (size_t run = 0; run + 1 < block.runs.size(); ++run) {
      const int64_t begin = block.runs[run], end = block.runs[run + 1], type = block.type[begin];
      T* of_type = weights_of(table, c, chunk, type, gv);
      for (int64_t row = begin; c.n_hidden > kFewHidden && row < end; row += kRowsAtOnce) {
        const int64_t n = std::min(kRowsAtOnce, end - row);
        pack(n, width, gr + row * width, width, int64_t{1}, packed);
        multiply(c.n_hidden, width, n, u + row * c.n_hidden, int64_t{1}, c.n_hidden, packed, of_type,
                 table.n_weights, true);
      }
      for (int64_t row = begin; c.n_hidden <= kFewHidden && row < end; ++row)
        add_outer(width, u + row * c.n_hidden, gr + row * width, of_type);
    }
  }

 private:
  /// gu_q += <V_q, gR> of one row.
  void add_dots(int64_t width, const T* v, const T* gr, T* gu) const {
    Vector<T> totals[kFewHidden];
    for (Vector<T>& total : totals) total = zero<T>();
    for (int64_t w = 0; w < width; w += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
      const Vector<T> g = load(gr + w, n);
      for (int64_t q = 0; q < c.n_hidden; ++q) totals[q] += g * load(v + q * table.n_weights + w, n);
    }
    for (int64_t q = 0; q < c.n_hidden; ++q) gu[q] += sum<T>(totals[q]);
  }

  /// gV_q += u_q gR of one row.
  void add_outer(int64_t width, const T* u, const T* gr, T* gv) const {
    for (int64_t w = 0; w < width; w += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
      const Vector<T> g = load(gr + w, n);
      for (int64_t q = 0; q < c.n_hidden; ++q) {
        T* to = gv + q * table.n_weights + w;
        store(to, load(to, n) + u[q] * g, n);
      }
    }
  }
};

}  // namespace multiace::convolution
