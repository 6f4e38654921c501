// The loop is nodes, then chunks of paths, then edges: the radial functions of a node's edges live
// in the cache for the time of one chunk, sums over edges in registers.
//
// Every pass runs over receivers, whose rows of A and of its cotangent stay in the cache. All results
// belong to a receiver or to one of its edges, but for the gradient of h_j: each part of the nodes
// sums its own, and these are added in the order of the parts.
#include "convolution.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "errors.h"
#include "gemm.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

struct Path {
  int64_t dim_in, dim_out;      // 2 l + 1 of h and of A
  int64_t in, channels;         // where h's irrep starts in a row, and its channels
  int64_t out, out_channels;    // where the path starts in a row of A, and the channels of its irrep
  int64_t weight;               // first radial weight
  int64_t couplings, couplings_end;
};

struct Coupling {
  int64_t harmonic, entry;  // T[entry] += value * Y[harmonic], entry = b * dim_in + a
  double value;
};

struct Chunk {  // consecutive paths whose radial functions are formed together
  int64_t first, last, weight, n_weights;
};

constexpr int64_t kPathWords = 9;
constexpr int64_t kChunkWeights = 128;
constexpr int64_t kFewHidden = 8;  // up to here u V is formed from rows of V as they are, not packed

struct Table {
  int64_t n_paths, dim_in, dim_out, n_harmonics, n_weights, largest_entry;
  const Path* paths;
  const Coupling* couplings;
  std::vector<Chunk> chunks;

  explicit Table(const int64_t* words) {
    n_paths = words[0], dim_in = words[1], dim_out = words[2], n_harmonics = words[3], n_weights = words[4];
    largest_entry = words[5];
    paths = reinterpret_cast<const Path*>(words + 6);
    couplings = reinterpret_cast<const Coupling*>(words + 6 + n_paths * kPathWords);
    for (int64_t p = 0; p < n_paths; ++p) {
      if (chunks.empty() || chunks.back().n_weights >= kChunkWeights)
        chunks.push_back({p, p, paths[p].weight, 0});
      chunks.back().last = p + 1;
      chunks.back().n_weights += paths[p].channels;
    }
  }
  int64_t widest_chunk() const {
    int64_t widest = 0;
    for (const Chunk& chunk : chunks) widest = std::max(widest, chunk.n_weights);
    return widest;
  }
};

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

static_assert(sizeof(Path) == kPathWords * 8 && sizeof(Coupling) == 24, "the table is read in place");

/// V packed for u V (and for gR V^T), type after type and chunk after chunk.
template <class T>
struct PackedWeights {
  const T *forward = nullptr, *transposed = nullptr;
  int64_t forward_type = 0, transposed_type = 0;  // sizes of one type
  std::vector<int64_t> forward_chunk, transposed_chunk;

  PackedWeights(const Table& table, const MultiaceConvolution& c, const T* weights, bool backward, Scratch& scratch) {
    const int64_t n_types = c.n_types, n_hidden = c.n_hidden;
    if (weights == nullptr || n_hidden <= kFewHidden) return;
    for (const Chunk& chunk : table.chunks) {
      forward_chunk.push_back(forward_type);
      transposed_chunk.push_back(transposed_type);
      forward_type += packed_size<T>(n_hidden, chunk.n_weights);
      transposed_type += packed_size<T>(chunk.n_weights, n_hidden);
    }
    T* to = scratch.array<T>(forward_type * n_types);
    T* back = backward ? scratch.array<T>(transposed_type * n_types) : nullptr;
    for (int64_t type = 0; type < n_types; ++type) {
      for (size_t k = 0; k < table.chunks.size(); ++k) {
        const Chunk& chunk = table.chunks[k];
        const T* from = weights + type * c.type_rows * table.n_weights + chunk.weight;
        pack(n_hidden, chunk.n_weights, from, table.n_weights, int64_t{1},
             to + type * forward_type + forward_chunk[k]);
        if (backward)
          pack(chunk.n_weights, n_hidden, from, int64_t{1}, table.n_weights,
               back + type * transposed_type + transposed_chunk[k]);
      }
    }
    forward = to;
    transposed = back;
  }
};

