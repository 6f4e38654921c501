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
//
// Lanes are channels; where channels fill at most half a vector, several nodes of one element share
// it. A block is a few vectors of one element and one tile of channels: its k are read once.
#include "polynomial_product.h"

#include <algorithm>
#include <vector>

#include "errors.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

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

/// Nodes of one element and channels of one tile, several nodes a vector where these are few.
struct Run {
  int64_t element, n_nodes;
  const int64_t* nodes;
  int64_t channel;
  int width, nodes_of_vector;
  int64_t first_vector, n_vectors;  // among those of all runs
};

template <class T>
std::vector<Run> make_runs(const MultiacePolynomialProduct& c, const EdgesOfNode& of) {
  std::vector<Run> runs;
  int64_t first = 0;
  for (int64_t channel = 0; channel < c.n_channels; channel += kWidth<T>) {
    const int width = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_channels - channel));
    const int together = kWidth<T> / width;
    for (int64_t z = 0; z < c.n_elements; ++z) {
      const int64_t n = of.start[z + 1] - of.start[z], n_vectors = (n + together - 1) / together;
      if (n == 0) continue;
      runs.push_back({z, n, of.edges + of.start[z], channel, width, together, first, n_vectors});
      first += n_vectors;
    }
  }
  return runs;
}

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

/// Computes parts of runs in memory of its own.
template <class T>
class Worker {
  static constexpr int W = kWidth<T>;

 public:
  Worker(const Table& table, const MultiacePolynomialProduct& c, bool gradient, Scratch& scratch)
      : table_(table), c_(c), gradient_(gradient), block_(table, gradient, c.features_dot != nullptr, scratch),
        of_weights_(Sweeps<T>::of(gradient, c.features_dot != nullptr, c.weights_gradient != nullptr)),
        of_weights_dot_(Sweeps<T>::of(true, false, false)) {
    w_ = scratch.array<T>(table.n_paths * W);
    k_ = c.mixed ? nullptr : scratch.array<T>(table.n_terms * W);
    k_dot_ = c.weights_dot ? scratch.array<T>(table.n_terms * W) : nullptr;
    gk_ = c.weights_gradient ? scratch.array<T>(table.n_terms * W) : nullptr;
  }

  /// Write k of a run to where it is kept.
  void mix_beforehand(const Run& run) { mix(run, as<T>(c_.weights), static_cast<T*>(c_.mixed) + mixed_place(run)); }

  /// Vectors begin .. end of a run; `gw` (paths, lanes) is where the weights' gradient goes, if wanted.
  /// With dots, the tangent along those of the weights is m, or gA, at these: both are linear in them.
  void work(const Run& run, int64_t begin, int64_t end, T* gw) {
    const bool along_weights_only = c_.weights_dot && !c_.features_dot;
    const T* k = c_.mixed ? static_cast<T*>(c_.mixed) + mixed_place(run) : k_;
    if (!c_.mixed) mix(run, as<T>(c_.weights), k_);
    if (k_dot_) mix(run, as<T>(c_.weights_dot), k_dot_);
    if (gk_) std::fill(gk_, gk_ + table_.n_terms * W, T(0));
    for (int64_t first = begin; first < end;) {
      const int n_vectors = end - first >= kBlock ? kBlock : 1;
      gather(run, first, n_vectors);
      if (!along_weights_only) of_weights_(n_vectors, table_, block_, k, gk_);
      if (k_dot_) of_weights_dot_(n_vectors, table_, block_, k_dot_, nullptr);
      scatter(run, first, n_vectors);
      first += n_vectors;
    }
    if (gk_) unmix(gw);
  }

 private:
  int64_t mixed_place(const Run& run) const {
    return (run.element * padded<T>(c_.n_channels) + run.channel) * table_.n_terms;
  }

  /// k = U w of an element, once for each node of a vector.
  void mix(const Run& run, const T* weights, T* k) {
    const T* from = weights + run.element * table_.n_paths * c_.n_channels + run.channel;
    for (int64_t path = 0; path < table_.n_paths; ++path, from += c_.n_channels) {
      T* to = w_ + path * W;
      store(to, load(from, run.width));
      for (int n = 1; n < run.nodes_of_vector; ++n) std::copy(from, from + run.width, to + n * run.width);
    }
    std::fill(k, k + table_.n_terms * W, T(0));
    for (const Mix* mix = table_.mixes; mix < table_.mixes + table_.n_mixes; ++mix)
      add(k + mix->term * W, mix->value, w_ + mix->path * W);
  }

