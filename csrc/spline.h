// Quintic Hermite splines on equal intervals: where in the table a distance falls, and the weights of
// the six rows from there.
//
// Rows of knot k are h^2 f''_k, h f'_k, f_k and f_{k+1} - f_k; with the first two of the next knot, six
// rows that lie together give value and derivative on the interval, without differences that cancel.
// The weights are those of multiace.plan.spline.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceSpline {
  int64_t n_rows, n_intervals;
  double width;           // h, of an interval, Å; beyond the last one everything is zero
  const void* distances;  // (rows)
  int64_t* knots;         // (rows): first of the six table rows
  void *basis, *slope;    // (rows, 6): their weights, and the derivatives of these by r
};

int multiace_spline_basis_f32(const MultiaceSpline*);
int multiace_spline_basis_f64(const MultiaceSpline*);

struct MultiaceSplineFunctions {
  int64_t n_rows, n_functions, n_knots;
  const int64_t *knots, *types;  // types may be null: one table
  const void *basis, *slope, *table;  // table: (types, n_knots, n_functions)
  void *values, *slopes;              // (rows, n_functions)
  const void* cotangent;              // of the values
  void* distance_gradient;            // (rows), added to
};

// values and slopes
int multiace_spline_functions_forward_f32(const MultiaceSplineFunctions*);
int multiace_spline_functions_forward_f64(const MultiaceSplineFunctions*);
// distance_gradient += <cotangent, slopes> of each row
int multiace_spline_functions_backward_f32(const MultiaceSplineFunctions*);
int multiace_spline_functions_backward_f64(const MultiaceSplineFunctions*);
}
