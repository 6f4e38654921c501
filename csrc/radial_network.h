// Hidden features u = s f(.. f(e W_1 + b_1) ..) of distances and their derivatives, layer by layer for
// a block of rows that stays in the cache.
//
// | symbol | argument | shape |
// |---|---|---|
// | e | basis | (rows, widths[0]) |
// | W_1 .. W_L | weights | each (widths[l - 1], widths[l]), in one array |
// | b_1 .. b_L | biases, or null: zero | (widths[1] + .. + widths[L]) |
// | s | envelope, or null: one | (rows) |
// | f | constant times function, see csrc/elementary.h | |
// | u | features | (rows, widths[L]) |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceRadialNetwork {
  int64_t n_rows, n_layers, n_threads;
  const int64_t* widths;
  int64_t function;
  double constant;
  const void *basis, *weights, *biases, *envelope;
  const void* cotangent;                                        // (rows, widths[L])
  const void *basis_dot, *weights_dot, *biases_dot, *envelope_dot;  // each may be null: zero
  // Results; those that are null are not computed.
  void* features;      // forward: u; double backward: u dot
  void* features_dot;  // `with_tangents`: u dot
  void *basis_gradient, *weights_gradient, *biases_gradient, *envelope_gradient;
};

// features = u
int multiace_radial_network_forward_f32(const MultiaceRadialNetwork*);
int multiace_radial_network_forward_f64(const MultiaceRadialNetwork*);
// gradients of <cotangent, u>
int multiace_radial_network_backward_f32(const MultiaceRadialNetwork*);
int multiace_radial_network_backward_f64(const MultiaceRadialNetwork*);
// tangents, along the dots, of u and of the gradients
int multiace_radial_network_double_backward_f32(const MultiaceRadialNetwork*);
int multiace_radial_network_double_backward_f64(const MultiaceRadialNetwork*);
}
