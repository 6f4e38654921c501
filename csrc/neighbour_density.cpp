// The density is bilinear in Y and u: all passes are the products Y u, g u and g Y, edge by edge, but
// for the gradient of u, which is summed pair by pair.
#include "neighbour_density.h"

#include <algorithm>

#include "errors.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

template <class T>
struct Density {
  const MultiaceNeighbourDensity& c;

  int64_t pair(int64_t edge) const { return c.pairs ? c.pairs[edge] : edge; }
  /// Where lm = 0 of the edge's element starts in a row of rho.
  int64_t start(int64_t edge) const { return c.elements[edge] * c.n_hidden; }
  int64_t stride() const { return c.n_elements * c.n_hidden; }

  /// rho_lm += Y_lm u of one edge.
  void add(int64_t edge, const void* harmonics, const void* hidden, T* row) const {
    const T* y = static_cast<const T*>(harmonics) + edge * c.n_harmonics;
    const T* u = static_cast<const T*>(hidden) + pair(edge) * c.n_hidden;
    for (int64_t lm = 0; lm < c.n_harmonics; ++lm) {
      T* __restrict to = row + start(edge) + lm * stride();
      for (int64_t k = 0; k < c.n_hidden; k += kWidth<T>) {
        const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_hidden - k));
        store(to + k, load(to + k, n) + y[lm] * load(u + k, n), n);
      }
    }
  }

  /// gY_lm = sum_k g u.
  void to_harmonics(int64_t edge, const T* g, const void* hidden) const {
    const T* u = static_cast<const T*>(hidden) + pair(edge) * c.n_hidden;
    T* to = static_cast<T*>(c.harmonics_gradient) + edge * c.n_harmonics;
    for (int64_t lm = 0; lm < c.n_harmonics; ++lm) {
      const T* from = g + start(edge) + lm * stride();
      Vector<T> total = zero<T>();
      for (int64_t k = 0; k < c.n_hidden; k += kWidth<T>) {
        const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_hidden - k));
        total += load(from + k, n) * load(u + k, n);
      }
      to[lm] = sum<T>(total) + (c.add_harmonics_gradient ? to[lm] : T(0));
    }
  }

  /// gu = sum_lm g Y_lm, summed over the edges of a pair.
  void to_hidden(int64_t of_pair, const int64_t* edges, int64_t n_edges, const void* harmonics) const {
    const int64_t row = c.n_harmonics * stride();
    T* to = static_cast<T*>(c.hidden_gradient) + of_pair * c.n_hidden;
    for (int64_t k = 0; k < c.n_hidden; k += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_hidden - k));
      Vector<T> total = zero<T>();
      for (const int64_t* edge = edges; edge < edges + n_edges; ++edge) {
        const T* y = static_cast<const T*>(harmonics) + *edge * c.n_harmonics;
        const T* g = static_cast<const T*>(c.cotangent) + c.receivers[*edge] * row + start(*edge) + k;
        for (int64_t lm = 0; lm < c.n_harmonics; ++lm) total += y[lm] * load(g + lm * stride(), n);
      }
      store(to + k, total, n);
    }
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

bool indices_are_valid(const MultiaceNeighbourDensity& c) {
  for (int64_t e = 0; e < c.n_edges; ++e)
    if (c.elements[e] < 0 || c.elements[e] >= c.n_elements || c.receivers[e] < 0 || c.receivers[e] >= c.n_nodes ||
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
  if (!indices_are_valid(c)) return kOutOfRange;
  const Density<T> density{c};
  const int64_t row = c.n_harmonics * density.stride();
  const void *hidden = Tangent ? c.hidden_dot : c.hidden, *harmonics = Tangent ? c.harmonics_dot : c.harmonics;
  if (hidden == nullptr) clear<T>(c.harmonics_gradient, c.n_edges * c.n_harmonics);
  if (harmonics == nullptr) clear<T>(c.hidden_gradient, c.n_pairs * c.n_hidden);
  Scratch scratch;
  const EdgesOfNode of = EdgesOfNode::group(c.n_nodes, c.n_edges, c.receivers, scratch);
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, c.n_nodes)));
  run_on_threads(n_parts, [&](int part) {
    const int64_t end = of.part_start(c.n_nodes, part + 1, n_parts);
    for (int64_t i = of.part_start(c.n_nodes, part, n_parts); i < end; ++i) {
      T* out = c.density ? static_cast<T*>(c.density) + i * row : nullptr;
      const T* g = c.cotangent ? static_cast<const T*>(c.cotangent) + i * row : nullptr;
      if (out) std::fill_n(out, row, T(0));
      for (int64_t q = of.start[i]; q < of.start[i + 1]; ++q) {
        const int64_t edge = of.edges[q];
        if (out && !Tangent) density.add(edge, c.harmonics, c.hidden, out);
        if (out && Tangent && c.harmonics_dot) density.add(edge, c.harmonics_dot, c.hidden, out);
        if (out && Tangent && c.hidden_dot) density.add(edge, c.harmonics, c.hidden_dot, out);
        if (g && c.harmonics_gradient && hidden) density.to_harmonics(edge, g, hidden);
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
