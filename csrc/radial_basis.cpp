// Rows are the lanes. Each pass forms the functions of a vector of rows with as many of their
// derivatives as it needs.
#include "radial_basis.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "elementary.h"
#include "errors.h"
#include "lanes.h"
#include "simd.h"
#include "threads.h"

namespace multiace {
namespace {

constexpr double kPi = 3.14159265358979323846;

enum class Pass { kForward, kTangent, kBackward, kDoubleBackward };

/// e_n and its derivatives by x and by its constant k.
template <class T>
struct Jet {
  Vector<T> e, x, xx, k, xk, kk;
};

/// Of orthonormal Jacobi polynomials: p_n = (scale y - shift) p_{n-1} - before p_{n-2}; p_0 = scale.
template <class T>
struct Recursion {
  T scale, shift, before;
};

/// b_n in y p_n = b_{n+1} p_{n+1} + a_n p_n + b_n p_{n-1}.
double off_diagonal(double n, double alpha, double beta) {
  const double m = 2 * n + alpha + beta;
  if (n == 1) return std::sqrt(4 * (1 + alpha) * (1 + beta) / (m * m * (m + 1)));  // n + alpha + beta = m - 1 cancels
  return std::sqrt(4 * n * (n + alpha) * (n + beta) * (n + alpha + beta) / (m * m * (m + 1) * (m - 1)));
}

template <class T>
std::vector<Recursion<T>> jacobi_recursion(const MultiaceRadialBasis& c) {
  const double alpha = 2.0 * static_cast<double>(c.outer), beta = 2.0 * static_cast<double>(c.inner);
  double binomial = 1;  // alpha + beta over beta
  for (double k = 1; k <= beta; ++k) binomial *= (alpha + k) / k;
  std::vector<Recursion<T>> recursion(c.number);
  recursion[0] = {static_cast<T>(std::sqrt(0.5 * (alpha + beta + 1) * binomial)), T(0), T(0)};
  double b = 0;
  for (int64_t n = 1; n < c.number; ++n) {
    const double m = 2.0 * static_cast<double>(n) + alpha + beta, next = off_diagonal(static_cast<double>(n), alpha, beta);
    const double a = n == 1 ? (beta - alpha) / m : (beta * beta - alpha * alpha) / (m * (m - 2));
    recursion[n] = {static_cast<T>(1 / next), static_cast<T>(a / next), static_cast<T>(b / next)};
    b = next;
  }
  return recursion;
}

/// e_1, e_2, .. of one vector of x, one after the other.
template <class T>
class Family {
 public:
  Family(const MultiaceRadialBasis& c, const Recursion<T>* recursion, Vector<T> x)
      : c_(c), recursion_(recursion), cutoff_(static_cast<T>(c.cutoff)), x_(x), inverse_(T(1) / x) {
    if (c.family == 1) {
      rate_ = T(-2) / cutoff_, y_ = T(1) + x * rate_;
      polynomial_[0] = {broadcast(T(1)), zero<T>(), zero<T>()};
      polynomial_[1] = {y_, broadcast(T(1)), zero<T>()};
    }
    if (c.family == 3) {
      rate_ = c.falling ? T(-2) : T(2) / cutoff_, y_ = c.falling ? T(1) + x * rate_ : x * rate_ - T(1);
      polynomial_[0] = {zero<T>(), zero<T>(), zero<T>()};
      polynomial_[1] = {broadcast(recursion[0].scale), zero<T>(), zero<T>()};
    }
  }

  Jet<T> function(int64_t n) {
    if (c_.family == 1) return chebyshev(n);
    if (c_.family == 3) return jacobi(n);
    const T k = static_cast<const T*>(c_.constants)[n];
    return c_.family == 0 ? bessel(k) : gaussian(k);
  }

 private:
  struct Polynomial {
    Vector<T> value, slope, curvature;
  };

  /// s sin(q x) / x, q = k / r_c.
  Jet<T> bessel(T k) const {
    const T q = static_cast<T>(k / c_.cutoff), scale = static_cast<T>(std::sqrt(2.0 / c_.cutoff));
    Vector<T> sine, cosine;
    sine_and_cosine<T>(q * x_, sine, cosine);
    Jet<T> jet;
    jet.e = scale * sine * inverse_;
    jet.x = (scale * q * cosine - jet.e) * inverse_;
    jet.xx = -(q * q) * jet.e - T(2) * jet.x * inverse_;
    jet.k = (scale / cutoff_) * cosine;
    jet.xk = (-scale * q / cutoff_) * sine;
    jet.kk = (-scale / (cutoff_ * cutoff_)) * sine * x_;
    return jet;
  }

