#include "convolution_paths.h"

#include <type_traits>

namespace multiace::convolution {
namespace {

/// For NV vectors of channels, whose sums stay in registers.
template <class T, int DimOut, int NV, bool Tangent>
void pool_tile(const Operands<T>& o, int64_t channel, int tail, T* out, int64_t out_channels) {
  constexpr int W = kWidth<T>;
  Vector<T> sums[DimOut][NV];
  for (int b = 0; b < DimOut; ++b)
    for (int v = 0; v < NV; ++v) sums[b][v] = zero<T>();
  const int64_t stride = o.dim_in * o.lanes;
  for (int64_t e = 0; e < o.n; ++e) {
    const T* h = o.h + o.other[e] * o.h_row + channel;
    const T* h_dot = Tangent ? o.h_dot + o.other[e] * o.h_dot_row + channel : nullptr;
    Vector<T> r[NV], r_dot[NV];
    for (int v = 0; v < NV; ++v) {
      const int n = NV == 1 ? tail : W;
      r[v] = load(o.r + o.row[e] * o.r_row + channel + v * W, n);
      if constexpr (Tangent) r_dot[v] = load(o.r_dot + o.row[e] * o.r_row + channel + v * W, n);
    }
    for (int64_t a = 0; a < o.dim_in; ++a) {
      const int64_t at = a * o.channels;
      const T* t = o.t + a * o.lanes + e;
      Vector<T> rh[NV], rh_dot[NV];
      for (int v = 0; v < NV; ++v) {
        const int n = NV == 1 ? tail : W;
        const Vector<T> x = load(h + at + v * W, n);
        rh[v] = r[v] * x;
        if constexpr (Tangent) rh_dot[v] = r[v] * load(h_dot + at + v * W, n) + r_dot[v] * x;
      }
      if constexpr (Tangent) {
        const T* t_dot = o.t_dot + a * o.lanes + e;
#pragma GCC unroll 9
        for (int b = 0; b < DimOut; ++b)
          for (int v = 0; v < NV; ++v) sums[b][v] += t[b * stride] * rh_dot[v] + t_dot[b * stride] * rh[v];
      } else {
#pragma GCC unroll 9
        for (int b = 0; b < DimOut; ++b)
          for (int v = 0; v < NV; ++v) sums[b][v] += t[b * stride] * rh[v];
      }
    }
  }
  for (int b = 0; b < DimOut; ++b)
    for (int v = 0; v < NV; ++v) store(out + b * out_channels + channel + v * W, sums[b][v], NV == 1 ? tail : W);
}

template <class T, int DimOut, bool Tangent>
void pool(const Operands<T>& o, T* out, int64_t out_channels) {
  constexpr int W = kWidth<T>;
  int64_t c = 0;
  if constexpr (2 * DimOut <= kRegisters - 10)
    for (; c + 2 * W <= o.channels; c += 2 * W) pool_tile<T, DimOut, 2, Tangent>(o, c, W, out, out_channels);
  for (; c < o.channels; c += W)
    pool_tile<T, DimOut, 1, Tangent>(o, c, static_cast<int>(std::min<int64_t>(W, o.channels - c)), out, out_channels);
}

/// Components first .. first + Some of h: y_a = sum_b T_ba g_b; gh_a += R y_a; gR = sum_a y_a h_a; gT = sum_c R h_a g_b.
template <class T, int Some, int DimOut, bool Tangent, bool WithT>
void pull_block(const Operands<T>& o, const Gradients<T>& to, int64_t first) {
  constexpr int W = kWidth<T>;
  const int64_t stride = o.dim_in * o.lanes, C = o.channels;
  for (int64_t e = 0; e < o.n; ++e) {
    const bool more = first > 0 || to.again[e];
    const T* t = o.t + first * o.lanes + e;
    const T* t_dot = Tangent ? o.t_dot + first * o.lanes + e : nullptr;
    const int64_t row = o.row[e] * o.r_row;
    const T *r = o.r + row, *r_dot = Tangent ? o.r_dot + row : nullptr;
    const T* h = o.h + o.other[e] * o.h_row + first * C;
    const T* h_dot = Tangent ? o.h_dot + o.other[e] * o.h_dot_row + first * C : nullptr;
    T* __restrict h_gradient = to.h_gradient ? to.h_gradient + o.other[e] * o.h_row + first * C : nullptr;
    Vector<T> sums[Some * DimOut];
    if constexpr (WithT)
      for (Vector<T>& total : sums) total = zero<T>();
    // `n` lanes from channel c; a constant where the vector is full, so that nothing is asked inside
    const auto lanes = [&](int64_t c, auto n) __attribute__((always_inline)) {
      const Vector<T> rv = load(r + c, n);
      Vector<T> r_dot_v = zero<T>();
      if constexpr (Tangent) r_dot_v = load(r_dot + c, n);
      Vector<T> gs[DimOut];
      for (int b = 0; b < DimOut; ++b) gs[b] = load(to.g + b * to.out_channels + c, n);
      Vector<T> r_gradient = zero<T>(), plain = zero<T>();
#pragma GCC unroll 9
      for (int a = 0; a < Some; ++a) {
        Vector<T> y = zero<T>(), y_dot = zero<T>();
#pragma GCC unroll 9
        for (int b = 0; b < DimOut; ++b) {
          y += t[b * stride + a * o.lanes] * gs[b];
          if constexpr (Tangent) y_dot += t_dot[b * stride + a * o.lanes] * gs[b];
        }
        const Vector<T> x = load(h + a * C + c, n);
        Vector<T> rx, pulled;
        if constexpr (Tangent) {
          const Vector<T> x_dot = load(h_dot + a * C + c, n);
          r_gradient += y_dot * x + y * x_dot;
          plain += y * x;
          rx = r_dot_v * x + rv * x_dot;
          pulled = rv * y_dot + r_dot_v * y;
        } else {
          r_gradient += y * x;
          rx = rv * x;
          pulled = rv * y;
        }
        if (h_gradient) store(h_gradient + a * C + c, load(h_gradient + a * C + c, n) + pulled, n);
        if constexpr (WithT)
#pragma GCC unroll 9
          for (int b = 0; b < DimOut; ++b) sums[b * Some + a] += rx * gs[b];
      }
      T* __restrict to_r = to.r_gradient + row + c;
      store(to_r, more ? load(to_r, n) + r_gradient : r_gradient, n);
      if constexpr (Tangent)
        if (to.r_gradient_plain) {
          T* __restrict at = to.r_gradient_plain + row + c;
          store(at, more ? load(at, n) + plain : plain, n);
        }
    };
    int64_t c = 0;
    for (; c + W <= C; c += W) lanes(c, std::integral_constant<int, W>{});
    if (c < C) lanes(c, static_cast<int>(C - c));
    if constexpr (WithT) {
      T totals[(Some * DimOut + 3) / 4 * 4];
      sum_each<T, Some * DimOut>(sums, totals);
      for (int b = 0; b < DimOut; ++b)
        for (int a = 0; a < Some; ++a)
          to.t_gradient[b * stride + (first + a) * o.lanes + e] = totals[b * Some + a];
    }
  }
}

/// How many components of h a block takes, so that its sums fit the registers.
constexpr int block_of(int dim_out) {
  const int sums = kRegisters == 32 ? 20 : 9;
  return dim_out >= sums ? 1 : (sums / dim_out > 5 ? 5 : sums / dim_out);
}

template <class T, int DimOut, bool Tangent, bool WithT>
void pull(const Operands<T>& o, const Gradients<T>& to) {
  constexpr int kMost = block_of(DimOut);
  for (int64_t a = 0, blocks = (o.dim_in + kMost - 1) / kMost; blocks > 0; --blocks) {
    const int64_t some = (o.dim_in - a + blocks - 1) / blocks;
    if (some == 1) pull_block<T, 1, DimOut, Tangent, WithT>(o, to, a);
    if constexpr (kMost >= 2) if (some == 2) pull_block<T, 2, DimOut, Tangent, WithT>(o, to, a);
    if constexpr (kMost >= 3) if (some == 3) pull_block<T, 3, DimOut, Tangent, WithT>(o, to, a);
    if constexpr (kMost >= 4) if (some == 4) pull_block<T, 4, DimOut, Tangent, WithT>(o, to, a);
    if constexpr (kMost >= 5) if (some == 5) pull_block<T, 5, DimOut, Tangent, WithT>(o, to, a);
    a += some;
  }
}

}  // namespace

template <class T, bool Tangent>
void pool_path(const Operands<T>& o, int64_t dim_out, T* out, int64_t out_channels) {
  switch (dim_out) {
    case 1: return pool<T, 1, Tangent>(o, out, out_channels);
    case 3: return pool<T, 3, Tangent>(o, out, out_channels);
    case 5: return pool<T, 5, Tangent>(o, out, out_channels);
    case 7: return pool<T, 7, Tangent>(o, out, out_channels);
    case 9: return pool<T, 9, Tangent>(o, out, out_channels);
    case 11: return pool<T, 11, Tangent>(o, out, out_channels);
    case 13: return pool<T, 13, Tangent>(o, out, out_channels);
  }
}

template <class T, bool Tangent, bool WithT>
void pull_path(const Operands<T>& o, int64_t dim_out, const Gradients<T>& to) {
  switch (dim_out) {
    case 1: return pull<T, 1, Tangent, WithT>(o, to);
    case 3: return pull<T, 3, Tangent, WithT>(o, to);
    case 5: return pull<T, 5, Tangent, WithT>(o, to);
    case 7: return pull<T, 7, Tangent, WithT>(o, to);
    case 9: return pull<T, 9, Tangent, WithT>(o, to);
    case 11: return pull<T, 11, Tangent, WithT>(o, to);
    case 13: return pull<T, 13, Tangent, WithT>(o, to);
  }
}

#define MULTIACE_PATHS(T, TANGENT)                                                         \
  template void pool_path<T, TANGENT>(const Operands<T>&, int64_t, T*, int64_t);           \
  template void pull_path<T, TANGENT, false>(const Operands<T>&, int64_t, const Gradients<T>&); \
  template void pull_path<T, TANGENT, true>(const Operands<T>&, int64_t, const Gradients<T>&);
MULTIACE_PATHS(float, false)
MULTIACE_PATHS(float, true)
MULTIACE_PATHS(double, false)
MULTIACE_PATHS(double, true)
#undef MULTIACE_PATHS

}  // namespace multiace::convolution
