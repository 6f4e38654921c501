// Splines of several functions: six rows of a table that lie one after the other, combined.
#pragma once

#include <cstdint>
#include <type_traits>

#include "simd.h"

namespace multiace {

constexpr int kSplineTerms = 6;  // rows of the table that an interval combines

/// values = sum_q basis_q rows_q and, with Slopes, slopes = sum_q slope_q rows_q.
template <class T, bool Slopes>
void interpolate(int64_t width, const T* rows, int64_t row, const T* basis, const T* slope, T* values, T* slopes) {
  Vector<T> b[kSplineTerms], d[kSplineTerms];
  for (int q = 0; q < kSplineTerms; ++q) {
    b[q] = broadcast(basis[q]);
    if constexpr (Slopes) d[q] = broadcast(slope[q]);
  }
  const auto columns = [&](int64_t w, auto n) __attribute__((always_inline)) {
    Vector<T> value = zero<T>(), rate = zero<T>();
    for (int q = 0; q < kSplineTerms; ++q) {
      const Vector<T> f = load(rows + q * row + w, n);
      value += b[q] * f;
      if constexpr (Slopes) rate += d[q] * f;
    }
    store(values + w, value, n);
    if constexpr (Slopes) store(slopes + w, rate, n);
  };
  int64_t w = 0;
  for (; w + kWidth<T> <= width; w += kWidth<T>) columns(w, std::integral_constant<int, kWidth<T>>{});
  if (w < width) columns(w, static_cast<int>(width - w));
}

}  // namespace multiace
