// With tangents, each array has two rows an edge, stacked so that one product does both:
// features (u, u dot) on the way forward, cotangents (g dot, g) on the way back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "elementary.h"
#include "gemm.h"
#include "radial_network.h"
#include "simd.h"
#include "threads.h"

namespace multiace::radial_network {

constexpr int64_t kRowsOfBlock = 96;

enum class Pass { kForward, kBackward, kDoubleBackward, kTangent };

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

/// Matrices packed for products with W and with W^T; null for those that are zero.
template <class T>
struct PackedLayers {
  std::vector<const T*> forward, backward;

  /// Memory has `array<T>(n)`, as `Scratch` does.
  template <class Memory>
  PackedLayers(const MultiaceRadialNetwork& c, const T* weights, Memory& memory) {
    for (int64_t l = 1; l <= c.n_layers; ++l) {
      const int64_t in = c.widths[l - 1], out = c.widths[l];
      T* to = weights ? memory.template array<T>(packed_size<T>(in, out)) : nullptr;
      T* back = weights ? memory.template array<T>(packed_size<T>(out, in)) : nullptr;
      if (weights) {
        pack(in, out, weights, out, int64_t{1}, to);
        pack(out, in, weights, int64_t{1}, out, back);
        weights += in * out;
      }
      forward.push_back(to);
      backward.push_back(back);
    }
  }
};

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

}  // namespace multiace::radial_network
