#include "spline.h"

namespace multiace {
namespace {

template <class T>
int spline_basis(const MultiaceSpline& s) {
  const T* distances = static_cast<const T*>(s.distances);
  T *basis = static_cast<T*>(s.basis), *slope = static_cast<T*>(s.slope);
  const T per_angstrom = static_cast<T>(1.0 / s.width);
  for (int64_t e = 0; e < s.n_edges; ++e, basis += 4, slope += 4) {
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

}  // namespace
}  // namespace multiace

int multiace_spline_basis_f32(const MultiaceSpline* s) { return multiace::spline_basis<float>(*s); }
int multiace_spline_basis_f64(const MultiaceSpline* s) { return multiace::spline_basis<double>(*s); }
