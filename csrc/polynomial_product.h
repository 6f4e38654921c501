// m_{M c} = sum_q k^z_{q c} prod_f A_{f c} over the terms q of row M, k^z_{q c} = sum_eta U_{q eta} w^z_{eta c},
// channel by channel, and its derivatives.
//
// | symbol | argument | shape |
// |---|---|---|
// | A | features | (nodes, components, channels) |
// | w | weights | (elements, paths, channels) |
// | z | species | (nodes), or null: one element |
// | U, terms | table | words of a ProductTable, packed |
// | m | product | (nodes, rows, channels) |
//
// Dots are tangents: a `_dot` is the rate of change of an operand along one direction.
#pragma once

#include <cstdint>

extern "C" {

struct MultiacePolynomialProduct {
  const int64_t* table;
  int64_t n_nodes, n_channels, n_elements, n_threads;
  const int64_t* species;
  const void *features, *weights;
  const void* cotangent;                     // g: as the product
  const void *features_dot, *weights_dot;    // each may be null: zero
  // Results; those that are null are not computed.
  void* product;                             // forward: m; double backward: m dot
  void *features_gradient, *weights_gradient;
  // k = U w, element after element, each (tiles of channels, terms, lanes), written by `mix` and then read in place of
  // weights, whose gradient is not computed; or null.
  void* mixed;
};

// All return a code of errors.h; a node's element must be one of n_elements.
// mixed, of all elements
int multiace_polynomial_product_mix_f32(const MultiacePolynomialProduct*);
int multiace_polynomial_product_mix_f64(const MultiacePolynomialProduct*);
// product = m
int multiace_polynomial_product_forward_f32(const MultiacePolynomialProduct*);
int multiace_polynomial_product_forward_f64(const MultiacePolynomialProduct*);
// gradients of <cotangent, m>
int multiace_polynomial_product_backward_f32(const MultiacePolynomialProduct*);
int multiace_polynomial_product_backward_f64(const MultiacePolynomialProduct*);
// tangents, along the dots (one at least), of m and of the gradients of <cotangent, m>
int multiace_polynomial_product_double_backward_f32(const MultiacePolynomialProduct*);
int multiace_polynomial_product_double_backward_f64(const MultiacePolynomialProduct*);
}
