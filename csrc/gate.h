// Activations of scalars, and other irreps times an activation of their gates.
//
// | segment | y_{n m c} |
// |---|---|
// | scalars | f(x_{n c}) |
// | gated | x_{n m c} f(s_{n c}) |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceGate {
  const int64_t* table;  // words of a GateTable
  int64_t n_nodes, n_threads;
  const void *x, *cotangent, *x_dot;  // (nodes, dim_in), (nodes, dim_out), (nodes, dim_in)
  // Results; those that are null are not computed.
  void *y, *x_gradient;  // forward and backward, or their tangents along x_dot
};

// y
int multiace_gate_forward_f32(const MultiaceGate*);
int multiace_gate_forward_f64(const MultiaceGate*);
// gradient of <cotangent, y>
int multiace_gate_backward_f32(const MultiaceGate*);
int multiace_gate_backward_f64(const MultiaceGate*);
// tangents of y and of the gradient
int multiace_gate_double_backward_f32(const MultiaceGate*);
int multiace_gate_double_backward_f64(const MultiaceGate*);
}
