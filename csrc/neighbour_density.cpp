// The density is bilinear in Y and u: all passes are the products Y u, g u and g Y, edge by edge, but
// for the gradient of u, which is summed pair by pair.
#include "neighbour_density.h"

#include <algorithm>
#include <vector>

#include "errors.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

/// Vectors of u, and of their sums for a few lm, that fit the registers together.
constexpr int kHidden = kRegisters == 32 ? 4 : 2;
constexpr int kHarmonics = 4;

/// Consecutive l with the same range of k: their rho is (lm, types, k).
struct Block {
  int64_t lm, n_lm, k, n_k, start;  // start: of the block in a row of rho
};

struct Table {
  int64_t n_harmonics, n_hidden, n_types, dim = 0;
  std::vector<Block> blocks;
  bool whole = true;  // every l has every k, so that there is one block

  explicit Table(const int64_t* words) {
    const int64_t l_max = words[0];
    n_harmonics = (l_max + 1) * (l_max + 1), n_hidden = words[1], n_types = words[2];
    for (int64_t l = 0; l <= l_max; ++l) {
      const int64_t k = words[3 + 2 * l], n_k = words[4 + 2 * l];
      whole = whole && k == 0 && n_k == n_hidden;
      if (blocks.empty() || blocks.back().k != k || blocks.back().n_k != n_k) blocks.push_back({l * l, 0, k, n_k, dim});
      blocks.back().n_lm += 2 * l + 1;
      dim += (2 * l + 1) * n_types * n_k;
    }
  }
};

template <class T>
struct Density {
  const MultiaceNeighbourDensity& c;
  const Table& table;

  int64_t pair(int64_t edge) const { return c.pairs ? c.pairs[edge] : edge; }
  /// Where the first lm of a block and type starts in a row of rho, and how far the next one is.
  int64_t start(const Block& b, int64_t type) const { return b.start + type * b.n_k; }
  int64_t stride(const Block& b) const { return table.n_types * b.n_k; }
  const T* harmonics_of(const Block& b, const void* harmonics, int64_t edge) const {
    return static_cast<const T*>(harmonics) + edge * table.n_harmonics + b.lm;
  }
  const T* hidden_of(const Block& b, const void* hidden, int64_t edge) const {
    return static_cast<const T*>(hidden) + pair(edge) * table.n_hidden + b.k;
  }

  /// A product Y u, or one of its tangents.
  struct Term {
    const void *harmonics, *hidden;
  };

  /// rho_lm = sum of the terms over edges of one receiver and type.
  void sum_edges(const Block& b, const int64_t* edges, int64_t n, const Term* terms, int n_terms, T* rho) const {
    for (int64_t k = 0; k < b.n_k; k += kHidden * kWidth<T>) {
      const int64_t left = b.n_k - k;
      for (int64_t lm = 0; lm < b.n_lm; lm += kHarmonics) {
        const int some = static_cast<int>(std::min<int64_t>(kHarmonics, b.n_lm - lm));
        T* to = rho + lm * stride(b) + k;
        if (some == kHarmonics && left >= kHidden * kWidth<T>)
          sum_tile<kHarmonics, kHidden>(b, edges, n, terms, n_terms, lm, k, kWidth<T>, to);
        else
          for (int m = 0; m < some; ++m)
            for (int64_t v = 0; v < std::min<int64_t>(left, kHidden * kWidth<T>); v += kWidth<T>)
              sum_tile<1, 1>(b, edges, n, terms, n_terms, lm + m, k + v,
                             static_cast<int>(std::min<int64_t>(kWidth<T>, left - v)), to + m * stride(b) + v);
      }
    }
  }

