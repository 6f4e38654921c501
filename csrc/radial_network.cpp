// With tangents, each array has two rows an edge, stacked so that one product does both:
// features (u, u dot) on the way forward, cotangents (g dot, g) on the way back.
#include "radial_network.h"

#include <algorithm>
#include <utility>

#include "elementary.h"
#include "errors.h"
#include "radial_network_layers.h"
#include "simd.h"
#include "threads.h"

namespace multiace::radial_network {
namespace {

constexpr int64_t kRowsOfBlock = 96;

enum class Pass { kForward, kBackward, kDoubleBackward, kTangent };

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

/// A row of an array, or null.
template <class T>
T* at(const void* rows, int64_t row, int64_t width) {
  return rows ? const_cast<T*>(as<T>(rows)) + row * width : nullptr;
}

template <class T>
void copy_or_clear(const T* from, int64_t n, T* to) {
  if (from)
    std::copy_n(from, n, to);
  else
    std::fill_n(to, n, T(0));
}

/// The layers for one block of edges after the other.
template <class T, Pass P, Function F>
class Worker {
  static constexpr bool kTangent = P == Pass::kDoubleBackward || P == Pass::kTangent;
  static constexpr bool kPullsBack = P == Pass::kBackward || P == Pass::kDoubleBackward;
  static constexpr int64_t kCopies = kTangent ? 2 : 1;

 public:
  static constexpr int64_t kBasisRowsOfBlock = kRowsOfBlock / kCopies;

  /// to_weights and to_biases add gradients up; they may be null.
  Worker(const MultiaceRadialNetwork& c, const PackedLayers<T>& weights, const PackedLayers<T>& weights_dot,
         T* to_weights, T* to_biases, Scratch& scratch)
      : c_(c), weights_(weights), weights_dot_(weights_dot), to_weights_(to_weights), to_biases_(to_biases) {
    widest_ = *std::max_element(c.widths, c.widths + c.n_layers + 1);
    for (int64_t l = 0; l <= c.n_layers; ++l) {
      u_.push_back(scratch.array<T>(kRowsOfBlock * c.widths[l]));
      slope_.push_back(!kPullsBack ? nullptr : scratch.array<T>(kRowsOfBlock * c.widths[l]));
    }
    g_ = scratch.array<T>(kRowsOfBlock * widest_);
    next_g_ = scratch.array<T>(kRowsOfBlock * widest_);
    packed_ = scratch.array<T>(packed_size<T>(kRowsOfBlock, widest_));
  }

  void block(int64_t first, int64_t n) {
    first_ = first, n_ = n;
    forward();
    if (c_.features) write_features();
    if (kPullsBack) backward();
  }

 private:
  int64_t width(int64_t l) const { return c_.widths[l]; }

  void forward() {
    copy_or_clear(at<T>(c_.basis, first_, width(0)), n_ * width(0), u_[0]);
    if (kTangent) copy_or_clear(at<T>(c_.basis_dot, first_, width(0)), n_ * width(0), u_[0] + n_ * width(0));
    int64_t bias = 0;
    for (int64_t l = 1; l <= c_.n_layers; bias += width(l++)) {
      const int64_t in = width(l - 1), out = width(l);
      multiply(kCopies * n_, out, in, u_[l - 1], in, int64_t{1}, weights_.forward[l - 1], u_[l], out, false);
      if (kTangent && weights_dot_.forward[l - 1])
        multiply(n_, out, in, u_[l - 1], in, int64_t{1}, weights_dot_.forward[l - 1], u_[l] + n_ * out, out, true);
      if (c_.biases) add_to_rows(as<T>(c_.biases) + bias, n_, out, u_[l]);
      if (kTangent && c_.biases_dot) add_to_rows(as<T>(c_.biases_dot) + bias, n_, out, u_[l] + n_ * out);
      activate(n_ * out, u_[l], slope_[l]);
    }
  }

  static void add_to_rows(const T* row, int64_t n, int64_t width, T* rows) {
    for (int64_t e = 0; e < n; ++e)
      for (int64_t c = 0; c < width; ++c) rows[e * width + c] += row[c];
  }

  /// z -> f(z), and with tangents z dot -> f'(z) z dot; keep the slopes f'(z) and f''(z) z dot.
  void activate(int64_t size, T* z, T* slope) const {
    const T constant = static_cast<T>(c_.constant);
    for (int64_t k = 0; k < size; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, size - k));
      constexpr int kOrder = P == Pass::kTangent ? 1 : static_cast<int>(P);
      const auto f = derivatives<T, F, kOrder>(load(z + k, n), constant);
      store(z + k, f.f, n);
      if constexpr (kPullsBack) store(slope + k, f.first, n);
      if constexpr (kTangent) {
        const Vector<T> z_dot = load(z + size + k, n);
        store(z + size + k, f.first * z_dot, n);
        if constexpr (kPullsBack) store(slope + size + k, f.second * z_dot, n);
      }
    }
  }