/// The edges of one node: small rows copied together, harmonics with edges innermost.
template <class T>
struct Neighbourhood {
  int64_t n = 0, lanes = 0;   // edges, and edges padded to whole vectors
  int64_t* edge;              // global number of each edge, grouped by type
  int64_t* other;             // node at its other end
  std::vector<int64_t> runs;  // starts of runs of equal type, and n
  std::vector<int64_t> run_type;
  T *hidden, *hidden_dot, *harmonics, *harmonics_dot;

  Neighbourhood(const Table& table, const MultiaceConvolution& c, int64_t most_edges, Scratch& scratch) {
    const int64_t wide = padded<T>(most_edges);
    edge = scratch.array<int64_t>(most_edges);
    other = scratch.array<int64_t>(most_edges);
    hidden = scratch.array<T>(most_edges * c.n_hidden);
    hidden_dot = c.hidden_dot ? scratch.array<T>(most_edges * c.n_hidden) : nullptr;
    harmonics = scratch.array<T>(wide * table.n_harmonics);
    harmonics_dot = c.harmonics_dot ? scratch.array<T>(wide * table.n_harmonics) : nullptr;
  }

  void gather(const Table& table, const MultiaceConvolution& c, const EdgesOfNode& of, int64_t node,
              const int64_t* other_end) {
    n = of.start[node + 1] - of.start[node];
    lanes = padded<T>(n);
    std::copy(of.edges + of.start[node], of.edges + of.start[node + 1], edge);
    runs.clear();
    run_type.clear();
    if (c.edge_types != nullptr && c.n_types > 1)
      std::stable_sort(edge, edge + n, [&](int64_t a, int64_t b) { return c.edge_types[a] < c.edge_types[b]; });
    for (int64_t e = 0; e < n; ++e) {
      const int64_t type = c.edge_types == nullptr ? 0 : c.edge_types[edge[e]];
      if (run_type.empty() || run_type.back() != type) {
        runs.push_back(e);
        run_type.push_back(type);
      }
      other[e] = other_end[edge[e]];
    }
    runs.push_back(n);
    if (c.knots == nullptr) {
      gather_rows(as<T>(c.hidden), c.n_hidden, hidden);
      if (hidden_dot) gather_rows(as<T>(c.hidden_dot), c.n_hidden, hidden_dot);
    }
    gather_columns(as<T>(c.harmonics), table.n_harmonics, harmonics);
    if (harmonics_dot) gather_columns(as<T>(c.harmonics_dot), table.n_harmonics, harmonics_dot);
  }

 private:
  void gather_rows(const T* from, int64_t width, T* to) const {
    for (int64_t e = 0; e < n; ++e) std::copy(from + edge[e] * width, from + (edge[e] + 1) * width, to + e * width);
  }
  void gather_columns(const T* from, int64_t width, T* to) const {
    for (int64_t e = 0; e < lanes; ++e)
      for (int64_t m = 0; m < width; ++m) to[m * lanes + e] = e < n ? from[edge[e] * width + m] : T(0);
  }
};

/// T = sum_m C Y_m of one path for all edges: entry (b, a) of edge e is t[(b * dim_in + a) * lanes + e].
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

/// V of the type of a run, at a chunk's first column.
template <class T, class Pointer>
Pointer rows_of_run(const Table& table, const MultiaceConvolution& c, const Neighbourhood<T>& near, const Chunk& chunk,
                    size_t run, Pointer weights) {
  return weights + near.run_type[run] * c.type_rows * table.n_weights + chunk.weight;
}

/// R (+)= u V of one edge and chunk, for few u.
template <class T>
void combine(int64_t width, int64_t row, int64_t n_hidden, const T* u, const T* v, bool accumulate, T* r) {
  for (int64_t w = 0; w < width; w += kWidth<T>) {
    const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
    Vector<T> total = accumulate ? load(r + w, n) : zero<T>();
    for (int64_t q = 0; q < n_hidden; ++q) total += u[q] * load(v + q * row + w, n);
    store(r + w, total, n);
  }
}

