// Uniform cubic B-splines: which knots a distance lies between, and the weights of their values.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceSpline {
  int64_t n_edges, n_intervals;
  double width;           // of an interval, Å; beyond the last one everything is zero
  const void* distances;  // (edges)
  int64_t* knots;         // (edges): first of the four table rows
  void *basis, *slope;    // (edges, 4): B_q and dB_q/dr
};

int multiace_spline_basis_f32(const MultiaceSpline*);
int multiace_spline_basis_f64(const MultiaceSpline*);
}
