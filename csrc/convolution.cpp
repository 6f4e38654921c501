// Radial functions are formed for a block of receivers and a chunk of paths at a time, once for both
// directions of a pair, and then read by the sums over the edges of each receiver, which stay in
// registers.
//
// Every pass runs over receivers, whose rows of A and of its cotangent stay in the cache. Results
// belong to a receiver or to one of its edges, but for the gradients of u and of h_j: of the former
// see `PairGradients`; of the latter each part of the nodes sums its own, and these are added in the
// order of the parts.
#include "convolution.h"

#include <algorithm>
#include <vector>

#include "convolution_block.h"
#include "convolution_paths.h"
#include "convolution_radial.h"
#include "convolution_table.h"
#include "errors.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace convolution {
namespace {

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
    if (c.pairs && (c.pairs[e] < 0 || c.pairs[e] >= c.n_pairs)) return false;
    if (!inside || (c.edge_types && (c.edge_types[e] < 0 || c.edge_types[e] >= c.n_types))) return false;
  }
  return true;
}

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

/// What all parts write into.
template <class T>
struct Results {
  std::vector<FeaturesGradient<T>> features;
  T* weights;  // (parts, n_gradient), or null
  int64_t n_gradient;
  PairGradients<T> hidden;
};

/// One part of the receivers.
template <class T, bool Tangent>
class Part {
 public:
  Part(const Table& table, const MultiaceConvolution& c, const EdgesOfNode& of, const PackedWeights<T>& weights,
       const PackedWeights<T>& weights_dot, const FeaturesDot<T>& h_dot, int part, Results<T>& results)
      : table_(table), c_(c), of_(of), weights_(weights), weights_dot_(weights_dot), h_dot_(h_dot), part_(part),
        results_(results),
        h_gradient_(c.features_gradient ? results.features[part].origin() : nullptr),
        weights_gradient_(c.weights_gradient ? results.weights + part * results.n_gradient : nullptr) {}

  void run(int64_t begin, int64_t end) {
    const BlockSizes most(of_, begin, end);
    Scratch scratch;
    Block<T> block(table_, c_, most, scratch);
    const Radials<T> radials(table_, most.edges, Tangent, scratch);
    allocate(most, scratch);
    const RadialGradients<T> to{
        table_, c_, weights_gradient_ ? scratch.array<T>(packed_size<T>(kRowsAtOnce, table_.widest_chunk())) : nullptr};
    for (int64_t first = begin; first < end; first = block.end) {
      block.gather(table_, c_, of_, first, end);
      if (gy_) std::fill_n(gy_, table_.n_harmonics * block.first_lane[block.end - block.begin], T(0));
      if (gu_) std::fill_n(gu_, block.n_rows * c_.n_hidden, T(0));
      for (size_t k = 0; k < table_.chunks.size(); ++k) {
        radials.fill(table_, c_, block, k, weights_, weights_dot_);
        for (int64_t i = block.begin; i < block.end; ++i) paths(block, i, radials, table_.chunks[k]);
        pull_radials(block, k, to);
      }
      if (gy_) write_harmonics(block);
      if (gu_) results_.hidden.take(part_, block, gu_);
    }
  }

 private:
  void allocate(const BlockSizes& most, Scratch& scratch) {
    const bool pulls = h_gradient_ || weights_gradient_ || c_.harmonics_gradient || c_.hidden_gradient;
    const int64_t size = most.edges * table_.widest_chunk();
    const int64_t entries = table_.largest_entry * padded<T>(most.edges_of_node);
    t_ = scratch.array<T>(entries);
    if (Tangent) t_dot_ = scratch.array<T>(entries);
    if (pulls) gr_ = scratch.array<T>(size);
    if (Tangent && pulls && (c_.hidden_dot || c_.weights_dot)) plain_ = scratch.array<T>(size);
    if (c_.harmonics_gradient) {
      gt_ = scratch.array<T>(entries);
      gy_ = scratch.array<T>(table_.n_harmonics * Block<T>::most_lanes(most));
    }
    if (c_.hidden_gradient) gu_ = scratch.array<T>(most.edges * c_.n_hidden);
  }

  /// The paths of one chunk at one node: sums over its edges, and gradients by them.
  void paths(const Block<T>& block, int64_t i, const Radials<T>& radials, const Chunk& chunk) const {
    const int64_t first = block.first_edge[i - block.begin], lanes = block.lanes_of(i);
    const int64_t lane = block.first_lane[i - block.begin] * table_.n_harmonics;
    for (int64_t p = chunk.first; p < chunk.last; ++p) {
      const Path& path = table_.paths[p];
      const int64_t column = path.weight - chunk.weight;
      couple_node(block, path, lane, lanes);
      const Operands<T> operands{block.n_edges_of(i), lanes, block.other + first, block.row + first, path.dim_in,
                                 path.channels, t_, t_dot_, radials.r + column,
                                 radials.dot ? radials.dot + column : nullptr, chunk.n_weights,
                                 as<T>(c_.features) + path.in, h_dot_.rows + path.in, table_.dim_in, h_dot_.row};
      if (c_.pooled) {
        T* out = static_cast<T*>(c_.pooled) + i * table_.dim_out + path.out;
        pool_path<T, Tangent>(operands, path.dim_out, out, path.out_channels);
      }
      if (gr_ == nullptr) continue;
      const Gradients<T> to{as<T>(c_.cotangent) + i * table_.dim_out + path.out, path.out_channels,
                            h_gradient_ ? h_gradient_ + path.in : nullptr, gr_ + column,
                            plain_ ? plain_ + column : nullptr, block.again + first, gt_};
      if (gt_ == nullptr) {
        pull_path<T, Tangent, false>(operands, path.dim_out, to);
        continue;
      }
      pull_path<T, Tangent, true>(operands, path.dim_out, to);
      uncouple(table_, path, gt_, lanes, gy_ + lane);
    }
  }