/// R of a node's edges for one chunk of paths: (n, chunk.n_weights), (+)= u V.
template <class T>
void radial(const Table& table, const MultiaceConvolution& c, const Neighbourhood<T>& near, const Chunk& chunk,
            size_t k, const T* weights, const PackedWeights<T>& packed, const T* hidden, bool accumulate, T* r) {
  const int64_t width = chunk.n_weights;
  for (size_t run = 0; run + 1 < near.runs.size(); ++run) {
    const int64_t begin = near.runs[run], end = near.runs[run + 1];
    if (c.n_hidden > kFewHidden) {
      multiply(end - begin, width, c.n_hidden, hidden + begin * c.n_hidden, c.n_hidden, int64_t{1},
               packed.forward + near.run_type[run] * packed.forward_type + packed.forward_chunk[k],
               r + begin * width, width, accumulate);
      continue;
    }
    const T* v = rows_of_run(table, c, near, chunk, run, weights);
    for (int64_t e = begin; e < end; ++e)
      combine(width, table.n_weights, c.n_hidden, hidden + e * c.n_hidden, v, accumulate, r + e * width);
  }
}

/// R by the spline, and its slope if that is wanted.
template <class T>
void spline(const Table& table, const MultiaceConvolution& c, const Neighbourhood<T>& near, const Chunk& chunk, T* r,
            T* slope) {
  const int64_t width = chunk.n_weights, row = table.n_weights;
  for (int64_t e = 0; e < near.n; ++e) {
    const int64_t edge = near.edge[e];
    const int64_t type = c.edge_types == nullptr ? 0 : c.edge_types[edge];
    const T* from = as<T>(c.weights) + (type * c.n_knots + c.knots[edge]) * row + chunk.weight;
    const T *b = as<T>(c.spline_basis) + 4 * edge, *d = slope ? as<T>(c.spline_slope) + 4 * edge : nullptr;
    for (int64_t w = 0; w < width; w += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
      const Vector<T> f0 = load(from + w, n), f1 = load(from + row + w, n), f2 = load(from + 2 * row + w, n),
                      f3 = load(from + 3 * row + w, n);
      store(r + e * width + w, b[0] * f0 + b[1] * f1 + b[2] * f2 + b[3] * f3, n);
      if (slope) store(slope + e * width + w, d[0] * f0 + d[1] * f1 + d[2] * f2 + d[3] * f3, n);
    }
  }
}

// ---- one path over the edges of one node -------------------------------------------------------

/// Operands of one path; rows of edge e are `r + e * r_row`, h of its other end `h + other[e] * h_row`.
template <class T>
struct Operands {
  int64_t n, lanes;
  const int64_t* other;
  int64_t dim_in, channels;
  const T *t, *t_dot;  // (dim_out * dim_in, lanes)
  const T *r, *r_dot;
  int64_t r_row;
  const T *h, *h_dot;
  int64_t h_row, h_dot_row;
};

/// A_b += sum_e T_ba R h_a, or its tangent; the sums of NV vectors of channels stay in registers.
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
      r[v] = load(o.r + e * o.r_row + channel + v * W, n);
      if constexpr (Tangent) r_dot[v] = load(o.r_dot + e * o.r_row + channel + v * W, n);
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

/// Gradients of one path for the edges of one receiver.
template <class T>
struct Gradients {
  const T* g;               // cotangent of the receiver at the path's first component
  int64_t out_channels;
  T* h_gradient;            // at the irrep of h; the sender of edge e has row other[e]; or null
  T *r_gradient, *r_gradient_plain;  // (n, r_row) of R (or its tangent), and without tangent
  T* t_gradient;            // (dim_out * dim_in, lanes), or null
};

