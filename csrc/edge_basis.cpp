// Edges are the lanes.
#include "edge_basis.h"

#include <algorithm>

#include "edge_basis_lanes.h"
#include "errors.h"
#include "lanes.h"
#include "simd.h"
#include "threads.h"

namespace multiace {
namespace {

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