  template <int NLM, int NV>
  void sum_tile(const Block& b, const int64_t* edges, int64_t n, const Term* terms, int n_terms, int64_t lm, int64_t k,
                int width, T* to) const {
    Vector<T> sums[NLM][NV];
    for (auto& row : sums)
      for (Vector<T>& total : row) total = zero<T>();
    for (const int64_t* edge = edges; edge < edges + n; ++edge)
      for (const Term* term = terms; term < terms + n_terms; ++term) {
        const T *y = harmonics_of(b, term->harmonics, *edge) + lm, *u = hidden_of(b, term->hidden, *edge) + k;
        Vector<T> row[NV];
        for (int v = 0; v < NV; ++v) row[v] = load(u + v * kWidth<T>, width);
        for (int m = 0; m < NLM; ++m)
          for (int v = 0; v < NV; ++v) sums[m][v] += y[m] * row[v];
      }
    for (int m = 0; m < NLM; ++m)
      for (int v = 0; v < NV; ++v) store(to + m * stride(b) + v * kWidth<T>, sums[m][v], width);
  }

  /// gY_lm = sum_k g u.
  void to_harmonics(const Block& b, int64_t edge, const T* g, const void* hidden) const {
    const T* u = hidden_of(b, hidden, edge);
    T* to = static_cast<T*>(c.harmonics_gradient) + edge * table.n_harmonics + b.lm;
    for (int64_t lm = 0; lm < b.n_lm; lm += kHarmonics) {
      const int some = static_cast<int>(std::min<int64_t>(kHarmonics, b.n_lm - lm));
      Vector<T> sums[kHarmonics];
      for (Vector<T>& total : sums) total = zero<T>();
      for (int64_t k = 0; k < b.n_k; k += kWidth<T>) {
        const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, b.n_k - k));
        const Vector<T> row = load(u + k, n);
        for (int m = 0; m < kHarmonics; ++m)
          if (m < some) sums[m] += load(g + (lm + m) * stride(b) + k, n) * row;
      }
      T totals[kHarmonics];
      sum_each<T, kHarmonics>(sums, totals);
      for (int m = 0; m < some; ++m) to[lm + m] = totals[m];
    }
  }

  /// gu = sum_lm g Y_lm, summed over the edges of a pair.
  void to_hidden(int64_t of_pair, const int64_t* edges, int64_t n_edges, const void* harmonics) const {
    T* row = static_cast<T*>(c.hidden_gradient) + of_pair * table.n_hidden;
    if (!table.whole) std::fill_n(row, table.n_hidden, T(0));
    for (const Block& b : table.blocks) {
      T* to = row + b.k;
      int64_t k = 0;
      for (; k + kHidden * kWidth<T> <= b.n_k; k += kHidden * kWidth<T>)
        hidden_tile<kHidden>(b, edges, n_edges, harmonics, k, kWidth<T>, to + k);
      for (; k < b.n_k; k += kWidth<T>)
        hidden_tile<1>(b, edges, n_edges, harmonics, k, static_cast<int>(std::min<int64_t>(kWidth<T>, b.n_k - k)), to + k);
    }
  }

  template <int NV>
  void hidden_tile(const Block& b, const int64_t* edges, int64_t n_edges, const void* harmonics, int64_t k, int width,
                   T* to) const {
    Vector<T> sums[NV];
    for (int v = 0; v < NV; ++v) sums[v] = table.whole ? zero<T>() : load(to + v * kWidth<T>, width);
    for (const int64_t* edge = edges; edge < edges + n_edges; ++edge) {
      const T* y = harmonics_of(b, harmonics, *edge);
      const T* g = static_cast<const T*>(c.cotangent) + c.receivers[*edge] * table.dim + start(b, c.edge_types[*edge]) + k;
      for (int64_t lm = 0; lm < b.n_lm; ++lm)
        for (int v = 0; v < NV; ++v) sums[v] += y[lm] * load(g + lm * stride(b) + v * kWidth<T>, width);
    }
    for (int v = 0; v < NV; ++v) store(to + v * kWidth<T>, sums[v], width);
  }

  /// The gradient of u of every pair.
  void to_every_hidden(const void* harmonics, Scratch& scratch) const {
    if (c.pairs == nullptr) {
      parallel_for(static_cast<int>(c.n_threads), c.n_edges, 64, [&](int64_t begin, int64_t end) {
        for (int64_t edge = begin; edge < end; ++edge) to_hidden(edge, &edge, 1, harmonics);
      });
      return;
    }
    const EdgesOfNode of = EdgesOfNode::group(c.n_pairs, c.n_edges, c.pairs, scratch);
    parallel_for(static_cast<int>(c.n_threads), c.n_pairs, 64, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        to_hidden(p, of.edges + of.start[p], of.start[p + 1] - of.start[p], harmonics);
    });
  }
};