/// Components first .. first + Some of h: y_a = sum_b T_ba g_b; gh_a += R y_a; gR = sum_a y_a h_a; gT = sum_c R h_a g_b.
template <class T, int Some, int DimOut, bool Tangent, bool WithT>
void pull_block(const Operands<T>& o, const Gradients<T>& to, int64_t first) {
  constexpr int W = kWidth<T>;
  const int64_t stride = o.dim_in * o.lanes, C = o.channels;
  const bool more = first > 0;
  for (int64_t e = 0; e < o.n; ++e) {
    const T* t = o.t + first * o.lanes + e;
    const T* t_dot = Tangent ? o.t_dot + first * o.lanes + e : nullptr;
    const T *r = o.r + e * o.r_row, *r_dot = Tangent ? o.r_dot + e * o.r_row : nullptr;
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
      T* __restrict row = to.r_gradient + e * o.r_row + c;
      store(row, more ? load(row, n) + r_gradient : r_gradient, n);
      if constexpr (Tangent)
        if (to.r_gradient_plain) {
          T* __restrict at = to.r_gradient_plain + e * o.r_row + c;
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

// ---- the passes ---------------------------------------------------------------------------------

/// h dot, or a row of zeros that every node shares.
template <class T>
struct FeaturesDot {
  const T* rows;
  int64_t row;
  FeaturesDot(const Table& table, const MultiaceConvolution& c, Scratch& scratch) {
    rows = c.features_dot ? as<T>(c.features_dot) : scratch.zeros<T>(table.dim_in);
    row = c.features_dot ? table.dim_in : 0;
  }
};

bool indices_are_valid(const MultiaceConvolution& c) {
  for (int64_t e = 0; e < c.n_edges; ++e) {
    const bool inside = c.senders[e] >= 0 && c.senders[e] < c.n_senders && c.receivers[e] >= 0 &&
                        c.receivers[e] < c.n_receivers;
    if (!inside || (c.edge_types && (c.edge_types[e] < 0 || c.edge_types[e] >= c.n_types))) return false;
  }
  return true;
}

int64_t most_edges(const EdgesOfNode& of, int64_t n_nodes) {
  int64_t most = 1;
  for (int64_t n = 0; n < n_nodes; ++n) most = std::max(most, of.start[n + 1] - of.start[n]);
  return most;
}

/// Radial functions of one node and chunk with their tangents or slopes, T of one path with its tangent.
template <class T>
struct Tile {
  T *r, *r_dot, *r_slope, *t, *t_dot;

  Tile(const Table& table, const MultiaceConvolution& c, int64_t most, bool tangent, Scratch& scratch) {
    const int64_t radials = most * table.widest_chunk(), entries = table.largest_entry * padded<T>(most);
    r = scratch.array<T>(radials);
    t = scratch.array<T>(entries);
    r_dot = tangent ? scratch.array<T>(radials) : nullptr;
    t_dot = tangent ? scratch.array<T>(entries) : nullptr;
    r_slope = c.distance_gradient ? scratch.array<T>(radials) : nullptr;
  }

  void fill_radial(const Table& table, const MultiaceConvolution& c, const Neighbourhood<T>& near, size_t k,
                   const PackedWeights<T>& weights, const PackedWeights<T>& weights_dot) {
    const Chunk& chunk = table.chunks[k];
    if (c.knots) return spline(table, c, near, chunk, r, r_slope);
    const T *v = as<T>(c.weights), *v_dot = as<T>(c.weights_dot);
    radial(table, c, near, chunk, k, v, weights, near.hidden, false, r);
    if (r_dot == nullptr) return;
    if (near.hidden_dot) radial(table, c, near, chunk, k, v, weights, near.hidden_dot, false, r_dot);
    else std::fill(r_dot, r_dot + near.n * chunk.n_weights, T(0));
    if (v_dot) radial(table, c, near, chunk, k, v_dot, weights_dot, near.hidden, true, r_dot);
  }

  Operands<T> operands(const Table& table, const MultiaceConvolution& c, const Neighbourhood<T>& near,
                       const Chunk& chunk, const Path& path, const FeaturesDot<T>& h_dot) const {
    couple(table, path, near.harmonics, near.lanes, t);
    if (t_dot) {
      if (near.harmonics_dot) couple(table, path, near.harmonics_dot, near.lanes, t_dot);
      else std::fill(t_dot, t_dot + path.dim_in * path.dim_out * near.lanes, T(0));
    }
    const int64_t column = path.weight - chunk.weight;
    return {near.n, near.lanes, near.other, path.dim_in, path.channels, t, t_dot, r + column,
            r_dot ? r_dot + column : nullptr, chunk.n_weights, as<T>(c.features) + path.in,
            h_dot.rows + path.in, table.dim_in, h_dot.row};
  }
};

/// gu = gR V^T, gV = u^T gR (and their tangents) of one node and chunk.
template <class T>
struct RadialGradients {
  const Table& table;
  const MultiaceConvolution& c;
  const PackedWeights<T>&weights, &weights_dot;
  T* packed;  // gR, as the right factor of u^T gR

  /// gu += gR V^T in rows of the node's edges.
  void to_hidden(const Neighbourhood<T>& near, size_t k, const T* v, const PackedWeights<T>& packed_v, const T* gr,
                 T* gu) const {
    const Chunk& chunk = table.chunks[k];
    const int64_t width = chunk.n_weights;
    for (size_t run = 0; run + 1 < near.runs.size(); ++run) {
      const int64_t begin = near.runs[run], n = near.runs[run + 1] - begin;
      if (c.n_hidden > kFewHidden) {
        multiply(n, c.n_hidden, width, gr + begin * width, width, int64_t{1},
                 packed_v.transposed + near.run_type[run] * packed_v.transposed_type + packed_v.transposed_chunk[k],
                 gu + begin * c.n_hidden, c.n_hidden, true);
        continue;
      }
      const T* rows = rows_of_run(table, c, near, chunk, run, v);
      for (int64_t e = begin; e < begin + n; ++e) add_dots(width, rows, gr + e * width, gu + e * c.n_hidden);
    }
  }

  /// gV += u^T gR.
  void to_weights(const Neighbourhood<T>& near, size_t k, const T* u, const T* gr, T* gv) const {
    const Chunk& chunk = table.chunks[k];
    const int64_t width = chunk.n_weights;
    for (size_t run = 0; run + 1 < near.runs.size(); ++run) {
      const int64_t begin = near.runs[run], n = near.runs[run + 1] - begin;
      T* rows = rows_of_run(table, c, near, chunk, run, gv);
      if (c.n_hidden > kFewHidden) {
        pack(n, width, gr + begin * width, width, int64_t{1}, packed);
        multiply(c.n_hidden, width, n, u + begin * c.n_hidden, int64_t{1}, c.n_hidden, packed, rows, table.n_weights,
                 true);
        continue;
      }
      for (int64_t e = begin; e < begin + n; ++e) add_outer(width, u + e * c.n_hidden, gr + e * width, rows);
    }
  }

  /// dE/dr of each edge through the spline: sum gR R'.
  void to_distance(const Neighbourhood<T>& near, size_t k, const T* slope, const T* gr, T* gd) const {
    const int64_t width = table.chunks[k].n_weights;
    for (int64_t e = 0; e < near.n; ++e) {
      Vector<T> total = zero<T>();
      for (int64_t w = 0; w < width; w += kWidth<T>) {
        const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
        total += load(gr + e * width + w, n) * load(slope + e * width + w, n);
      }
      gd[near.edge[e]] += sum<T>(total);
    }
  }

 private:
  /// gu_q += <V_q, gR> of one edge.
  void add_dots(int64_t width, const T* v, const T* gr, T* gu) const {
    Vector<T> totals[kFewHidden];
    for (Vector<T>& total : totals) total = zero<T>();
    for (int64_t w = 0; w < width; w += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
      const Vector<T> g = load(gr + w, n);
      for (int64_t q = 0; q < c.n_hidden; ++q) totals[q] += g * load(v + q * table.n_weights + w, n);
    }
    for (int64_t q = 0; q < c.n_hidden; ++q) gu[q] += sum<T>(totals[q]);
  }

  /// gV_q += u_q gR of one edge.
  void add_outer(int64_t width, const T* u, const T* gr, T* gv) const {
    for (int64_t w = 0; w < width; w += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, width - w));
      const Vector<T> g = load(gr + w, n);
      for (int64_t q = 0; q < c.n_hidden; ++q) {
        T* to = gv + q * table.n_weights + w;
        store(to, load(to, n) + u[q] * g, n);
      }
    }
  }
};

/// Gradients of h that one part of the receivers sums: rows of the senders first .. last.
template <class T>
struct FeaturesGradient {
  int64_t first = 0, last = 0, row = 0;
  T* rows = nullptr;

  /// Make room for the senders of the edges of the receivers begin .. end.
  void cover(const MultiaceConvolution& c, const EdgesOfNode& of, int64_t begin, int64_t end, int64_t dim,
             Scratch& scratch) {
    row = dim;
    for (int64_t k = of.start[begin]; k < of.start[end]; ++k) {
      const int64_t j = c.senders[of.edges[k]];
      if (k == of.start[begin]) first = last = j;
      first = std::min(first, j);
      last = std::max(last, j + 1);
    }
    rows = scratch.zeros<T>((last - first) * row);
  }
  /// Where row 0 would be.
  T* origin() const { return rows - first * row; }
};

/// Add up what the parts have, in their order.
template <class T>
void add_parts(const MultiaceConvolution& c, const std::vector<FeaturesGradient<T>>& parts, int n_threads) {
  const int64_t row = parts[0].row;
  parallel_for(n_threads, c.n_senders, 64, [&](int64_t begin, int64_t end) {
    T* to = static_cast<T*>(c.features_gradient);
    std::fill(to + begin * row, to + end * row, T(0));
    for (const FeaturesGradient<T>& part : parts) {
      const int64_t from = std::max(begin, part.first), until = std::min(end, part.last);
      for (int64_t w = from * row; w < until * row; ++w) to[w] += part.origin()[w];
    }
  });
}

/// One part of the receivers, with everything it writes apart from the results of other parts.
template <class T, bool Tangent>
struct Part {
  const Table& table;
  const MultiaceConvolution& c;
  const EdgesOfNode& of;
  const PackedWeights<T>&weights, &weights_dot;
  const FeaturesDot<T>& h_dot;
  Scratch& scratch;
  int64_t most;
  T *h_gradient, *weights_gradient;  // null where not wanted

  void run(int64_t begin, int64_t end) const {
    const bool pulls = h_gradient || weights_gradient || c.harmonics_gradient || c.hidden_gradient || c.distance_gradient;
    const int64_t radials = most * table.widest_chunk();
    Neighbourhood<T> near(table, c, most, scratch);
    Tile<T> tile(table, c, most, Tangent, scratch);
    T* gr = pulls ? scratch.array<T>(radials) : nullptr;
    T* plain = Tangent && pulls && (c.hidden_dot || c.weights_dot) ? scratch.array<T>(radials) : nullptr;
    T* gt = c.harmonics_gradient ? scratch.array<T>(table.largest_entry * padded<T>(most)) : nullptr;
    T* gy = c.harmonics_gradient ? scratch.array<T>(table.n_harmonics * padded<T>(most)) : nullptr;
    T* gu = c.hidden_gradient ? scratch.array<T>(most * c.n_hidden) : nullptr;
    const RadialGradients<T> to{table, c, weights, weights_dot,
                                weights_gradient ? scratch.array<T>(packed_size<T>(most, table.widest_chunk())) : nullptr};
    for (int64_t i = begin; i < end; ++i) {
      near.gather(table, c, of, i, c.senders);
      if (gy) std::fill(gy, gy + table.n_harmonics * near.lanes, T(0));
      if (gu) std::fill(gu, gu + near.n * c.n_hidden, T(0));
      for (size_t k = 0; k < table.chunks.size(); ++k) {
        tile.fill_radial(table, c, near, k, weights, weights_dot);
        paths(i, near, tile, table.chunks[k], gr, plain, gt, gy);
        if (gu) {
          to.to_hidden(near, k, as<T>(c.weights), weights, gr, gu);
          if (plain && c.weights_dot) to.to_hidden(near, k, as<T>(c.weights_dot), weights_dot, plain, gu);
        }
        if (weights_gradient) {
          to.to_weights(near, k, near.hidden, gr, weights_gradient);
          if (plain && c.hidden_dot) to.to_weights(near, k, near.hidden_dot, plain, weights_gradient);
        }
        if (c.distance_gradient) to.to_distance(near, k, tile.r_slope, gr, static_cast<T*>(c.distance_gradient));
      }
      write_edges(near, gy, gu);
    }
  }

 private:
  /// The paths of one chunk at one node: sums over its edges, and gradients by them.
  void paths(int64_t i, const Neighbourhood<T>& near, const Tile<T>& tile, const Chunk& chunk, T* gr, T* plain, T* gt,
             T* gy) const {
    for (int64_t p = chunk.first; p < chunk.last; ++p) {
      const Path& path = table.paths[p];
      const Operands<T> operands = tile.operands(table, c, near, chunk, path, h_dot);
      if (c.pooled) {
        T* out = static_cast<T*>(c.pooled) + i * table.dim_out + path.out;
        pool_path<T, Tangent>(operands, path.dim_out, out, path.out_channels);
      }
      if (gr == nullptr) continue;
      const int64_t column = path.weight - chunk.weight;
      const Gradients<T> to{as<T>(c.cotangent) + i * table.dim_out + path.out, path.out_channels,
                            h_gradient ? h_gradient + path.in : nullptr, gr + column,
                            plain ? plain + column : nullptr, gt};
      if (gt) {
        pull_path<T, Tangent, true>(operands, path.dim_out, to);
        uncouple(table, path, gt, near.lanes, gy);
      } else {
        pull_path<T, Tangent, false>(operands, path.dim_out, to);
      }
    }
  }

  void write_edges(const Neighbourhood<T>& near, const T* gy, const T* gu) const {
    for (int64_t e = 0; e < near.n; ++e) {
      const int64_t edge = near.edge[e];
      if (gy) {
        T* row = static_cast<T*>(c.harmonics_gradient) + edge * table.n_harmonics;
        for (int64_t m = 0; m < table.n_harmonics; ++m)
          row[m] = gy[m * near.lanes + e] + (c.add_harmonics_gradient ? row[m] : T(0));
      }
      if (gu)
        std::copy(gu + e * c.n_hidden, gu + (e + 1) * c.n_hidden,
                  static_cast<T*>(c.hidden_gradient) + edge * c.n_hidden);
    }
  }
};

/// A and the gradients of <cotangent, A>, or with Tangent their rates of change: those wanted.
template <class T, bool Tangent>
int convolve(const MultiaceConvolution& c) {
  if (!indices_are_valid(c)) return kOutOfRange;
  const Table table(c.table);
  Scratch scratch;
  const bool backward = c.hidden_gradient != nullptr;
  const PackedWeights<T> weights(table, c, c.knots ? nullptr : as<T>(c.weights), backward, scratch);
  const PackedWeights<T> weights_dot(table, c, as<T>(c.weights_dot), backward, scratch);
  const FeaturesDot<T> h_dot(table, c, scratch);
  const EdgesOfNode of = EdgesOfNode::group(c.n_receivers, c.n_edges, c.receivers, scratch);
  const int64_t most = most_edges(of, c.n_receivers);
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, c.n_receivers)));
  const int64_t n_rows = (c.n_types - 1) * c.type_rows + c.n_hidden;
  const int64_t n_gradient = c.weights_gradient ? n_rows * table.n_weights : 0;
  T* partial = scratch.zeros<T>(n_gradient * n_parts);
  std::vector<FeaturesGradient<T>> features(c.features_gradient ? n_parts : 0);
  for (int part = 0; part < static_cast<int>(features.size()); ++part)
    features[part].cover(c, of, of.part_start(c.n_receivers, part, n_parts),
                         of.part_start(c.n_receivers, part + 1, n_parts), table.dim_in, scratch);
  run_on_threads(n_parts, [&](int part) {
    Scratch local;
    const Part<T, Tangent> mine{table, c, of, weights, weights_dot, h_dot, local, most,
                                c.features_gradient ? features[part].origin() : nullptr,
                                c.weights_gradient ? partial + part * n_gradient : nullptr};
    mine.run(of.part_start(c.n_receivers, part, n_parts), of.part_start(c.n_receivers, part + 1, n_parts));
  });
  if (c.features_gradient) add_parts(c, features, n_parts);
  for (int64_t w = 0; w < n_gradient; ++w) {
    T total = partial[w];
    for (int part = 1; part < n_parts; ++part) total += partial[part * n_gradient + w];
    static_cast<T*>(c.weights_gradient)[w] = total;
  }
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::convolve;
using multiace::error_code;

#define MULTIACE_CONVOLUTION(NAME, TANGENT)                                    \
  int multiace_convolution_##NAME##_f32(const MultiaceConvolution* c) {        \
    return error_code([&] { return convolve<float, TANGENT>(*c); });           \
  }                                                                            \
  int multiace_convolution_##NAME##_f64(const MultiaceConvolution* c) {        \
    return error_code([&] { return convolve<double, TANGENT>(*c); });          \
  }
MULTIACE_CONVOLUTION(forward, false)
MULTIACE_CONVOLUTION(backward, false)
MULTIACE_CONVOLUTION(double_backward, true)
