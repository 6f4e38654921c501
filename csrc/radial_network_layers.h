// Hidden layers with their matrices packed beforehand.
#pragma once

#include <cstdint>
#include <vector>

#include "gemm.h"
#include "radial_network.h"

namespace multiace::radial_network {

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

/// features = u and features_dot = its tangent, along the dots; those of weights are `none`.
template <class T>
void with_tangents(const MultiaceRadialNetwork& c, const PackedLayers<T>& weights, const PackedLayers<T>& none);

}  // namespace multiace::radial_network
