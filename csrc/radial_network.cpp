#include "radial_network.h"

#include <algorithm>

#include "errors.h"
#include "radial_network_layers.h"
#include "threads.h"

namespace multiace {
namespace {

using namespace radial_network;

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
}  // namespace multiace

using multiace::dispatch;
using multiace::radial_network::Pass;

int multiace_radial_network_forward_f32(const MultiaceRadialNetwork* c) { return dispatch<float, Pass::kForward>(c); }
int multiace_radial_network_forward_f64(const MultiaceRadialNetwork* c) { return dispatch<double, Pass::kForward>(c); }
int multiace_radial_network_tangent_f32(const MultiaceRadialNetwork* c) { return dispatch<float, Pass::kTangent>(c); }
int multiace_radial_network_tangent_f64(const MultiaceRadialNetwork* c) { return dispatch<double, Pass::kTangent>(c); }
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
