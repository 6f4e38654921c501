// Lanes are channels; where channels fill at most half a vector, several nodes of one element share
// it. A block is a few vectors of one element and one tile of channels: its k are read once.
#include "polynomial_product.h"

#include <algorithm>
#include <vector>

#include "errors.h"
#include "polynomial_product_sweep.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

using namespace polynomial_product;

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
    k_ = scratch.array<T>(table.n_terms * W);
    k_dot_ = c.weights_dot ? scratch.array<T>(table.n_terms * W) : nullptr;
    gk_ = c.weights_gradient ? scratch.array<T>(table.n_terms * W) : nullptr;
  }

  /// Vectors begin .. end of a run; `gw` (paths, lanes) is where the weights' gradient goes, if wanted.
  /// With dots, the tangent along those of the weights is m, or gA, at these: both are linear in them.
  void work(const Run& run, int64_t begin, int64_t end, T* gw) {
    const bool along_weights_only = c_.weights_dot && !c_.features_dot;
    mix(run, as<T>(c_.weights), k_);
    if (k_dot_) mix(run, as<T>(c_.weights_dot), k_dot_);
    if (gk_) std::fill(gk_, gk_ + table_.n_terms * W, T(0));
    for (int64_t first = begin; first < end;) {
      const int n_vectors = end - first >= kBlock ? kBlock : 1;
      gather(run, first, n_vectors);
      if (!along_weights_only) of_weights_(n_vectors, table_, block_, k_, gk_);
      if (k_dot_) of_weights_dot_(n_vectors, table_, block_, k_dot_, nullptr);
      scatter(run, first, n_vectors);
      first += n_vectors;
    }
    if (gk_) unmix(gw);
  }

 private:
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

}  // namespace
}  // namespace multiace

using multiace::error_code;
using multiace::over_runs;

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
