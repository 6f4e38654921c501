// Edges are the lanes. Derivatives of a solid harmonic are sums of at most two solid harmonics of
// the degree below: one table of these numbers gives gradients, and applied twice their tangents.
#include "edge_basis.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "errors.h"
#include "lanes.h"
#include "simd.h"
#include "threads.h"

namespace multiace {
namespace {

constexpr int kMostL = 6, kMostHarmonics = (kMostL + 1) * (kMostL + 1);
constexpr double kTiny = 1e-30;  // of r^2, as in kernels.operations.edge_basis

constexpr int place(int l, int m) { return l * l + l + m; }

/// dY[harmonic] / d(axis) += value Y[lower].
struct Term {
  int harmonic, axis, lower;
  double value;
};

/// Q_{l,m} = a z Q_{l-1,m} - b r^2 Q_{l-2,m}, Q_{m,m} = first; and the derivatives.
struct Harmonics {
  double first[kMostL + 1], a[kMostL + 1][kMostL + 1], b[kMostL + 1][kMostL + 1];
  std::vector<Term> terms;                // degree after degree
  int64_t n_terms[kMostL + 1];            // up to and including a degree

  Harmonics() {
    for (int m = 0; m <= kMostL; ++m) {
      first[m] = norm(m, m);
      for (int k = 3; k < 2 * m; k += 2) first[m] *= k;  // (2m - 1)!!
      for (int l = m + 1; l <= kMostL; ++l) {
        a[l][m] = std::sqrt((4.0 * l * l - 1) / (l * l - m * m));
        b[l][m] = a[l][m] * std::sqrt(((l - 1.0) * (l - 1) - m * m) / (4.0 * (l - 1) * (l - 1) - 1));
      }
    }
    for (int l = 0; l <= kMostL; ++l) {
      for (int m = 0; m <= l; ++m) add_terms(l, m);
      n_terms[l] = static_cast<int64_t>(terms.size());
    }
  }

 private:
  /// Y_{l,+-m} = norm Re, Im R_{l,m}, R_{l,m} = r^l P_lm(z / r) e^(i m phi) without (-1)^m.
  static double norm(int l, int m) {
    double ratio = (m == 0 ? 1.0 : 2.0) * (2 * l + 1);
    for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
    return std::sqrt(ratio);
  }

  /// d_z R_{l,m} = (l + m) R_{l-1,m}, (d_x + i d_y) R_{l,m} = -R_{l-1,m+1},
  /// (d_x - i d_y) R_{l,m} = (l + m)(l + m - 1) R_{l-1,m-1}.
  void add_terms(int l, int m) {
    const double up = -0.5 * (m == 0 ? 2.0 : 1.0), down = 0.5 * (l + m) * (l + m - 1);
    add(l, m, 2, m, l + m);
    add(l, m, 0, m + 1, up);
    add(l, m, 1, -m - 1, up);
    if (m == 0) return;
    add(l, -m, 2, -m, l + m);
    add(l, -m, 0, -m - 1, up);
    add(l, -m, 1, m + 1, -up);
    add(l, m, 0, m - 1, down);
    add(l, -m, 1, m - 1, down);
    if (m == 1) return;
    add(l, m, 1, 1 - m, -down);
    add(l, -m, 0, 1 - m, down);
  }

  void add(int l, int m, int axis, int lower, double value) {
    if (std::abs(lower) >= l) return;
    value *= norm(l, std::abs(m)) / norm(l - 1, std::abs(lower));
    terms.push_back({place(l, m), axis, place(l - 1, lower), value});
  }
};

const Harmonics& harmonics() {
  static const Harmonics table;
  return table;
}

/// One vector of edges.
template <class T>
struct Edges {
  Vector<T> n[3], inverse, distance;  // r / d, 1 / d, d
  Vector<T> y[kMostHarmonics];

  void evaluate(int l_max, const Vector<T>* r) {
    distance = square_root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2] + T(kTiny));
    inverse = T(1) / distance;
    for (int k = 0; k < 3; ++k) n[k] = r[k] * inverse;
    const Harmonics& table = harmonics();
    const Vector<T> square = n[0] * n[0] + n[1] * n[1] + n[2] * n[2];
    Vector<T> cosine = broadcast(T(1)), sine = zero<T>();  // Re and Im of (x + iy)^m
    for (int m = 0; m <= l_max; ++m) {
      Vector<T> q = broadcast(static_cast<T>(table.first[m])), before = zero<T>();
      for (int l = m; l <= l_max; ++l) {
        if (l > m) {
          const Vector<T> next = static_cast<T>(table.a[l][m]) * n[2] * q - static_cast<T>(table.b[l][m]) * square * before;
          before = q;
          q = next;
        }
        y[place(l, m)] = q * cosine;
        if (m > 0) y[place(l, -m)] = q * sine;
      }
      const Vector<T> next = n[0] * cosine - n[1] * sine;
      sine = n[0] * sine + n[1] * cosine;
      cosine = next;
    }
  }

 private:
  static Vector<T> square_root(Vector<T> x) {
    Vector<T> root;
    for (int k = 0; k < kWidth<T>; ++k) root[k] = std::sqrt(x[k]);
    return root;
  }
};

