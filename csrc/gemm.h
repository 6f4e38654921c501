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

/// M rows of C (+)= A B for NV vectors of one panel; entry (m, q) of A is a[m * a_row + q * a_column].
template <class T, int M, int NV>
inline void multiply_rows(int64_t inner, const T* a, int64_t a_row, int64_t a_column, const T* panel, T* const* c,
                          int64_t column, int width, bool accumulate) {
  constexpr int W = kWidth<T>;
  Vector<T> sums[M][NV];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < NV; ++v) sums[m][v] = zero<T>();
  for (int64_t q = 0; q < inner; ++q) {
    Vector<T> b[NV];
    for (int v = 0; v < NV; ++v) b[v] = load(panel + q * kPanel<T> + v * W);
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      const T s = a[m * a_row + q * a_column];
      for (int v = 0; v < NV; ++v) sums[m][v] += s * b[v];
    }
  }
  for (int m = 0; m < M; ++m) {
    T* row = c[m] + column;
    for (int v = 0; v < NV; ++v) {
      const int n = width - v * W;
      store(row + v * W, accumulate ? load(row + v * W, n) + sums[m][v] : sums[m][v], n);
    }
  }
}

/// Height of the next pass over rows, in passes of nearly equal height.
inline int64_t pass_height(int64_t rows_left) {
  const int64_t passes = (rows_left + kRows - 1) / kRows;
  return (rows_left + passes - 1) / passes;
}

template <class T, int NV>
void multiply_panel(int64_t rows, int64_t inner, const T* a, int64_t a_row, int64_t a_column, const T* panel,
                    T* const* c, int64_t column, int width, bool accumulate) {
  for (int64_t m = 0, height; m < rows; m += height) {
    height = pass_height(rows - m);
    const T* from = a + m * a_row;
#define MULTIACE_ROWS(M)                                                                              \
  case M:                                                                                             \
    multiply_rows<T, M, NV>(inner, from, a_row, a_column, panel, c + m, column, width, accumulate); \
    break;
    switch (height) {
      MULTIACE_ROWS(1)
      MULTIACE_ROWS(2)
      MULTIACE_ROWS(3)
      MULTIACE_ROWS(4)
      MULTIACE_ROWS(5)
      MULTIACE_ROWS(6)
#if defined(__AVX512F__)
      MULTIACE_ROWS(7)
      MULTIACE_ROWS(8)
      MULTIACE_ROWS(9)
      MULTIACE_ROWS(10)
      MULTIACE_ROWS(11)
      MULTIACE_ROWS(12)
#endif
    }
#undef MULTIACE_ROWS
  }
}

/// C (rows, columns) (+)= A B, B packed by `pack`, rows of C anywhere.
template <class T>
void multiply(int64_t rows, int64_t columns, int64_t inner, const T* a, int64_t a_row, int64_t a_column,
              const T* packed, T* const* c, bool accumulate) {
  for (int64_t n = 0; n < columns; n += kPanel<T>, packed += inner * kPanel<T>) {
    const int width = static_cast<int>(std::min<int64_t>(kPanel<T>, columns - n));
    if (width > kWidth<T>)
      multiply_panel<T, 2>(rows, inner, a, a_row, a_column, packed, c, n, width, accumulate);
    else
      multiply_panel<T, 1>(rows, inner, a, a_row, a_column, packed, c, n, width, accumulate);
  }
}

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
