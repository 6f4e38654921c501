// rho_{i z k lm} = sum_{j in N(i), z_ji = z} u_k(j -> i) Y_lm(j -> i), k in a range of each l, and its derivatives.
//
// | symbol | argument | shape |
// |---|---|---|
// | z_ji | edge_types | (edges) |
// | Y | harmonics | (edges, lm) |
// | u | hidden | (pairs, k); the two directions of a pair share a row |
// | rho | density | (nodes, dim), lm after lm, each (types, k of the range of l) |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceNeighbourDensity {
  const int64_t* table;  // words of a DensityTable
  int64_t n_nodes, n_edges, n_pairs, n_threads;
  const int64_t *edge_types, *receivers;
  const int64_t* pairs;  // row of u that each edge takes, or null: its own, n_pairs being n_edges
  const void *harmonics, *hidden, *cotangent;
  const void *harmonics_dot, *hidden_dot;  // each may be null: zero
  // Results; those that are null are not computed.
  void* density;  // forward; double backward: its tangent
  void *harmonics_gradient, *hidden_gradient;
};

// density
int multiace_neighbour_density_forward_f32(const MultiaceNeighbourDensity*);
int multiace_neighbour_density_forward_f64(const MultiaceNeighbourDensity*);
// gradients of <cotangent, density>
int multiace_neighbour_density_backward_f32(const MultiaceNeighbourDensity*);
int multiace_neighbour_density_backward_f64(const MultiaceNeighbourDensity*);
// tangents, along the dots, of the density and of the gradients
int multiace_neighbour_density_double_backward_f32(const MultiaceNeighbourDensity*);
int multiace_neighbour_density_double_backward_f64(const MultiaceNeighbourDensity*);
}
