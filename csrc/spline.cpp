#include "spline.h"

#include <algorithm>

#include "simd.h"

namespace multiace {
namespace {

template <class T>
int spline_basis(const MultiaceSpline& s) {
  const T* distances = static_cast<const T*>(s.distances);
  T *basis = static_cast<T*>(s.basis), *slope = static_cast<T*>(s.slope);
  const T per_angstrom = static_cast<T>(1.0 / s.width);
  for (int64_t e = 0; e < s.n_rows; ++e, basis += 4, slope += 4) {
    const T x = distances[e] * per_angstrom;
    const bool beyond = !(x < static_cast<T>(s.n_intervals));
    const int64_t interval = beyond ? s.n_intervals - 1 : static_cast<int64_t>(x);
    s.knots[e] = 3 * interval;
    const T t = x - static_cast<T>(interval), u = 1 - t;
    const T one = beyond ? T(0) : T(1), rate = one * per_angstrom;
    basis[0] = one * t * u * u;
    basis[1] = one;
    basis[2] = one * t * t * (3 - 2 * t);
    basis[3] = -one * t * t * u;
    slope[0] = rate * u * (1 - 3 * t);
    slope[1] = 0;
    slope[2] = rate * 6 * t * u;
    slope[3] = -rate * t * (2 - 3 * t);
  }
  return 0;
}

template <class T>
int functions_forward(const MultiaceSplineFunctions& s) {
  const int64_t row = s.n_functions;
  for (int64_t e = 0; e < s.n_rows; ++e) {
    const int64_t type = s.types ? s.types[e] : 0;
    const T* from = static_cast<const T*>(s.table) + (type * s.n_knots + s.knots[e]) * row;
    const T *b = static_cast<const T*>(s.basis) + 4 * e, *d = static_cast<const T*>(s.slope) + 4 * e;
    T *value = static_cast<T*>(s.values) + e * row, *slope = static_cast<T*>(s.slopes) + e * row;
    for (int64_t k = 0; k < row; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, row - k));
      const Vector<T> f0 = load(from + k, n), f1 = load(from + row + k, n), f2 = load(from + 2 * row + k, n),
                      f3 = load(from + 3 * row + k, n);
      store(value + k, b[0] * f0 + b[1] * f1 + b[2] * f2 + b[3] * f3, n);
      store(slope + k, d[0] * f0 + d[1] * f1 + d[2] * f2 + d[3] * f3, n);
    }
  }
  return 0;
}

template <class T>
int functions_backward(const MultiaceSplineFunctions& s) {
  for (int64_t e = 0; e < s.n_rows; ++e) {
    const T* g = static_cast<const T*>(s.cotangent) + e * s.n_functions;
    const T* slope = static_cast<const T*>(s.slopes) + e * s.n_functions;
    Vector<T> total = zero<T>();
    for (int64_t k = 0; k < s.n_functions; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, s.n_functions - k));
      total += load(g + k, n) * load(slope + k, n);
    }
    static_cast<T*>(s.distance_gradient)[e] += sum<T>(total);
  }
  return 0;
}

}  // namespace
}  // namespace multiace

int multiace_spline_basis_f32(const MultiaceSpline* s) { return multiace::spline_basis<float>(*s); }
int multiace_spline_basis_f64(const MultiaceSpline* s) { return multiace::spline_basis<double>(*s); }

int multiace_spline_functions_forward_f32(const MultiaceSplineFunctions* s) {
  return multiace::functions_forward<float>(*s);
}
int multiace_spline_functions_forward_f64(const MultiaceSplineFunctions* s) {
  return multiace::functions_forward<double>(*s);
}
int multiace_spline_functions_backward_f32(const MultiaceSplineFunctions* s) {
  return multiace::functions_backward<float>(*s);
}
int multiace_spline_functions_backward_f64(const MultiaceSplineFunctions* s) {
  return multiace::functions_backward<double>(*s);
}