bool indices_are_valid(const MultiaceNeighbourDensity& c, int64_t n_types) {
  for (int64_t e = 0; e < c.n_edges; ++e)
    if (c.edge_types[e] < 0 || c.edge_types[e] >= n_types || c.receivers[e] < 0 || c.receivers[e] >= c.n_nodes ||
        (c.pairs && (c.pairs[e] < 0 || c.pairs[e] >= c.n_pairs)))
      return false;
  return true;
}

template <class T>
void clear(void* rows, int64_t n) {
  if (rows) std::fill_n(static_cast<T*>(rows), n, T(0));
}

/// Density and gradients; with `Tangent` their rates of change along the dots.
template <class T, bool Tangent>
int evaluate(const MultiaceNeighbourDensity& c) {
  const Table table(c.table);
  if (!indices_are_valid(c, table.n_types)) return kOutOfRange;
  const Density<T> density{c, table};
  const void *hidden = Tangent ? c.hidden_dot : c.hidden, *harmonics = Tangent ? c.harmonics_dot : c.harmonics;
  if (hidden == nullptr) clear<T>(c.harmonics_gradient, c.n_edges * table.n_harmonics);
  if (harmonics == nullptr) clear<T>(c.hidden_gradient, c.n_pairs * table.n_hidden);
  typename Density<T>::Term terms[2];
  int n_terms = 0;
  if (!Tangent) terms[n_terms++] = {c.harmonics, c.hidden};
  if (Tangent && c.harmonics_dot) terms[n_terms++] = {c.harmonics_dot, c.hidden};
  if (Tangent && c.hidden_dot) terms[n_terms++] = {c.harmonics, c.hidden_dot};
  Scratch scratch;
  int64_t* group = scratch.array<int64_t>(c.n_edges);  // receiver and type of each edge
  for (int64_t e = 0; e < c.n_edges; ++e) group[e] = c.receivers[e] * table.n_types + c.edge_types[e];
  const int64_t n_groups = c.n_nodes * table.n_types;
  const EdgesOfNode of = EdgesOfNode::group(n_groups, c.n_edges, group, scratch);
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, c.n_nodes)));
  run_on_threads(n_parts, [&](int part) {
    const int64_t end = of.part_start(n_groups, part + 1, n_parts);
    for (int64_t q = of.part_start(n_groups, part, n_parts); q < end; ++q) {
      const int64_t *edges = of.edges + of.start[q], n = of.start[q + 1] - of.start[q];
      for (const Block& b : table.blocks) {
        const int64_t place = q / table.n_types * table.dim + density.start(b, q % table.n_types);
        if (c.density) density.sum_edges(b, edges, n, terms, n_terms, static_cast<T*>(c.density) + place);
        if (c.cotangent && c.harmonics_gradient && hidden)
          for (const int64_t* edge = edges; edge < edges + n; ++edge)
            density.to_harmonics(b, *edge, static_cast<const T*>(c.cotangent) + place, hidden);
      }
    }
  });
  if (c.cotangent && c.hidden_gradient && harmonics) density.to_every_hidden(harmonics, scratch);
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::error_code;
using multiace::evaluate;

#define MULTIACE_NEIGHBOUR_DENSITY(NAME, TANGENT)                                \
  int multiace_neighbour_density_##NAME##_f32(const MultiaceNeighbourDensity* c) { \
    return error_code([&] { return evaluate<float, TANGENT>(*c); });             \
  }                                                                              \
  int multiace_neighbour_density_##NAME##_f64(const MultiaceNeighbourDensity* c) { \
    return error_code([&] { return evaluate<double, TANGENT>(*c); });            \
  }
MULTIACE_NEIGHBOUR_DENSITY(forward, false)
MULTIACE_NEIGHBOUR_DENSITY(backward, false)
MULTIACE_NEIGHBOUR_DENSITY(double_backward, true)
