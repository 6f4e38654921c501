// Each row of the product is a polynomial in Horner's form, a tree of factors:
//
//   sum_q k_q prod_f A_f = sum_l k_l A_l + sum_h A_h (sum_l k_l A_l + sum_h A_h (...))
//
// A head h is the product of the factors from the root down to it, V_h; S_h is what stands in its
// brackets. Values go up the tree as S, cotangents down as V; nothing else is stored:
//
//   S_h = sum_leaves k A_l + sum_children A_c S_c        gA_l += V_h k,   gA_c += V_h S_c,   gk += V_h A_l
//   V_c = V_h A_c,   V_root = g
//
// Tangents are the same sums in dual numbers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.h"
#include "threads.h"

namespace multiace::polynomial_product {

struct Row {  // children come before their parents; heads that have some come last, the root at the end
  int64_t n_heads, n_inner, first_head, first_term;
};

struct Head {
  int64_t parent;    // its position among the row's inner heads
  int64_t factor;    // A_h
  int64_t n_leaves;  // terms that end here, in the order of the heads
};

struct Mix {  // k_term += value w_path
  int32_t term, path;
  double value;
};

struct Table {
  int64_t n_components, n_rows, n_paths, n_terms, n_mixes, most_inner;
  const Row* rows;
  const Head* heads;
  const int64_t* leaves;  // last factor of each term
  const Mix* mixes;       // in an order in which neighbours differ in term and path

  explicit Table(const int64_t* words) {
    n_components = words[0], n_rows = words[1], n_paths = words[2], n_terms = words[3], n_mixes = words[4];
    most_inner = words[5];
    const int64_t n_heads = words[6];
    rows = reinterpret_cast<const Row*>(words + 7);
    heads = reinterpret_cast<const Head*>(rows + n_rows);
    leaves = reinterpret_cast<const int64_t*>(heads + n_heads);
    mixes = reinterpret_cast<const Mix*>(leaves + n_terms);
  }
};

static_assert(sizeof(Row) == 32 && sizeof(Head) == 24 && sizeof(Mix) == 16, "the table is read in place");

/// Most vectors of a block: their sums and dual sums fit the registers.
constexpr int kBlock = kRegisters == 32 ? 4 : 2;

/// Arrays of one block, (.., vectors, lanes).
template <class T>
struct Block {
  T *features, *features_dot, *features_gradient;  // components
  T *cotangent, *product;                          // rows
  T *v, *v_dot, *s, *s_dot;                        // inner heads of one row

  Block(const Table& table, bool gradient, bool tangent, Scratch& scratch) {
    constexpr int64_t size = kBlock * kWidth<T>;
    const auto array = [&](int64_t n, bool wanted) { return wanted ? scratch.array<T>(n * size) : nullptr; };
    features = array(table.n_components, true);
    features_dot = array(table.n_components, tangent);
    features_gradient = array(table.n_components, gradient);
    cotangent = array(table.n_rows, gradient);
    product = array(table.n_rows, true);
    v = array(table.most_inner, gradient);
    v_dot = array(table.most_inner, tangent);
    s = array(table.most_inner, true);
    s_dot = array(table.most_inner, tangent);
  }
};

/// What a sweep computes: m alone; also gA; the tangents of both; and gk or its tangent.
template <bool Gradient_, bool Tangent_, bool Weights_>
struct Mode {
  static constexpr bool Gradient = Gradient_, Tangent = Tangent_, Weights = Weights_;
};

/// G vectors of every row: adds to the block's product and gradient, and to gk.
template <class T, int G, class Mode>
class Sweep {
  static constexpr int W = kWidth<T>, kStep = G * W;
  typedef Vector<T> V;

 public:
  Sweep(const Block<T>& b, const T* k, T* gk)
      : x_(b.features), x_dot_(b.features_dot), gx_(b.features_gradient), v_(b.v), v_dot_(b.v_dot), s_(b.s),
        s_dot_(b.s_dot), k_(k), gk_(gk) {}

  static void run(const Table& table, const Block<T>& b, const T* k, T* gk) {
    for (int64_t row = 0; row < table.n_rows; ++row) {
      const Row& r = table.rows[row];
      Sweep sweep(b, k + r.first_term * W, Mode::Weights ? gk + r.first_term * W : nullptr);
      sweep.row(r, table.heads + r.first_head, table.leaves + r.first_term, b.cotangent + row * kStep,
                b.product + row * kStep);
    }
  }

 private:
  [[gnu::always_inline]] void row(const Row& r, const Head* heads, const int64_t* leaves, const T* cotangent, T* product) {
    leaf_ = leaves;
    const int64_t root = r.n_inner - 1, n_outer = r.n_heads - r.n_inner;
    std::fill(s_, s_ + r.n_inner * kStep, T(0));
    if constexpr (Mode::Tangent) std::fill(s_dot_, s_dot_ + r.n_inner * kStep, T(0));
    if constexpr (Mode::Gradient) down(heads + n_outer, root, cotangent);
    for (int64_t h = 0; h < n_outer; ++h) child<false>(heads[h], 0);
    for (int64_t h = 0; h < root; ++h) child<true>(heads[n_outer + h], h);
    V s[G], s_dot[G], v[G], v_dot[G];
    brackets<true>(heads[n_outer + root].n_leaves, root, s, s_dot, v, v_dot);
    for (int g = 0; g < G; ++g)
      store(product + g * W, load(product + g * W) + (Mode::Tangent ? s_dot[g] : s[g]));
  }