  Jet<T> gaussian(T k) const {
    const T width = cutoff_ / static_cast<T>(c_.number), inverse = T(1) / (width * width);
    const Vector<T> z = (x_ - k) * inverse;
    Jet<T> jet;
    jet.e = exponential<T>(T(-0.5) * (x_ - k) * z);
    jet.x = -z * jet.e;
    jet.xx = (z * z - inverse) * jet.e;
    jet.k = -jet.x;
    jet.xk = -jet.xx;
    jet.kk = jet.xx;
    return jet;
  }

  /// T_{n+1} = 2 y T_n - T_{n-1}, y = 1 - 2 x / r_c, and its derivatives.
  Jet<T> chebyshev(int64_t n) {
    if (n > 0) {
      const Polynomial &now = polynomial_[1], &before = polynomial_[0];
      advance({T(2) * y_ * now.value - before.value,
               T(2) * (now.value + y_ * now.slope) - before.slope,
               T(2) * (T(2) * now.slope + y_ * now.curvature) - before.curvature});
    }
    return of_x(static_cast<T>(std::sqrt(2.0)));
  }

  Jet<T> jacobi(int64_t n) {
    if (n > 0) {
      const Polynomial &now = polynomial_[1], &before = polynomial_[0];
      const Recursion<T>& by = recursion_[n];
      const Vector<T> factor = by.scale * y_ - by.shift;
      advance({factor * now.value - by.before * before.value,
               by.scale * now.value + factor * now.slope - by.before * before.slope,
               T(2) * by.scale * now.slope + factor * now.curvature - by.before * before.curvature});
    }
    return of_x(T(1));
  }

  void advance(const Polynomial& next) {
    polynomial_[0] = polynomial_[1];
    polynomial_[1] = next;
  }
  /// The polynomial of y, times `scale`, as a function of x.
  Jet<T> of_x(T scale) const {
    const Polynomial& now = polynomial_[1];
    return {scale * now.value, scale * rate_ * now.slope, scale * rate_ * rate_ * now.curvature, zero<T>(), zero<T>(),
            zero<T>()};
  }

  const MultiaceRadialBasis& c_;
  const Recursion<T>* recursion_;
  T cutoff_, rate_ = 0;  // dy/dx
  Vector<T> x_, inverse_, y_ = zero<T>();
  Polynomial polynomial_[2];
};

/// u and its derivatives by r; the two-sided envelope and its derivatives by x.
template <class T>
struct Envelope {
  Vector<T> u, slope, curvature;

  Envelope(Vector<T> u, Vector<T> slope, Vector<T> curvature) : u(u), slope(slope), curvature(curvature) {}
  Envelope(const MultiaceRadialBasis& c, Vector<T> r, Vector<T> x) {
    const T rate = static_cast<T>(1.0 / c.cutoff);
    const Vector<T> y = r * rate;
    if (c.envelope_power > 0) polynomial(static_cast<int>(c.envelope_power), y < T(1) ? y : zero<T>());
    else if (c.envelope_power < 0) two_sided(c, y < T(1) ? x * rate : zero<T>());
    else cosine(y);
    u = y < T(1) ? u : zero<T>();
    slope = y < T(1) ? slope * rate : zero<T>();
    curvature = y < T(1) ? curvature * (rate * rate) : zero<T>();
  }