  /// s u, its tangent s u dot + s dot u, or both.
  void write_features() const {
    const int64_t w = width(c_.n_layers);
    const T *u = u_[c_.n_layers], *u_dot = u + n_ * w;
    const T *s = at<T>(c_.envelope, first_, 1), *s_dot = at<T>(c_.envelope_dot, first_, 1);
    const void *to = c_.features, *to_dot = c_.features_dot;
    if (P == Pass::kDoubleBackward) std::swap(to, to_dot);
    for (int64_t e = 0; e < n_; ++e, u += w, u_dot += w) {
      const T factor = s ? s[e] : T(1), factor_dot = kTangent && s_dot ? s_dot[e] : T(0);
      T *row = at<T>(to, first_ + e, w), *row_dot = at<T>(to_dot, first_ + e, w);
      for (int64_t k = 0; row && k < w; ++k) row[k] = factor * u[k];
      for (int64_t k = 0; kTangent && row_dot && k < w; ++k) row_dot[k] = factor * u_dot[k] + factor_dot * u[k];
    }
  }

  void backward() {
    start_backward();
    int64_t weight = 0, bias = 0;
    for (int64_t l = 1; l <= c_.n_layers; ++l) weight += width(l - 1) * width(l), bias += width(l);
    for (int64_t l = c_.n_layers; l >= 1; --l) {
      const int64_t in = width(l - 1), out = width(l), rows = kCopies * n_;
      weight -= in * out, bias -= out;
      through_activation(n_ * out, slope_[l]);
      if (to_weights_) {
        pack(rows, out, g_, out, int64_t{1}, packed_);
        multiply(in, out, rows, u_[l - 1], int64_t{1}, in, packed_, to_weights_ + weight, out, true);
      }
      if (to_biases_)
        for (int64_t e = 0; e < n_; ++e) add_to_rows(g_ + e * out, 1, out, to_biases_ + bias);
      if (l == 1 && c_.basis_gradient == nullptr) return;
      const int64_t wanted = l == 1 ? n_ : rows;  // of the basis, only what is asked for
      multiply(wanted, in, out, g_, out, int64_t{1}, weights_.backward[l - 1], next_g_, in, false);
      if (kTangent && weights_dot_.backward[l - 1])
        multiply(n_, in, out, g_ + n_ * out, out, int64_t{1}, weights_dot_.backward[l - 1], next_g_, in, true);
      std::swap(g_, next_g_);
    }
    if (c_.basis_gradient) std::copy_n(g_, n_ * width(0), at<T>(c_.basis_gradient, first_, width(0)));
  }

  /// Cotangents of the last layer, and the gradient by the envelope.
  void start_backward() {
    const int64_t w = width(c_.n_layers);
    const T* g = at<T>(c_.cotangent, first_, w);
    const T *s = at<T>(c_.envelope, first_, 1), *s_dot = at<T>(c_.envelope_dot, first_, 1);
    const T* u = u_[c_.n_layers] + (kTangent ? n_ * w : 0);
    T* plain = g_ + (kTangent ? n_ * w : 0);
    for (int64_t e = 0; e < n_; ++e) {
      const T factor = s ? s[e] : T(1), factor_dot = kTangent && s_dot ? s_dot[e] : T(0);
      Vector<T> along = zero<T>();
      for (int64_t c = 0; c < w; c += kWidth<T>) {
        const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, w - c));
        const int64_t k = e * w + c;
        const Vector<T> gv = load(g + k, n);
        along += gv * load(u + k, n);
        if (kTangent) store(g_ + k, factor_dot * gv, n);
        store(plain + k, factor * gv, n);
      }
      if (c_.envelope_gradient) *at<T>(c_.envelope_gradient, first_ + e, 1) = sum<T>(along);
    }
  }

  /// g -> g f', and with tangents g dot -> g dot f' + g f'' z dot.
  void through_activation(int64_t size, const T* slope) {
    T* plain = g_ + (kTangent ? size : 0);
    for (int64_t k = 0; k < size; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, size - k));
      const Vector<T> g = load(plain + k, n), first = load(slope + k, n);
      if (kTangent) store(g_ + k, load(g_ + k, n) * first + g * load(slope + size + k, n), n);
      store(plain + k, g * first, n);
    }
  }

  const MultiaceRadialNetwork& c_;
  const PackedLayers<T>&weights_, &weights_dot_;
  T *to_weights_, *to_biases_;
  int64_t widest_, first_ = 0, n_ = 0;
  std::vector<T*> u_, slope_;  // of each layer
  T *g_, *next_g_, *packed_;
};

