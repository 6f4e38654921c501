// sum_{j in N(i)} R_{p c}(j -> i) sum_{a m} C^p_{a m b} Y_m(j -> i) h_{j a c} and its derivatives.
//
// | symbol | argument | shape |
// |---|---|---|
// | h | features | (senders' nodes, dim_in) |
// | Y | harmonics | (edges, lm) |
// | u | hidden | (pairs, n_hidden); the two directions of a pair share a row |
// | V | weights | (types, n_hidden, n_weights), or rows that types share |
// | R = u V, or a spline | never stored | |
// | A | pooled | (receivers' nodes, dim_out) |
//
// Dots are tangents: a `_dot` is the rate of change of an operand along one direction.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceConvolution {
  const int64_t* table;  // words of a ConvolutionTable
  int64_t n_senders, n_receivers, n_edges, n_pairs, n_hidden, n_types;
  int64_t type_rows;  // rows of weights from one type to the next: n_hidden, or fewer where types share rows
  int64_t n_threads;
  const int64_t *senders, *receivers, *edge_types;  // edge_types may be null: one type
  const int64_t* pairs;  // row of u that each edge takes, or null: its own, n_pairs being n_edges
  const void *features, *harmonics, *hidden, *weights;
  // Radial functions from a table of splines (spline.h) instead of u V: R = sum_q basis_q table[knot + q].
  // weights is then (types, n_knots, n_weights), and hidden is not read.
  const int64_t* knots;                          // (pairs), or null
  const void *spline_basis, *spline_slope;       // (pairs, 6): values and derivatives by distance
  int64_t n_knots;
  const void* cotangent;                         // g: (receivers' nodes, dim_out)
  const void *features_dot, *harmonics_dot, *hidden_dot, *weights_dot;  // each may be null: zero
  // Results; those that are null are not computed.
  void* pooled;                                  // forward: A; double backward: A dot
  void *features_gradient, *harmonics_gradient, *hidden_gradient, *weights_gradient;
  void* distance_gradient;                       // (pairs), with a spline; added to
  int64_t add_harmonics_gradient;                // whether harmonics_gradient is added to
  // Room for n_kept radial functions u V, which a forward pass leaves there for the backward pass of the
  // same operands on as many threads, as many as fit; or null.
  void* kept;
  int64_t n_kept;
};

// pooled = A
int multiace_convolution_forward_f32(const MultiaceConvolution*);
int multiace_convolution_forward_f64(const MultiaceConvolution*);
// gradients of <cotangent, A>
int multiace_convolution_backward_f32(const MultiaceConvolution*);
int multiace_convolution_backward_f64(const MultiaceConvolution*);
// tangents, along the dots, of A and of the gradients of <cotangent, A>
int multiace_convolution_double_backward_f32(const MultiaceConvolution*);
int multiace_convolution_double_backward_f64(const MultiaceConvolution*);
}
