// sum_{j in N(i)} R_{p c}(j -> i) sum_{a m} C^p_{a m b} Y_m(j -> i) h_{j a c} and its derivatives.
//
// | symbol | argument | shape |
// |---|---|---|
// | h | features | (senders' nodes, dim_in) |
// | Y | harmonics | (edges, lm) |
// | u | hidden | (pairs, n_hidden); the two directions of a pair share a row |
// | V | weights | (types, n_hidden, n_weights), or rows that types share |
// | R = u V | never stored | |
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
  const void* cotangent;                         // g: (receivers' nodes, dim_out)
  const void *features_dot, *harmonics_dot, *hidden_dot, *weights_dot;  // each may be null: zero
  // Results; those that are null are not computed.
  void* pooled;                                  // forward: A; double backward: A dot
  void *features_gradient, *harmonics_gradient, *hidden_gradient, *weights_gradient;
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