  /// gw = U^T gk.
  void unmix(T* gw) const {
    std::fill(gw, gw + table_.n_paths * W, T(0));
    for (const Mix* mix = table_.mixes; mix < table_.mixes + table_.n_mixes; ++mix)
      add(gw + mix->path * W, mix->value, gk_ + mix->term * W);
  }

  static void add(T* to, double value, const T* from) { store(to, load(to) + static_cast<T>(value) * load(from)); }

  /// Call body(node, lane, vector) for each node of some vectors.
  template <class Body>
  void over_nodes(const Run& run, int64_t first, int n_vectors, const Body& body) const {
    for (int g = 0; g < n_vectors; ++g) {
      const int64_t begin = (first + g) * run.nodes_of_vector;
      const int n = static_cast<int>(std::min<int64_t>(run.nodes_of_vector, run.n_nodes - begin));
      for (int a = 0; a < n; ++a) body(run.nodes[begin + a], a * run.width, g);
    }
  }

  void gather(const Run& run, int64_t first, int n_vectors) const {
    read(run, first, n_vectors, c_.features, table_.n_components, block_.features);
    if (c_.features_dot) read(run, first, n_vectors, c_.features_dot, table_.n_components, block_.features_dot);
    const auto clear = [&](T* p, int64_t n) { std::fill(p, p + n * n_vectors * W, T(0)); };
    clear(block_.product, table_.n_rows);
    if (!gradient_) return;
    read(run, first, n_vectors, c_.cotangent, table_.n_rows, block_.cotangent);
    clear(block_.features_gradient, table_.n_components);
  }

  void read(const Run& run, int64_t first, int n_vectors, const void* from, int64_t n_rows, T* to) const {
    const int64_t step = n_vectors * W;
    if (run.nodes_of_vector > 1) std::fill(to, to + n_rows * step, T(0));
    over_nodes(run, first, n_vectors, [&](int64_t node, int lane, int g) {
      const T* row = as<T>(from) + node * n_rows * c_.n_channels + run.channel;
      T* at = to + g * W + lane;
      for (int64_t m = 0; m < n_rows; ++m, row += c_.n_channels, at += step) {
        if (run.nodes_of_vector == 1) store(at, load(row, run.width));
        else std::copy(row, row + run.width, at);
      }
    });
  }

  void scatter(const Run& run, int64_t first, int n_vectors) const {
    if (c_.product) write(run, first, n_vectors, block_.product, table_.n_rows, c_.product);
    if (c_.features_gradient)
      write(run, first, n_vectors, block_.features_gradient, table_.n_components, c_.features_gradient);
  }

  void write(const Run& run, int64_t first, int n_vectors, const T* from, int64_t n_rows, void* to) const {
    over_nodes(run, first, n_vectors, [&](int64_t node, int lane, int g) {
      T* row = static_cast<T*>(to) + node * n_rows * c_.n_channels + run.channel;
      const T* at = from + g * W + lane;
      for (int64_t m = 0; m < n_rows; ++m, row += c_.n_channels, at += n_vectors * W) {
        if (run.nodes_of_vector == 1) store(row, load(at), run.width);
        else std::copy(at, at + run.width, row);
      }
    });
  }

  const Table& table_;
  const MultiacePolynomialProduct& c_;
  const bool gradient_;
  const Block<T> block_;
  const Sweeps<T> of_weights_, of_weights_dot_;
  T *w_, *k_, *k_dot_, *gk_;
};

/// Add (or with `first` write) the gradient of a run's weights, summed over the nodes of a vector.
template <class T>
void add_weights_gradient(const Table& table, const MultiacePolynomialProduct& c, const Run& run, const T* gw,
                          bool first) {
  T* to = static_cast<T*>(c.weights_gradient) + run.element * table.n_paths * c.n_channels + run.channel;
  for (int64_t path = 0; path < table.n_paths; ++path, to += c.n_channels, gw += kWidth<T>) {
    Vector<T> total = first ? zero<T>() : load(to, run.width);
    for (int n = 0; n < run.nodes_of_vector; ++n) total += load(gw + n * run.width, run.width);
    store(to, total, run.width);
  }
}

