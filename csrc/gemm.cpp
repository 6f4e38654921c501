#include "gemm.h"

namespace multiace {
namespace {

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

}  // namespace

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

#define MULTIACE_MULTIPLY(T) \
  template void multiply(int64_t, int64_t, int64_t, const T*, int64_t, int64_t, const T*, T* const*, bool);
MULTIACE_MULTIPLY(float)
MULTIACE_MULTIPLY(double)
#undef MULTIACE_MULTIPLY

}  // namespace multiace
