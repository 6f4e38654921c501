// Consecutive receivers with all their edges, and the radial functions that these edges need.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "convolution_table.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace::convolution {

/// Edges of a block, if it has more than one receiver: R of a chunk then lies in the cache.
constexpr int64_t kEdgesOfBlock = 2048;

/// One past the last receiver of the block that starts at `begin`.
inline int64_t block_end(const EdgesOfNode& of, int64_t begin, int64_t end) {
  int64_t last = begin + 1;
  while (last < end && last - begin < kEdgesOfBlock && of.start[last + 1] - of.start[begin] <= kEdgesOfBlock) ++last;
  return last;
}

/// Sizes of the largest block among the receivers of a part.
struct BlockSizes {
  int64_t nodes = 0, edges = 0, edges_of_node = 0;

  BlockSizes(const EdgesOfNode& of, int64_t begin, int64_t end) {
    for (int64_t first = begin, last; first < end; first = last) {
      last = block_end(of, first, end);
      nodes = std::max(nodes, last - first);
      edges = std::max(edges, of.start[last] - of.start[first]);
    }
    for (int64_t i = begin; i < end; ++i) edges_of_node = std::max(edges_of_node, of.start[i + 1] - of.start[i]);
  }
};

/// Edges by their places in the block, receiver after receiver; rows of R by pair and type.
template <class T>
struct Block {
  int64_t begin = 0, end = 0;        // receivers
  int64_t n_edges = 0, n_rows = 0;
  int64_t *first_edge, *first_lane;  // of each receiver, and the ends; lanes are edges padded to whole vectors
  int64_t *edge, *other, *row;       // of each edge: its number, the node at its other end, its row
  bool* again;                       // whether an edge before it has the same row
  int64_t *pair, *type, *n_sharing;  // of each row: its pair, its type, and how many edges have it
  std::vector<int64_t> runs;         // starts of runs of rows of equal type, and n_rows
  T *hidden, *hidden_dot;            // (n_rows, n_hidden)
  T *harmonics, *harmonics_dot;      // (n_harmonics, lanes) of each receiver, one after the other

  Block(const Table& table, const MultiaceConvolution& c, const BlockSizes& most, Scratch& scratch) {
    const int64_t lanes = most_lanes(most);
    first_edge = scratch.array<int64_t>(most.nodes + 1);
    first_lane = scratch.array<int64_t>(most.nodes + 1);
    edge = scratch.array<int64_t>(most.edges);
    other = scratch.array<int64_t>(most.edges);
    row = scratch.array<int64_t>(most.edges);
    again = scratch.array<bool>(most.edges);
    pair = scratch.array<int64_t>(most.edges);
    type = scratch.array<int64_t>(most.edges);
    n_sharing = scratch.array<int64_t>(most.edges);
    place_ = scratch.array<int64_t>(most.edges);
    row_of_pair_ = c.pairs ? scratch.array<int64_t>(c.n_pairs) : nullptr;
    if (row_of_pair_) std::fill_n(row_of_pair_, c.n_pairs, int64_t{-1});
    const int64_t n_hidden = most.edges * c.n_hidden;
    hidden = scratch.array<T>(n_hidden);
    hidden_dot = c.hidden_dot ? scratch.array<T>(n_hidden) : nullptr;
    harmonics = scratch.array<T>(lanes * table.n_harmonics);
    harmonics_dot = c.harmonics_dot ? scratch.array<T>(lanes * table.n_harmonics) : nullptr;
  }

  static int64_t most_lanes(const BlockSizes& most) { return most.edges + most.nodes * kWidth<T>; }

  /// Take the edges of the receivers from `begin_` on, as many as make a block before `last`.
  void gather(const Table& table, const MultiaceConvolution& c, const EdgesOfNode& of, int64_t begin_, int64_t last) {
    begin = begin_, end = block_end(of, begin_, last);
    n_edges = of.start[end] - of.start[begin];
    std::copy_n(of.edges + of.start[begin], n_edges, edge);
    int64_t lane = 0;
    for (int64_t i = begin; i <= end; ++i) {
      first_edge[i - begin] = of.start[i] - of.start[begin];
      first_lane[i - begin] = lane;
      if (i < end) lane += padded<T>(of.start[i + 1] - of.start[i]);
    }
    for (int64_t e = 0; e < n_edges; ++e) other[e] = c.senders[edge[e]];
    find_rows(c);
    if (c.n_types > 1) sort_rows(c);
    runs.clear();
    for (int64_t r = 0; r < n_rows; ++r)
      if (r == 0 || type[r] != type[r - 1]) runs.push_back(r);
    runs.push_back(n_rows);
    gather_rows(as<T>(c.hidden), c.n_hidden, hidden);
    if (hidden_dot) gather_rows(as<T>(c.hidden_dot), c.n_hidden, hidden_dot);
    gather_columns(as<T>(c.harmonics), table.n_harmonics, harmonics);
    if (harmonics_dot) gather_columns(as<T>(c.harmonics_dot), table.n_harmonics, harmonics_dot);
  }