 private:
  /// u' = -p (p+1) (p+2) / 2 x^(p-1) (1 - x)^2.
  void polynomial(int p, Vector<T> x) {
    Vector<T> power = broadcast(T(1));  // x^(p-2)
    for (int k = 2; k < p; ++k) power *= x;
    const T a = T(0.5) * T(p + 1) * T(p + 2), b = T(p) * T(p + 2), c = T(0.5) * T(p) * T(p + 1);
    const Vector<T> rest = T(1) - x;
    u = T(1) - power * x * x * (a - b * x + c * x * x);
    slope = -(a * T(p)) * power * x * rest * rest;
    curvature = -(a * T(p)) * power * rest * (T(p - 1) * rest - T(2) * x);
  }
  void two_sided(const MultiaceRadialBasis& c, Vector<T> s) {
    const Envelope a = power(s, c.inner), b = power(T(1) - s, c.outer);
    u = a.u * b.u;
    slope = a.slope * b.u - a.u * b.slope;
    curvature = a.curvature * b.u - T(2) * a.slope * b.slope + a.u * b.curvature;
  }
  /// s^n and its derivatives by s.
  static Envelope power(Vector<T> s, int64_t n) {
    const Vector<T> one = broadcast(T(1)), none = zero<T>();
    if (n == 0) return {one, none, none};
    if (n == 1) return {s, one, none};
    Vector<T> low = one;  // s^(n-2)
    for (int64_t k = 2; k < n; ++k) low *= s;
    return {low * s * s, T(n) * low * s, T(n) * T(n - 1) * low};
  }
  void cosine(Vector<T> x) {
    Vector<T> s, c;
    const T pi = static_cast<T>(kPi);
    sine_and_cosine<T>(pi * x, s, c);
    u = T(0.5) * (T(1) + c);
    slope = (T(-0.5) * pi) * s;
    curvature = (T(-0.5) * pi * pi) * c;
  }
};

/// What a pass does with one vector of rows.
template <class T, Pass P>
class Block {
  static constexpr bool kTangent = P == Pass::kTangent || P == Pass::kDoubleBackward;
  static constexpr bool kPullsBack = P == Pass::kBackward || P == Pass::kDoubleBackward;

 public:
  Block(const MultiaceRadialBasis& c, const Recursion<T>* recursion, int64_t first, Scratch& scratch)
      : c_(c), recursion_(recursion), first_(first), n_(static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_rows - first))) {
    out_ = scratch.array<Vector<T>>(c.number);
    out_dot_ = scratch.array<Vector<T>>(c.number);
    g_ = scratch.array<Vector<T>>(c.number);
  }

  void run() {
    const Vector<T> r = row(c_.distances, static_cast<T>(c_.cutoff));
    const Vector<T> r_dot = kTangent ? row(c_.distances_dot, T(P == Pass::kTangent ? 1 : 0)) : zero<T>();
    const Vector<T> x = c_.argument ? row(c_.argument, T(1)) : r;
    const Vector<T> x_dot = !kTangent || c_.argument == nullptr ? r_dot : row(c_.argument_dot, T(0));
    const Envelope<T> u(c_, r, x);
    const bool of_argument = c_.envelope_power < 0;  // u is a function of x, not of r
    const Vector<T> of_u_dot = of_argument ? x_dot : r_dot;
    const Vector<T> one = broadcast(T(1)), none = zero<T>();
    const Envelope<T> factor = c_.envelope_on_basis ? u : Envelope<T>{one, none, none};
    if (kPullsBack) read_cotangent();
    Vector<T> to_u = zero<T>(), to_x = zero<T>();  // gradients by what u is a function of, and by x
    Family<T> family(c_, recursion_, x);
    for (int64_t n = 0; n < c_.number; ++n) {
      const Jet<T> e = family.function(n);
      out_[n] = e.e * factor.u;
      Vector<T> e_dot = zero<T>();
      const T k_dot = kTangent && c_.constants_dot ? static_cast<const T*>(c_.constants_dot)[n] : T(0);
      if constexpr (kTangent) {
        e_dot = e.x * x_dot + e.k * k_dot;
        out_dot_[n] = e_dot * factor.u + e.e * (factor.slope * of_u_dot);
      }
      if constexpr (P == Pass::kBackward) {
        to_x += g_[n] * e.x * factor.u;
        to_u += g_[n] * e.e * factor.slope;
        add_to_constant(n, g_[n] * e.k * factor.u);
      }
      if constexpr (P == Pass::kDoubleBackward) {
        const Vector<T> slope_dot = factor.slope * of_u_dot;
        to_x += g_[n] * ((e.xx * x_dot + e.xk * k_dot) * factor.u + e.x * slope_dot);
        to_u += g_[n] * (e_dot * factor.slope + e.e * (factor.curvature * of_u_dot));
        add_to_constant(n, g_[n] * ((e.xk * x_dot + e.kk * k_dot) * factor.u + e.k * slope_dot));
      }
    }
    if (kPullsBack && !c_.envelope_on_basis && c_.envelope_cotangent)
      to_u += row(c_.envelope_cotangent, T(0)) * (P == Pass::kBackward ? u.slope : u.curvature * of_u_dot);
    write(u, of_u_dot);
    if constexpr (kPullsBack) {
      if (c_.argument) {
        write_row(of_argument ? zero<T>() : to_u, c_.distances_gradient);
        write_row(of_argument ? to_u + to_x : to_x, c_.argument_gradient);
      } else {
        write_row(to_u + to_x, c_.distances_gradient);
      }
    }
  }