/// Fewest vectors that are worth a part.
constexpr int64_t kSmallestPart = 8;

/// Runs are cut into equal numbers of vectors. A run's weights' gradient is written by the part
/// that begins it; shares of others wait until all are done and follow in order.
template <class T>
int over_runs(const MultiacePolynomialProduct& c, bool gradient) {
  const Table table(c.table);
  Scratch scratch;
  int64_t* zeros = c.species ? nullptr : scratch.zeros<int64_t>(c.n_nodes);
  const int64_t* species = c.species ? c.species : zeros;
  for (int64_t n = 0; n < c.n_nodes; ++n)
    if (species[n] < 0 || species[n] >= c.n_elements) return kOutOfRange;
  const EdgesOfNode of = EdgesOfNode::group(c.n_elements, c.n_nodes, species, scratch);
  const std::vector<Run> runs = make_runs<T>(c, of);
  const int64_t n_weights = table.n_paths * c.n_channels;
  for (int64_t z = 0; c.weights_gradient && z < c.n_elements; ++z)
    if (of.start[z] == of.start[z + 1])
      std::fill_n(static_cast<T*>(c.weights_gradient) + z * n_weights, n_weights, T(0));
  if (runs.empty()) return kSuccess;

  const int64_t n_vectors = runs.back().first_vector + runs.back().n_vectors, size = table.n_paths * kWidth<T>;
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, n_vectors / kSmallestPart)));
  T* waiting = scratch.array<T>(n_parts * size);
  std::vector<const Run*> continued(n_parts, nullptr);
  run_on_threads(n_parts, [&](int part) {
    Scratch local;
    Worker<T> worker(table, c, gradient, local);
    T* own = local.array<T>(size);
    const int64_t begin = part_start(n_vectors, part, n_parts), end = part_start(n_vectors, part + 1, n_parts);
    for (const Run& run : runs) {
      const int64_t from = std::max(begin - run.first_vector, int64_t{0});
      const int64_t to = std::min(end - run.first_vector, run.n_vectors);
      if (from >= to) continue;
      T* gw = from > 0 ? waiting + part * size : own;
      worker.work(run, from, to, gw);
      if (c.weights_gradient == nullptr) continue;
      if (from > 0) continued[part] = &run;
      else add_weights_gradient(table, c, run, gw, true);
    }
  });
  for (int part = 0; part < n_parts; ++part)
    if (continued[part]) add_weights_gradient(table, c, *continued[part], waiting + part * size, false);
  return kSuccess;
}

/// Mix the weights of every element.
template <class T>
int mix(const MultiacePolynomialProduct& c) {
  const Table table(c.table);
  Scratch scratch;
  Worker<T> worker(table, c, false, scratch);
  for (int64_t z = 0; z < c.n_elements; ++z)
    for (int64_t channel = 0; channel < c.n_channels; channel += kWidth<T>) {
      const int width = static_cast<int>(std::min<int64_t>(kWidth<T>, c.n_channels - channel));
      worker.mix_beforehand({z, 0, nullptr, channel, width, kWidth<T> / width, 0, 0});
    }
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::error_code;
using multiace::over_runs;

int multiace_polynomial_product_mix_f32(const MultiacePolynomialProduct* c) {
  return error_code([&] { return multiace::mix<float>(*c); });
}
int multiace_polynomial_product_mix_f64(const MultiacePolynomialProduct* c) {
  return error_code([&] { return multiace::mix<double>(*c); });
}

int multiace_polynomial_product_forward_f32(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<float>(*c, false); });
}
int multiace_polynomial_product_forward_f64(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<double>(*c, false); });
}
int multiace_polynomial_product_backward_f32(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<float>(*c, true); });
}
int multiace_polynomial_product_backward_f64(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<double>(*c, true); });
}
int multiace_polynomial_product_double_backward_f32(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<float>(*c, true); });
}
int multiace_polynomial_product_double_backward_f64(const MultiacePolynomialProduct* c) {
  return error_code([&] { return over_runs<double>(*c, true); });
}
