// Edges grouped by one of their ends.
#pragma once

#include "threads.h"

namespace multiace {

/// The edges of each node: `edges[start[n] .. start[n + 1])`, in the order they came in.
struct EdgesOfNode {
  const int64_t* start;
  const int64_t* edges;

  /// Group by `node_of_edge`, a stable counting sort; memory is the caller's scratch.
  static EdgesOfNode group(int64_t n_nodes, int64_t n_edges, const int64_t* node_of_edge, Scratch& scratch) {
    int64_t* start = scratch.zeros<int64_t>(n_nodes + 1);
    int64_t* edges = scratch.array<int64_t>(n_edges);
    for (int64_t e = 0; e < n_edges; ++e) ++start[node_of_edge[e] + 1];
    for (int64_t n = 0; n < n_nodes; ++n) start[n + 1] += start[n];
    int64_t* next = scratch.array<int64_t>(n_nodes);
    for (int64_t n = 0; n < n_nodes; ++n) next[n] = start[n];
    for (int64_t e = 0; e < n_edges; ++e) edges[next[node_of_edge[e]]++] = e;
    return {start, edges};
  }

  /// First node of a part when nodes are cut into parts of nearly equal numbers of edges.
  int64_t part_start(int64_t n_nodes, int part, int n_parts) const {
    if (part >= n_parts) return n_nodes;
    const int64_t wanted = start[n_nodes] * part / n_parts;
    int64_t low = 0, high = n_nodes;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (start[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
};

}  // namespace multiace