  /// T of one path, with its tangent, for the edges of one node.
  void couple_node(const Block<T>& block, const Path& path, int64_t lane, int64_t lanes) const {
    couple(table_, path, block.harmonics + lane, lanes, t_);
    if (t_dot_ == nullptr) return;
    if (block.harmonics_dot) couple(table_, path, block.harmonics_dot + lane, lanes, t_dot_);
    else std::fill_n(t_dot_, path.dim_in * path.dim_out * lanes, T(0));
  }

  /// From gR of one chunk to the gradients by u and V.
  void pull_radials(const Block<T>& block, size_t k, const RadialGradients<T>& to) const {
    if (gu_) {
      to.to_hidden(block, k, as<T>(c_.weights), weights_, gr_, gu_);
      if (plain_ && c_.weights_dot) to.to_hidden(block, k, as<T>(c_.weights_dot), weights_dot_, plain_, gu_);
    }
    if (weights_gradient_) {
      to.to_weights(block, k, block.hidden, gr_, weights_gradient_);
      if (plain_ && c_.hidden_dot) to.to_weights(block, k, block.hidden_dot, plain_, weights_gradient_);
    }
  }

  void write_harmonics(const Block<T>& block) const {
    const int64_t n = table_.n_harmonics;
    for (int64_t i = block.begin; i < block.end; ++i) {
      const int64_t first = block.first_edge[i - block.begin], lanes = block.lanes_of(i);
      const T* gy = gy_ + block.first_lane[i - block.begin] * n;
      for (int64_t e = 0; e < block.n_edges_of(i); ++e) {
        T* to = static_cast<T*>(c_.harmonics_gradient) + block.edge[first + e] * n;
        for (int64_t m = 0; m < n; ++m) to[m] = gy[m * lanes + e];
      }
    }
  }

  const Table& table_;
  const MultiaceConvolution& c_;
  const EdgesOfNode& of_;
  const PackedWeights<T>&weights_, &weights_dot_;
  const FeaturesDot<T>& h_dot_;
  int part_;
  Results<T>& results_;
  T *h_gradient_, *weights_gradient_;  // null where not wanted, as are those below
  T *t_ = nullptr, *t_dot_ = nullptr;  // T of one path and node, and its tangent
  T *gr_ = nullptr, *plain_ = nullptr;  // gradients by R, and without tangents, of one chunk
  T *gt_ = nullptr, *gy_ = nullptr, *gu_ = nullptr;
};

/// A and the gradients of <cotangent, A>, or with Tangent their rates of change: those wanted.
template <class T, bool Tangent>
int convolve(const MultiaceConvolution& c) {
  if (!indices_are_valid(c)) return kOutOfRange;
  const Table table(c.table);
  Scratch scratch;
  const bool backward = c.hidden_gradient != nullptr;
  const PackedWeights<T> weights(table, c, as<T>(c.weights), backward, scratch);
  const PackedWeights<T> weights_dot(table, c, as<T>(c.weights_dot), backward, scratch);
  const FeaturesDot<T> h_dot(table, c, scratch);
  const EdgesOfNode of = EdgesOfNode::group(c.n_receivers, c.n_edges, c.receivers, scratch);
  const int n_parts = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, c.n_receivers)));
  const auto start = [&](int part) { return of.part_start(c.n_receivers, part, n_parts); };
  const int64_t n_rows = (c.n_types - 1) * c.type_rows + c.n_hidden;
  const int64_t n_gradient = c.weights_gradient ? n_rows * table.n_weights : 0;
  Results<T> results{std::vector<FeaturesGradient<T>>(c.features_gradient ? n_parts : 0),
                     scratch.zeros<T>(n_gradient * n_parts), n_gradient,
                     PairGradients<T>(c, scratch)};
  for (int part = 0; part < static_cast<int>(results.features.size()); ++part)
    results.features[part].cover(c, of, start(part), start(part + 1), table.dim_in, scratch);
  run_on_threads(n_parts, [&](int part) {
    Part<T, Tangent>(table, c, of, weights, weights_dot, h_dot, part, results).run(start(part), start(part + 1));
  });
  results.hidden.finish();
  if (c.features_gradient) add_parts(c, results.features, n_parts);
  for (int64_t w = 0; w < n_gradient; ++w) {
    T total = results.weights[w];
    for (int part = 1; part < n_parts; ++part) total += results.weights[part * n_gradient + w];
    static_cast<T*>(c.weights_gradient)[w] = total;
  }
  return kSuccess;
}

}  // namespace
}  // namespace convolution
}  // namespace multiace

using multiace::error_code;
using multiace::convolution::convolve;

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