template <class T>
inline Vector<T> dot(const Vector<T>* a, const Vector<T>* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/// What the passes do with one vector of edges.
template <class T>
class Block {
 public:
  Block(const MultiaceEdgeBasis& c, int64_t first)
      : c_(c), first_(first), n_(static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_edges - first))) {
    width_ = (c.l_max + 1) * (c.l_max + 1);
    Vector<T> r[3];
    read(c.vectors, 3, r);
    e_.evaluate(static_cast<int>(c.l_max), r);
  }

  void forward() {
    if (c_.distances) store(static_cast<T*>(c_.distances) + first_, e_.distance, n_);
    if (c_.harmonics) write(e_.y, width_, c_.harmonics);
  }

  void backward() {
    pull();
    const Vector<T> radial = dot<T>(e_.n, gn_);
    Vector<T> gradient[3];
    for (int k = 0; k < 3; ++k) gradient[k] = gd_ * e_.n[k] + e_.inverse * (gn_[k] - e_.n[k] * radial);
    write(gradient, 3, c_.vectors_gradient);
  }

  void double_backward() {
    Vector<T> r_dot[3], n_dot[3];
    read(c_.vectors_dot, 3, r_dot);
    const Vector<T> d_dot = dot<T>(e_.n, r_dot);
    for (int k = 0; k < 3; ++k) n_dot[k] = e_.inverse * (r_dot[k] - e_.n[k] * d_dot);
    Vector<T> y_dot[kMostHarmonics];
    push(n_dot, y_dot);
    if (c_.distances) store(static_cast<T*>(c_.distances) + first_, d_dot, n_);
    if (c_.harmonics) write(y_dot, width_, c_.harmonics);
    if (c_.vectors_gradient == nullptr) return;
    pull();
    Vector<T> gn_dot[3];
    differentiate(y_dot, gn_dot);
    const Vector<T> radial = dot<T>(e_.n, gn_), radial_dot = dot<T>(n_dot, gn_) + dot<T>(e_.n, gn_dot);
    Vector<T> gradient[3];
    for (int k = 0; k < 3; ++k) {
      const Vector<T> across = gn_[k] - e_.n[k] * radial;
      const Vector<T> across_dot = gn_dot[k] - n_dot[k] * radial - e_.n[k] * radial_dot;
      gradient[k] = gd_ * n_dot[k] + e_.inverse * (across_dot - e_.inverse * d_dot * across);
    }
    write(gradient, 3, c_.vectors_gradient);
  }

 private:
  void read(const void* rows, int64_t width, Vector<T>* columns) const {
    Lanes<T>::load_columns(static_cast<const T*>(rows) + first_ * width, width, n_, columns);
  }
  void write(const Vector<T>* columns, int64_t width, void* rows) const {
    Lanes<T>::store_columns(columns, width, n_, static_cast<T*>(rows) + first_ * width);
  }

  /// gd and gn_k = sum_lm gY_lm dY_lm/dn_k.
  void pull() {
    gd_ = c_.distances_cotangent ? load(static_cast<const T*>(c_.distances_cotangent) + first_, n_) : zero<T>();
    if (c_.harmonics_cotangent)
      read(c_.harmonics_cotangent, width_, gy_);
    else
      std::fill(gy_, gy_ + width_, zero<T>());
    differentiate(e_.y, gn_);
  }

  /// to_k = sum_lm gY_lm sum_lower D Y_lower.
  void differentiate(const Vector<T>* y, Vector<T>* to) const {
    Vector<T> sums[3] = {zero<T>(), zero<T>(), zero<T>()};
    const Harmonics& table = harmonics();
    for (int64_t t = 0; t < table.n_terms[c_.l_max]; ++t) {
      const Term& term = table.terms[t];
      sums[term.axis] += static_cast<T>(term.value) * gy_[term.harmonic] * y[term.lower];
    }
    std::copy(sums, sums + 3, to);
  }

  /// y_dot_lm = sum_k n_dot_k dY_lm/dn_k.
  void push(const Vector<T>* n_dot, Vector<T>* y_dot) const {
    std::fill(y_dot, y_dot + width_, zero<T>());
    const Harmonics& table = harmonics();
    for (int64_t t = 0; t < table.n_terms[c_.l_max]; ++t) {
      const Term& term = table.terms[t];
      y_dot[term.harmonic] += static_cast<T>(term.value) * n_dot[term.axis] * e_.y[term.lower];
    }
  }

  const MultiaceEdgeBasis& c_;
  int64_t first_, width_;
  int n_;
  Edges<T> e_;
  Vector<T> gd_, gn_[3], gy_[kMostHarmonics];
};

template <class T>
int run(const MultiaceEdgeBasis& c, void (Block<T>::*pass)()) {
  if (c.l_max < 0 || c.l_max > kMostL) return kOutOfRange;
  const int64_t n_blocks = (c.n_edges + kWidth<T> - 1) / kWidth<T>;
  constexpr int64_t kBlocksOfPart = 32;  // fewer are not worth a thread
  parallel_for(static_cast<int>(c.n_threads), n_blocks, kBlocksOfPart, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      Block<T> block(c, b * kWidth<T>);
      (block.*pass)();
    }
  });
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::Block;
using multiace::error_code;
using multiace::run;

int multiace_edge_basis_forward_f32(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<float>(*c, &Block<float>::forward); });
}
int multiace_edge_basis_forward_f64(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<double>(*c, &Block<double>::forward); });
}
int multiace_edge_basis_backward_f32(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<float>(*c, &Block<float>::backward); });
}
int multiace_edge_basis_backward_f64(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<double>(*c, &Block<double>::backward); });
}
int multiace_edge_basis_double_backward_f32(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<float>(*c, &Block<float>::double_backward); });
}
int multiace_edge_basis_double_backward_f64(const MultiaceEdgeBasis* c) {
  return error_code([&] { return run<double>(*c, &Block<double>::double_backward); });
}
