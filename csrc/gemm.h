// Small matrix products C (+)= A B with B packed into panels of two vectors.
#pragma once

#include <algorithm>

#include "simd.h"

namespace multiace {

/// Columns of a panel.
template <class T>
constexpr int kPanel = 2 * kWidth<T>;

/// Rows of A that one pass keeps in registers: as many as leave room for B and the broadcast.
constexpr int kRows = kRegisters == 32 ? 12 : 6;

template <class T>
constexpr int64_t packed_size(int64_t inner, int64_t columns) {
  return (columns + kPanel<T> - 1) / kPanel<T> * kPanel<T> * inner;
}

/// Lay B (inner, columns) out panel after panel, each (inner, kPanel), padded with zeros.
/// Entry (q, n) of B is b[q * row_stride + n * column_stride]; one of the strides is 1.
template <class T>
void pack(int64_t inner, int64_t columns, const T* b, int64_t row_stride, int64_t column_stride, T* packed) {
  constexpr int W = kWidth<T>;
  for (int64_t n0 = 0; n0 < columns; n0 += kPanel<T>, packed += inner * kPanel<T>) {
    for (int64_t n = 0; n < kPanel<T>; n += W) {
      const int width = static_cast<int>(std::max<int64_t>(0, std::min<int64_t>(W, columns - n0 - n)));
      const T* from = b + (n0 + n) * column_stride;
      if (column_stride == 1) {
        for (int64_t q = 0; q < inner; ++q) store(packed + q * kPanel<T> + n, load(from + q * row_stride, width));
        continue;
      }
      for (int64_t q = 0; q < inner; q += W) {
        const int height = static_cast<int>(std::min<int64_t>(W, inner - q));
        Vector<T> tile[W];
        for (int k = 0; k < W; ++k) tile[k] = k < width ? load(from + k * column_stride + q, height) : zero<T>();
        transpose<T>(tile);
        for (int k = 0; k < height; ++k) store(packed + (q + k) * kPanel<T> + n, tile[k]);
      }
    }
  }
}

/// C (rows, columns) (+)= A B, B packed by `pack`, rows of C anywhere.
template <class T>
void multiply(int64_t rows, int64_t columns, int64_t inner, const T* a, int64_t a_row, int64_t a_column,
              const T* packed, T* const* c, bool accumulate);

/// The same with rows of C one every c_row.
template <class T>
void multiply(int64_t rows, int64_t columns, int64_t inner, const T* a, int64_t a_row, int64_t a_column,
              const T* packed, T* c, int64_t c_row, bool accumulate) {
  constexpr int64_t kAtOnce = 8 * kRows;
  T* row[kAtOnce];
  for (int64_t m = 0; m < rows; m += kAtOnce) {
    const int64_t n = std::min(kAtOnce, rows - m);
    for (int64_t k = 0; k < n; ++k) row[k] = c + (m + k) * c_row;
    multiply(n, columns, inner, a + m * a_row, a_row, a_column, packed, row, accumulate);
  }
}

}  // namespace multiace