  /// V of the inner heads, from the root down.
  [[gnu::always_inline]] void down(const Head* inner, int64_t root, const T* cotangent) {
    for (int g = 0; g < G; ++g) {
      store(v_ + root * kStep + g * W, load(cotangent + g * W));
      if constexpr (Mode::Tangent) store(v_dot_ + root * kStep + g * W, zero<T>());
    }
    for (int64_t h = root - 1; h >= 0; --h) {
      V v[G], v_dot[G];
      times_factor(inner[h], v, v_dot);
      for (int g = 0; g < G; ++g) {
        store(v_ + h * kStep + g * W, v[g]);
        if constexpr (Mode::Tangent) store(v_dot_ + h * kStep + g * W, v_dot[g]);
      }
    }
  }

  [[gnu::always_inline]] void times_factor(const Head& head, V* v, V* v_dot) const {
    const int64_t from = head.parent * kStep, factor = head.factor * kStep;
    for (int g = 0; g < G; ++g) {
      const V x = load(x_ + factor + g * W), above = load(v_ + from + g * W);
      v[g] = above * x;
      if constexpr (Mode::Tangent)
        v_dot[g] = load(v_dot_ + from + g * W) * x + above * load(x_dot_ + factor + g * W);
    }
  }

  /// A head below the root: its brackets, times its factor, go to its parent.
  template <bool Inner>
  [[gnu::always_inline]] void child(const Head& head, int64_t position) {
    V s[G], s_dot[G], v[G], v_dot[G];
    if constexpr (Mode::Gradient && !Inner) times_factor(head, v, v_dot);
    brackets<Inner>(head.n_leaves, position, s, s_dot, v, v_dot);
    const int64_t to = head.parent * kStep, factor = head.factor * kStep;
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const V x = load(x_ + factor + g * W);
      T* at = s_ + to + g * W;
      store(at, load(at) + x * s[g]);
      if constexpr (Mode::Tangent) {
        T* dot = s_dot_ + to + g * W;
        store(dot, load(dot) + x * s_dot[g] + load(x_dot_ + factor + g * W) * s[g]);
      }
      if constexpr (Mode::Gradient) {
        T* gradient = gx_ + factor + g * W;
        const V above = load(v_ + to + g * W);
        if constexpr (Mode::Tangent)
          store(gradient, load(gradient) + load(v_dot_ + to + g * W) * s[g] + above * s_dot[g]);
        else
          store(gradient, load(gradient) + above * s[g]);
      }
    }
  }

  /// S of a head: what its children brought, and its leaves, whose gradients are complete then.
  template <bool Inner>
  [[gnu::always_inline]] void brackets(int64_t n_leaves, int64_t position, V* s, V* s_dot, V* v, V* v_dot) {
    for (int g = 0; g < G; ++g) {
      const int64_t at = position * kStep + g * W;
      s[g] = Inner ? load(s_ + at) : zero<T>();
      if constexpr (Mode::Tangent) s_dot[g] = Inner ? load(s_dot_ + at) : zero<T>();
      if constexpr (Mode::Gradient && Inner) v[g] = load(v_ + at);
      if constexpr (Mode::Tangent && Inner) v_dot[g] = load(v_dot_ + at);
    }
    for (const int64_t* end = leaf_ + n_leaves; leaf_ < end; ++leaf_) {
      const int64_t factor = *leaf_ * kStep;
      const V k = load(k_);
      V gk = Mode::Weights ? load(gk_) : zero<T>();
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const V x = load(x_ + factor + g * W);
        s[g] += k * x;
        T* gradient = gx_ + factor + g * W;
        if constexpr (Mode::Tangent) {
          const V x_dot = load(x_dot_ + factor + g * W);
          s_dot[g] += k * x_dot;
          store(gradient, load(gradient) + k * v_dot[g]);
          if constexpr (Mode::Weights) gk += v_dot[g] * x + v[g] * x_dot;
        } else if constexpr (Mode::Gradient) {
          store(gradient, load(gradient) + k * v[g]);
          if constexpr (Mode::Weights) gk += v[g] * x;
        }
      }
      k_ += W;
      if constexpr (Mode::Weights) {
        store(gk_, gk);
        gk_ += W;
      }
    }
  }

  T *const x_, *const x_dot_, *const gx_, *const v_, *const v_dot_, *const s_, *const s_dot_;
  const T* k_;
  T* gk_;
  const int64_t* leaf_ = nullptr;
};

/// A sweep for whole blocks and one for single vectors.
template <class T>
struct Sweeps {
  typedef void (*Run)(const Table&, const Block<T>&, const T*, T*);
  Run block = nullptr, single = nullptr;

  void operator()(int n_vectors, const Table& table, const Block<T>& b, const T* k, T* gk) const {
    (n_vectors == kBlock ? block : single)(table, b, k, gk);
  }
  template <class Mode>
  static Sweeps of() {
    return {Sweep<T, kBlock, Mode>::run, Sweep<T, 1, Mode>::run};
  }
  static Sweeps of(bool gradient, bool tangent, bool weights) {
    if (!gradient) return of<Mode<false, false, false>>();
    if (tangent) return weights ? of<Mode<true, true, true>>() : of<Mode<true, true, false>>();
    return weights ? of<Mode<true, false, true>>() : of<Mode<true, false, false>>();
  }
};

}  // namespace multiace::polynomial_product