template <class T>
void add_up(const T* parts, int64_t stride, int n_parts, int64_t size, void* result) {
  for (int64_t k = 0; result && k < size; ++k) {
    T total = T(0);
    for (int part = 0; part < n_parts; ++part) total += parts[part * stride + k];
    static_cast<T*>(result)[k] = total;
  }
}

template <class T, Pass P, Function F>
void run(const MultiaceRadialNetwork& c) {
  using Blocks = Worker<T, P, F>;
  Scratch scratch;
  const PackedLayers<T> weights(c, as<T>(c.weights), scratch), weights_dot(c, as<T>(c.weights_dot), scratch);
  int64_t n_weights = 0, n_biases = 0;
  for (int64_t l = 1; l <= c.n_layers; ++l) n_weights += c.widths[l - 1] * c.widths[l], n_biases += c.widths[l];
  const int64_t n_blocks = (c.n_rows + Blocks::kBasisRowsOfBlock - 1) / Blocks::kBasisRowsOfBlock;
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, n_blocks)));
  const bool sums = c.weights_gradient || c.biases_gradient;
  const int64_t stride = n_weights + n_biases;
  T* parts = sums ? scratch.zeros<T>(stride * n_parts) : nullptr;
  run_on_threads(n_parts, [&](int part) {
    Scratch local;
    T* to = sums ? parts + part * stride : nullptr;
    Blocks blocks(c, weights, weights_dot, c.weights_gradient ? to : nullptr,
                  c.biases_gradient ? to + n_weights : nullptr, local);
    for (int64_t b = part_start(n_blocks, part, n_parts); b < part_start(n_blocks, part + 1, n_parts); ++b) {
      const int64_t first = b * Blocks::kBasisRowsOfBlock;
      blocks.block(first, std::min(Blocks::kBasisRowsOfBlock, c.n_rows - first));
    }
  });
  add_up(parts, stride, n_parts, n_weights, c.weights_gradient);
  add_up(parts + n_weights, stride, n_parts, n_biases, c.biases_gradient);
}

template <class T, Pass P>
int dispatch(const MultiaceRadialNetwork* c) {
  return error_code([&] {
    with_function(static_cast<Function>(c->function), [&](auto function) { run<T, P, function>(*c); });
    return kSuccess;
  });
}

}  // namespace

template <class T>
void with_tangents(const MultiaceRadialNetwork& c, const PackedLayers<T>& weights, const PackedLayers<T>& none) {
  with_function(static_cast<Function>(c.function), [&](auto function) {
    using Layers = Worker<T, Pass::kTangent, function>;
    Scratch scratch;
    Layers layers(c, weights, none, nullptr, nullptr, scratch);
    for (int64_t first = 0; first < c.n_rows; first += Layers::kBasisRowsOfBlock)
      layers.block(first, std::min(Layers::kBasisRowsOfBlock, c.n_rows - first));
  });
}
template void with_tangents(const MultiaceRadialNetwork&, const PackedLayers<float>&, const PackedLayers<float>&);
template void with_tangents(const MultiaceRadialNetwork&, const PackedLayers<double>&, const PackedLayers<double>&);

}  // namespace multiace::radial_network

using multiace::radial_network::dispatch;
using multiace::radial_network::Pass;

int multiace_radial_network_forward_f32(const MultiaceRadialNetwork* c) { return dispatch<float, Pass::kForward>(c); }
int multiace_radial_network_forward_f64(const MultiaceRadialNetwork* c) { return dispatch<double, Pass::kForward>(c); }
int multiace_radial_network_backward_f32(const MultiaceRadialNetwork* c) {
  return dispatch<float, Pass::kBackward>(c);
}
int multiace_radial_network_backward_f64(const MultiaceRadialNetwork* c) {
  return dispatch<double, Pass::kBackward>(c);
}
int multiace_radial_network_double_backward_f32(const MultiaceRadialNetwork* c) {
  return dispatch<float, Pass::kDoubleBackward>(c);
}
int multiace_radial_network_double_backward_f64(const MultiaceRadialNetwork* c) {
  return dispatch<double, Pass::kDoubleBackward>(c);
}
