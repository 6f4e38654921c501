// Distances of edges and their real spherical harmonics, component-normalised.
//
// | symbol | argument | shape |
// |---|---|---|
// | r | vectors | (edges, 3) |
// | d = sqrt(r^2 + tiny) | distances | (edges) |
// | Y_lm(r / d) | harmonics | (edges, (l_max + 1)^2) |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceEdgeBasis {
  int64_t l_max, n_edges, n_threads;  // l_max up to 6
  const void *vectors, *vectors_dot;
  const void *distances_cotangent, *harmonics_cotangent;  // each may be null: zero
  // Results; those that are null are not computed.
  void *distances, *harmonics;  // forward, or their tangents
  void* vectors_gradient;       // backward, or its tangent
};

// distances and harmonics
int multiace_edge_basis_forward_f32(const MultiaceEdgeBasis*);
int multiace_edge_basis_forward_f64(const MultiaceEdgeBasis*);
// gradient of <cotangents, (distances, harmonics)>
int multiace_edge_basis_backward_f32(const MultiaceEdgeBasis*);
int multiace_edge_basis_backward_f64(const MultiaceEdgeBasis*);
// tangents, along vectors_dot, of distances and harmonics and of the gradient
int multiace_edge_basis_double_backward_f32(const MultiaceEdgeBasis*);
int multiace_edge_basis_double_backward_f64(const MultiaceEdgeBasis*);
}
