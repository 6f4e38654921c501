#include "spline.h"

#include <algorithm>

#include "errors.h"
#include "simd.h"
#include "spline_rows.h"

namespace multiace {
namespace {

constexpr int64_t kRowsOfKnot = 4;

template <class T>
int spline_basis(const MultiaceSpline& c) {
  const T* distances = static_cast<const T*>(c.distances);
  T *basis = static_cast<T*>(c.basis), *slope = static_cast<T*>(c.slope);
  const T per_angstrom = static_cast<T>(1.0 / c.width);
  for (int64_t e = 0; e < c.n_rows; ++e, basis += kSplineTerms, slope += kSplineTerms) {
    const T x = distances[e] * per_angstrom;
    const bool beyond = !(x < static_cast<T>(c.n_intervals));
    const int64_t interval = beyond ? c.n_intervals - 1 : static_cast<int64_t>(x);
    c.knots[e] = kRowsOfKnot * interval;
    const T one = beyond ? T(0) : T(1), rate = one * per_angstrom;
    const T t = beyond ? T(1) : x - static_cast<T>(interval), s = 1 - t, t2 = t * t, s2 = s * s;
    basis[0] = one * t2 * s2 * s / 2;
    basis[1] = one * t * s2 * s * (1 + 3 * t);
    basis[2] = one;
    basis[3] = one * t2 * t * (10 - 15 * t + 6 * t2);
    basis[4] = one * t2 * t * s2 / 2;
    basis[5] = -one * t2 * t * s * (4 - 3 * t);
    slope[0] = rate * t * s2 * (2 - 5 * t) / 2;
    slope[1] = rate * s2 * (1 + 2 * t - 15 * t2);
    slope[2] = 0;
    slope[3] = rate * 30 * t2 * s2;
    slope[4] = rate * t2 * s * (3 - 5 * t) / 2;
    slope[5] = -rate * t2 * (2 - 3 * t) * (6 - 5 * t);
  }
  return kSuccess;
}

template <class T>
int functions_forward(const MultiaceSplineFunctions& c) {
  const int64_t row = c.n_functions;
  for (int64_t e = 0; e < c.n_rows; ++e) {
    const int64_t type = c.types ? c.types[e] : 0;
    const T* from = static_cast<const T*>(c.table) + (type * c.n_knots + c.knots[e]) * row;
    interpolate<T, true>(row, from, row, static_cast<const T*>(c.basis) + kSplineTerms * e,
                         static_cast<const T*>(c.slope) + kSplineTerms * e, static_cast<T*>(c.values) + e * row,
                         static_cast<T*>(c.slopes) + e * row);
  }
  return kSuccess;
}

template <class T>
int functions_backward(const MultiaceSplineFunctions& c) {
  for (int64_t e = 0; e < c.n_rows; ++e) {
    const T* g = static_cast<const T*>(c.cotangent) + e * c.n_functions;
    const T* slope = static_cast<const T*>(c.slopes) + e * c.n_functions;
    Vector<T> total = zero<T>();
    for (int64_t k = 0; k < c.n_functions; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_functions - k));
      total += load(g + k, n) * load(slope + k, n);
    }
    static_cast<T*>(c.distance_gradient)[e] += sum<T>(total);
  }
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::error_code;

int multiace_spline_basis_f32(const MultiaceSpline* s) {
  return error_code([&] { return multiace::spline_basis<float>(*s); });
}
int multiace_spline_basis_f64(const MultiaceSpline* s) {
  return error_code([&] { return multiace::spline_basis<double>(*s); });
}

int multiace_spline_functions_forward_f32(const MultiaceSplineFunctions* s) {
  return error_code([&] { return multiace::functions_forward<float>(*s); });
}
int multiace_spline_functions_forward_f64(const MultiaceSplineFunctions* s) {
  return error_code([&] { return multiace::functions_forward<double>(*s); });
}
int multiace_spline_functions_backward_f32(const MultiaceSplineFunctions* s) {
  return error_code([&] { return multiace::functions_backward<float>(*s); });
}
int multiace_spline_functions_backward_f64(const MultiaceSplineFunctions* s) {
  return error_code([&] { return multiace::functions_backward<double>(*s); });
}