 private:
  /// One number a row; `missing` where there are none, and beyond the last row.
  Vector<T> row(const void* rows, T missing) const {
    if (rows == nullptr) return broadcast(missing);
    Vector<T> values = load(static_cast<const T*>(rows) + first_, n_);
    for (int k = n_; k < kWidth<T>; ++k) values[k] = missing;
    return values;
  }
  void write_row(Vector<T> values, void* rows) const {
    if (rows) store(static_cast<T*>(rows) + first_, values, n_);
  }

  void read_cotangent() {
    if (c_.basis_cotangent)
      Lanes<T>::load_columns(static_cast<const T*>(c_.basis_cotangent) + first_ * c_.number, c_.number, n_, g_);
    else
      std::fill_n(g_, c_.number, zero<T>());
  }

  void add_to_constant(int64_t n, Vector<T> values) const {
    if (c_.constants_gradient) static_cast<T*>(c_.constants_gradient)[n] += sum<T>(values);
  }

  void write(const Envelope<T>& u, Vector<T> of_u_dot) const {
    constexpr bool kValues = P == Pass::kForward || P == Pass::kTangent;
    if (kValues) write_columns(out_, c_.basis);
    if (kTangent) write_columns(out_dot_, c_.basis_dot);
    if (c_.envelope_on_basis) return;
    if (kValues) write_row(u.u, c_.envelope);
    if (kTangent) write_row(u.slope * of_u_dot, c_.envelope_dot);
  }
  void write_columns(const Vector<T>* columns, void* rows) const {
    if (rows) Lanes<T>::store_columns(columns, c_.number, n_, static_cast<T*>(rows) + first_ * c_.number);
  }

  const MultiaceRadialBasis& c_;
  const Recursion<T>* recursion_;
  int64_t first_;
  int n_;
  Vector<T>*out_, *out_dot_, *g_;
};

template <class T, Pass P>
int run(const MultiaceRadialBasis& c) {
  return error_code([&] {
    const int64_t n_blocks = (c.n_rows + kWidth<T> - 1) / kWidth<T>;
    constexpr int64_t kBlocksOfPart = 32;  // fewer are not worth a thread
    if (c.constants_gradient) std::fill_n(static_cast<T*>(c.constants_gradient), c.number, T(0));
    const int n_threads = c.constants_gradient ? 1 : static_cast<int>(c.n_threads);  // a sum over all rows
    std::vector<Recursion<T>> recursion;
    if (c.family == 3) recursion = jacobi_recursion<T>(c);
    parallel_for(n_threads, n_blocks, kBlocksOfPart, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        Scratch scratch;
        Block<T, P>(c, recursion.data(), b * kWidth<T>, scratch).run();
      }
    });
    return kSuccess;
  });
}

}  // namespace
}  // namespace multiace

using multiace::Pass;
using multiace::run;

#define MULTIACE_RADIAL_BASIS(NAME, PASS)                                                                       \
  int multiace_radial_basis_##NAME##_f32(const MultiaceRadialBasis* c) { return run<float, Pass::PASS>(*c); }   \
  int multiace_radial_basis_##NAME##_f64(const MultiaceRadialBasis* c) { return run<double, Pass::PASS>(*c); }
MULTIACE_RADIAL_BASIS(forward, kForward)
MULTIACE_RADIAL_BASIS(tangent, kTangent)
MULTIACE_RADIAL_BASIS(backward, kBackward)
MULTIACE_RADIAL_BASIS(double_backward, kDoubleBackward)
