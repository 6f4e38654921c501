// One path over the edges of one node: sums over its edges, and the gradients of these.
#pragma once

#include <algorithm>

#include "convolution_table.h"
#include "simd.h"

namespace multiace::convolution {

/// T = sum_m C Y_m of one path for the edges of a node: entry (b, a) of edge e is t[(b * dim_in + a) * lanes + e].
template <class T>
void couple(const Table& table, const Path& path, const T* harmonics, int64_t lanes, T* t) {
  std::fill(t, t + path.dim_in * path.dim_out * lanes, T(0));
  for (int64_t q = path.couplings; q < path.couplings_end; ++q) {
    const Coupling& coupling = table.couplings[q];
    const Vector<T> value = broadcast(static_cast<T>(coupling.value));
    const T* y = harmonics + coupling.harmonic * lanes;
    T* to = t + coupling.entry * lanes;
    for (int64_t e = 0; e < lanes; e += kWidth<T>) store(to + e, load(to + e) + value * load(y + e));
  }
}

/// gY_m += sum C gT.
template <class T>
void uncouple(const Table& table, const Path& path, const T* t, int64_t lanes, T* harmonics) {
  for (int64_t q = path.couplings; q < path.couplings_end; ++q) {
    const Coupling& coupling = table.couplings[q];
    const Vector<T> value = broadcast(static_cast<T>(coupling.value));
    const T* from = t + coupling.entry * lanes;
    T* y = harmonics + coupling.harmonic * lanes;
    for (int64_t e = 0; e < lanes; e += kWidth<T>) store(y + e, load(y + e) + value * load(from + e));
  }
}

/// Operands of one path; R of edge e is `r + row[e] * r_row`, h of its other end `h + other[e] * h_row`.
template <class T>
struct Operands {
  int64_t n, lanes;
  const int64_t *other, *row;
  int64_t dim_in, channels;
  const T *t, *t_dot;  // (dim_out * dim_in, lanes)
  const T *r, *r_dot;
  int64_t r_row;
  const T *h, *h_dot;
  int64_t h_row, h_dot_row;
};

/// A_b += sum_e T_ba R h_a, or its tangent, b = 1 .. dim_out.
template <class T, bool Tangent>
void pool_path(const Operands<T>& o, int64_t dim_out, T* out, int64_t out_channels);

/// Gradients of one path for the edges of one receiver.
template <class T>
struct Gradients {
  const T* g;               // cotangent of the receiver at the path's first component
  int64_t out_channels;
  T* h_gradient;            // at the irrep of h; the sender of edge e has row other[e]; or null
  T *r_gradient, *r_gradient_plain;  // rows of R (or its tangent), and without tangent
  const bool* again;                 // whether an edge before has written its row
  T* t_gradient;            // (dim_out * dim_in, lanes), or null
};

/// Add up the gradients of <g, A> by h, and those by R and T, or their tangents.
template <class T, bool Tangent, bool WithT>
void pull_path(const Operands<T>& o, int64_t dim_out, const Gradients<T>& to);

}  // namespace multiace::convolution
