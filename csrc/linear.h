// The three products of an equivariant linear map y_{n m d} = sum_c x_{n m c} W_{z_n c d}: each is
// the derivative of the others, so that they give derivatives of every order.
//
// | symbol | argument | shape |
// |---|---|---|
// | x | x | (nodes, dim_in), irrep after irrep, each (2l + 1, c) |
// | W | weights | irrep after irrep, each (elements, c, d), in one array |
// | y | y | (nodes, dim_out), irrep after irrep, each (2l + 1, d) |
// | z | species | (nodes), or null: one element |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceLinear {
  const int64_t* table;  // words of a LinearTable
  int64_t n_nodes, n_elements, n_threads;
  int64_t accumulate;    // 1 to add to the result, 0 to overwrite it
  const int64_t* species;
  void *x, *weights, *y;  // two operands and the result
  // W in the order in which a product reads it, written by the `pack` of that product and read in place of
  // weights; or null. It has room for the columns of every matrix padded to 32.
  void* packed;
};

// y (+)= x W; irreps that x lacks are zero
int multiace_linear_forward_f32(const MultiaceLinear*);
int multiace_linear_forward_f64(const MultiaceLinear*);
// x (+)= y W^T
int multiace_linear_transposed_f32(const MultiaceLinear*);
int multiace_linear_transposed_f64(const MultiaceLinear*);
// packed = W for the products above
int multiace_linear_pack_forward_f32(const MultiaceLinear*);
int multiace_linear_pack_forward_f64(const MultiaceLinear*);
int multiace_linear_pack_transposed_f32(const MultiaceLinear*);
int multiace_linear_pack_transposed_f64(const MultiaceLinear*);
// W (+)= x^T y
int multiace_linear_outer_f32(const MultiaceLinear*);
int multiace_linear_outer_f64(const MultiaceLinear*);
}
