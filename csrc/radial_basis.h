// Radial basis of distances, times an envelope or beside it.
//
// | symbol | argument | shape |
// |---|---|---|
// | r | distances | (rows) |
// | x | argument | (rows); null: r |
// | k | constants | (number); not read by Chebyshev and Jacobi polynomials |
// | e_n(x) u, or e_n(x) | basis | (rows, number) |
// | u | envelope | (rows); only where it is not on the basis |
//
// e_n and u are those of `RadialBasis` in multiace.kernels.operations.radial_basis.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceRadialBasis {
  int64_t n_rows, number, n_threads;
  int64_t family;             // 0 Bessel, 1 Chebyshev, 2 Gaussian, 3 Jacobi
  int64_t envelope_power;     // p of the polynomial; 0: the cosine, -1: the two-sided envelope
  int64_t envelope_on_basis;  // 1: multiplied, 0: beside
  int64_t outer, inner;       // powers of the two-sided envelope; 0: another
  int64_t falling;            // 1: x of the Jacobi polynomials falls from 1 to 0, 0: it rises from 0 to the cutoff
  double cutoff;
  const void *distances, *argument, *constants;
  const void *distances_dot, *argument_dot, *constants_dot;  // null: zero; r dot of `tangent`: one
  const void *basis_cotangent, *envelope_cotangent;
  // Results; those that are null are not computed.
  void *basis, *envelope;          // forward and tangent
  void *basis_dot, *envelope_dot;  // tangent and double_backward
  void *distances_gradient, *argument_gradient, *constants_gradient;  // backward, or their tangents
};

// basis and envelope
int multiace_radial_basis_forward_f32(const MultiaceRadialBasis*);
int multiace_radial_basis_forward_f64(const MultiaceRadialBasis*);
// basis, envelope and their tangents
int multiace_radial_basis_tangent_f32(const MultiaceRadialBasis*);
int multiace_radial_basis_tangent_f64(const MultiaceRadialBasis*);
// gradients of <cotangents, (basis, envelope)>
int multiace_radial_basis_backward_f32(const MultiaceRadialBasis*);
int multiace_radial_basis_backward_f64(const MultiaceRadialBasis*);
// tangents of basis, envelope and these gradients
int multiace_radial_basis_double_backward_f32(const MultiaceRadialBasis*);
int multiace_radial_basis_double_backward_f64(const MultiaceRadialBasis*);
}
