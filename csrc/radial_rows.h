// Radial functions of the rows of a block: splines in the distance, or hidden features of pairs times V.
#pragma once

#include <algorithm>
#include <vector>

#include "gemm.h"
#include "lanes.h"
#include "spline_rows.h"
#include "step.h"

namespace multiace {

/// Where in a table of splines the rows of a block are, and the weights of the six rows from there.
template <class T>
struct SplinePoints {
  int64_t* knot;
  int32_t* order;   // rows of equal type and knot next to one another
  T *basis, *slope; // (rows, 6); slope only if it is wanted
};

/// Quintic Hermite splines on equal intervals. Rows of knot k are h^2 f''_k, h f'_k, f_k and f_{k+1} - f_k; with the
/// first two of the next knot, six rows give value and derivative on the interval, without differences that cancel.
template <class T>
class Splines {
 public:
  Splines(const Program& p, const Program::Operation& spline) {
    const int64_t* words = p.tables[spline.table].words;
    n_intervals_ = words[0];
    __builtin_memcpy(&width_, words + 1, sizeof(double));
    n_functions = words[2];
    const Program::Constant& table = p.constants[spline.constants[0]];
    table_ = table.numbers<T>();
    n_types = table.shape[0], n_knots_ = table.shape[1];
    types = spline.constants[1] < 0 ? nullptr : p.constants[spline.constants[1]].integers();
  }

  int64_t n_functions, n_types;
  const int64_t* types;  // (elements, elements), or null

  SplinePoints<T> points(const Visit<T>& v, const RowsOfBlocks& rows, bool slopes, Scratch& scratch) const {
    const int64_t first = rows.first[v.number], n = rows.first[v.number + 1] - first;
    SplinePoints<T> p{scratch.array<int64_t>(n), scratch.array<int32_t>(n), scratch.array<T>(n * kSplineTerms),
                      slopes ? scratch.array<T>(n * kSplineTerms) : nullptr};
    for (int64_t r = 0; r < n; r += kWidth<T>) {
      const int some = static_cast<int>(std::min<int64_t>(kWidth<T>, n - r));
      Vector<T> x = zero<T>();
      for (int k = 0; k < some; ++k) x[k] = v.state.distances.data()[rows.lane[first + r + k]];
      evaluate(x * static_cast<T>(1.0 / width_), some, p.knot + r, p.basis + r * kSplineTerms,
               slopes ? p.slope + r * kSplineTerms : nullptr);
    }
    sort(rows.type.data() + first, n, p, scratch);
    return p;
  }

  /// Functions `column .. column + width` of all rows, and their slopes if they are wanted.
  void interpolate_rows(const SplinePoints<T>& p, const int32_t* type, int64_t n, int64_t column, int64_t width, T* values,
                        T* slopes) const {
    for (const int32_t* next = p.order; next < p.order + n; ++next) {
      const int64_t r = *next;
      const T* from = table_ + (type[r] * n_knots_ + p.knot[r]) * n_functions + column;
      const T* basis = p.basis + r * kSplineTerms;
      if (slopes)
        interpolate<T, true>(width, from, n_functions, basis, p.slope + r * kSplineTerms, values + r * width, slopes + r * width);
      else
        interpolate<T, false>(width, from, n_functions, basis, nullptr, values + r * width, nullptr);
    }
  }

 private:
  static constexpr int64_t kRowsOfKnot = 4, kFewRows = 8;

  /// x in units of h.
  void evaluate(Vector<T> x, int n, int64_t* knot, T* basis, T* slope) const {
    const auto inside = x < static_cast<T>(n_intervals_);
    Vector<T> t, one, rate;
    for (int k = 0; k < kWidth<T>; ++k) {
      const int64_t interval = inside[k] ? static_cast<int64_t>(x[k]) : n_intervals_ - 1;
      if (k < n) knot[k] = kRowsOfKnot * interval;
      t[k] = inside[k] ? x[k] - static_cast<T>(interval) : T(1);
      one[k] = inside[k] ? T(1) : T(0);
    }
    rate = one * static_cast<T>(1.0 / width_);
    const Vector<T> s = T(1) - t, t2 = t * t, s2 = s * s;
    const Vector<T> values[kSplineTerms] = {one * t2 * s2 * s / T(2),
                                            one * t * s2 * s * (T(1) + T(3) * t),
                                            one,
                                            one * t2 * t * (T(10) - T(15) * t + T(6) * t2),
                                            one * t2 * t * s2 / T(2),
                                            -one * t2 * t * s * (T(4) - T(3) * t)};
    Lanes<T>::store_columns(values, kSplineTerms, n, basis);
    if (slope == nullptr) return;
    const Vector<T> slopes[kSplineTerms] = {rate * t * s2 * (T(2) - T(5) * t) / T(2),
                                            rate * s2 * (T(1) + T(2) * t - T(15) * t2),
                                            zero<T>(),
                                            rate * T(30) * t2 * s2,
                                            rate * t2 * s * (T(3) - T(5) * t) / T(2),
                                            -rate * t2 * (T(2) - T(3) * t) * (T(6) - T(5) * t)};
    Lanes<T>::store_columns(slopes, kSplineTerms, n, slope);
  }

  /// Order the rows of each type by their knots.
  void sort(const int32_t* type, int64_t n, const SplinePoints<T>& p, Scratch& scratch) const {
    int32_t* place = scratch.array<int32_t>(n_intervals_ + 1);
    for (int64_t begin = 0, end; begin < n; begin = end) {
      end = begin + 1;
      while (end < n && type[end] == type[begin]) ++end;
      if (end - begin < kFewRows) {
        for (int64_t r = begin; r < end; ++r) p.order[r] = static_cast<int32_t>(r);
        continue;
      }
      std::fill_n(place, n_intervals_ + 1, 0);
      for (int64_t r = begin; r < end; ++r) ++place[p.knot[r] / kRowsOfKnot + 1];
      for (int64_t k = 0; k < n_intervals_; ++k) place[k + 1] += place[k];
      for (int64_t r = begin; r < end; ++r) p.order[begin + place[p.knot[r] / kRowsOfKnot]++] = static_cast<int32_t>(r);
    }
  }

  int64_t n_intervals_, n_knots_;
  double width_;
  const T* table_;  // (types, knots, functions)
};

/// Sum of products of two rows.
template <class T>
inline T dot_rows(const T* a, const T* b, int64_t n) {
  Vector<T> total = zero<T>();
  int64_t k = 0;
  for (; k + kWidth<T> <= n; k += kWidth<T>) total += load(a + k) * load(b + k);
  if (k < n) total += load(a + k, static_cast<int>(n - k)) * load(b + k, static_cast<int>(n - k));
  return sum<T>(total);
}

/// The operation that writes an array.
inline const Program::Operation& writer_of(const Program& p, int64_t array) {
  for (const Program::Operation& o : p.operations)
    for (const int64_t output : o.outputs)
      if (output == array) return o;
  throw ProgramError("an array that no operation writes");
}

}  // namespace multiace