  int64_t n_edges_of(int64_t i) const { return first_edge[i - begin + 1] - first_edge[i - begin]; }
  int64_t lanes_of(int64_t i) const { return first_lane[i - begin + 1] - first_lane[i - begin]; }

 private:
  /// Give each edge the row of its pair and type, in the order of the edges.
  void find_rows(const MultiaceConvolution& c) {
    n_rows = 0;
    for (int64_t e = 0; e < n_edges; ++e) {
      const int64_t p = c.pairs ? c.pairs[edge[e]] : edge[e], t = c.edge_types ? c.edge_types[edge[e]] : 0;
      const int64_t known = c.pairs ? row_of_pair_[p] : -1;
      again[e] = known >= 0 && type[known] == t;
      row[e] = again[e] ? known : n_rows;
      if (again[e]) {
        ++n_sharing[known];
        continue;
      }
      pair[n_rows] = p, type[n_rows] = t, n_sharing[n_rows] = 1;
      if (c.pairs) row_of_pair_[p] = n_rows;
      ++n_rows;
    }
    for (int64_t r = 0; c.pairs && r < n_rows; ++r) row_of_pair_[pair[r]] = -1;
  }

  /// Put rows of equal type next to one another.
  void sort_rows(const MultiaceConvolution& c) {
    Scratch scratch;
    int64_t* place = place_;
    std::copy_n(type, n_rows, place);
    const int64_t* order = EdgesOfNode::group(c.n_types, n_rows, place, scratch).edges;
    for (int64_t r = 0; r < n_rows; ++r) place[order[r]] = r;
    for (int64_t e = 0; e < n_edges; ++e) row[e] = place[row[e]];
    for (int64_t* of_row : {pair, type, n_sharing}) {
      std::copy_n(of_row, n_rows, place);
      for (int64_t r = 0; r < n_rows; ++r) of_row[r] = place[order[r]];
    }
  }

  void gather_rows(const T* from, int64_t width, T* to) const {
    for (int64_t r = 0; r < n_rows; ++r) std::copy_n(from + pair[r] * width, width, to + r * width);
  }
  void gather_columns(const T* from, int64_t width, T* to) const {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = n_edges_of(i), lanes = lanes_of(i);
      const int64_t* edges = edge + first_edge[i - begin];
      T* of_node = to + first_lane[i - begin] * width;
      for (int64_t e = 0; e < lanes; ++e)
        for (int64_t m = 0; m < width; ++m) of_node[m * lanes + e] = e < n ? from[edges[e] * width + m] : T(0);
    }
  }

  int64_t *place_, *row_of_pair_;
};

/// Gradients by u of the rows of blocks as gradients by u of pairs.
///
/// A pair all of whose edges are in one row of one block gets the gradient of that row. What rows
/// of several blocks contribute to one pair is kept aside by each part and added up at the end, in
/// the order of the parts.
template <class T>
class PairGradients {
 public:
  PairGradients(const MultiaceConvolution& c, Scratch& scratch)
      : gradient_(static_cast<T*>(c.hidden_gradient)), width_(c.n_hidden), n_pairs_(c.n_pairs), rest_(std::max<int64_t>(1, c.n_threads)) {
    if (gradient_ == nullptr || (c.pairs == nullptr && c.n_edges > 0)) return;
    n_edges_ = scratch.zeros<int64_t>(c.n_pairs);
    for (int64_t e = 0; e < c.n_edges; ++e) ++n_edges_[c.pairs[e]];
  }

  /// Take the gradients by the rows of a block of a part.
  void take(int part, const Block<T>& block, const T* rows) {
    for (int64_t r = 0; r < block.n_rows; ++r, rows += width_) {
      const int64_t p = block.pair[r];
      if (n_edges_ == nullptr || n_edges_[p] == block.n_sharing[r]) {
        write(p, rows, false);
        continue;
      }
      rest_[part].pairs.push_back(p);
      rest_[part].rows.insert(rest_[part].rows.end(), rows, rows + width_);
    }
  }

  /// Add up what was kept aside; pairs without edges have the gradient zero.
  void finish() {
    if (n_edges_ == nullptr) return;
    for (int64_t p = 0; p < n_pairs_; ++p)
      if (n_edges_[p] == 0) clear(p);
    for (const Rest& rest : rest_)
      for (const int64_t p : rest.pairs) clear(p);
    for (const Rest& rest : rest_)
      for (size_t k = 0; k < rest.pairs.size(); ++k) write(rest.pairs[k], rest.rows.data() + k * width_, true);
  }

 private:
  struct Rest {
    std::vector<int64_t> pairs;
    std::vector<T> rows;
  };

  void clear(int64_t pair) { std::fill_n(gradient_ + pair * width_, width_, T(0)); }
  void write(int64_t pair, const T* row, bool add) {
    T* to = gradient_ + pair * width_;
    for (int64_t k = 0; k < width_; ++k) to[k] = add ? to[k] + row[k] : row[k];
  }

  T* gradient_;
  int64_t width_, n_pairs_;
  int64_t* n_edges_ = nullptr;
  std::vector<Rest> rest_;
};

}  // namespace multiace::convolution
