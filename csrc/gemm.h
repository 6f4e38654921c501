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
/// Entry (q, n) of B is b[q * row_stride + n * column_stride].
template <class T>
void pack(int64_t inner, int64_t columns, const T* b, int64_t row_stride, int64_t column_stride, T* packed) {
  for (int64_t n0 = 0; n0 < columns; n0 += kPanel<T>) {
    const int64_t width = std::min<int64_t>(kPanel<T>, columns - n0);
    for (int64_t q = 0; q < inner; ++q, packed += kPanel<T>) {
      const T* row = b + q * row_stride + n0 * column_stride;
      if (column_stride == 1) {
        for (int64_t n = 0; n < width; ++n) packed[n] = row[n];
      } else {
        for (int64_t n = 0; n < width; ++n) packed[n] = row[n * column_stride];
      }
      for (int64_t n = width; n < kPanel<T>; ++n) packed[n] = T(0);
    }
  }
}

/// C (M, width) (+)= A B for one panel; entry (m, q) of A is a[m * a_row + q * a_column].
template <class T, int M>
inline void multiply_rows(int64_t inner, const T* a, int64_t a_row, int64_t a_column, const T* panel, T* c,
                          int64_t c_row, int width, bool accumulate) {
  constexpr int W = kWidth<T>;
  Vector<T> sums[M][2];
  for (int m = 0; m < M; ++m) sums[m][0] = sums[m][1] = zero<T>();
  for (int64_t q = 0; q < inner; ++q) {
    const Vector<T> b0 = load(panel + q * kPanel<T>), b1 = load(panel + q * kPanel<T> + W);
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      const T s = a[m * a_row + q * a_column];
      sums[m][0] += s * b0;
      sums[m][1] += s * b1;
    }
  }
  for (int m = 0; m < M; ++m) {
    T* row = c + m * c_row;
    for (int v = 0; v < 2; ++v) {
      const int n = width - v * W;
      if (n <= 0) break;
      const Vector<T> before = accumulate ? load(row + v * W, n) : zero<T>();
      store(row + v * W, before + sums[m][v], n);
    }
  }
}

template <class T>
void multiply_panel(int64_t rows, int64_t inner, const T* a, int64_t a_row, int64_t a_column, const T* panel,
                    T* c, int64_t c_row, int width, bool accumulate) {
  int64_t m = 0;
  for (int64_t blocks = (rows + kRows - 1) / kRows; blocks > 0; --blocks) {  // of nearly equal height
    const int64_t height = (rows - m + blocks - 1) / blocks;
    const T* from = a + m * a_row;
    T* to = c + m * c_row;
    m += height;
#define MULTIACE_ROWS(M)                                                                          \
  case M:                                                                                         \
    multiply_rows<T, M>(inner, from, a_row, a_column, panel, to, c_row, width, accumulate); \
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

/// C (rows, columns) (+)= A B, B packed by `pack`.
template <class T>
void multiply(int64_t rows, int64_t columns, int64_t inner, const T* a, int64_t a_row, int64_t a_column,
              const T* packed, T* c, int64_t c_row, bool accumulate) {
  for (int64_t n = 0; n < columns; n += kPanel<T>, packed += inner * kPanel<T>)
    multiply_panel(rows, inner, a, a_row, a_column, packed, c + n, c_row,
                   static_cast<int>(std::min<int64_t>(kPanel<T>, columns - n)), accumulate);
}

}  // namespace multiace
