#include "spline.h"

namespace multiace {
namespace {

template <class T>
int spline_basis(const MultiaceSpline& s) {
  const T* distances = static_cast<const T*>(s.distances);
  T *basis = static_cast<T*>(s.basis), *slope = static_cast<T*>(s.slope);
  const T per_angstrom = static_cast<T>(1.0 / s.width), sixth = T(1) / T(6);
  for (int64_t e = 0; e < s.n_edges; ++e, basis += 4, slope += 4) {
    const T x = distances[e] * per_angstrom;
    int64_t interval = static_cast<int64_t>(x);
    const bool beyond = !(x < static_cast<T>(s.n_intervals));
    if (beyond) interval = s.n_intervals - 1;
    s.knots[e] = interval;
    const T t = x - static_cast<T>(interval), u = 1 - t;
    const T one = beyond ? T(0) : T(1), rate = one * per_angstrom;
    basis[0] = one * sixth * u * u * u;
    basis[1] = one * sixth * (t * t * (3 * t - 6) + 4);
    basis[2] = one * sixth * (u * u * (3 * u - 6) + 4);
    basis[3] = one * sixth * t * t * t;
    slope[0] = -rate * T(0.5) * u * u;
    slope[1] = rate * t * (T(1.5) * t - 2);
    slope[2] = -rate * u * (T(1.5) * u - 2);
    slope[3] = rate * T(0.5) * t * t;
  }
  return 0;
}

}  // namespace
}  // namespace multiace

int multiace_spline_basis_f32(const MultiaceSpline* s) { return multiace::spline_basis<float>(*s); }
int multiace_spline_basis_f64(const MultiaceSpline* s) { return multiace::spline_basis<double>(*s); }
