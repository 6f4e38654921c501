#include "topology.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace multiace {

void Topology::take(const Sizes& sizes, const int64_t* species_of_nodes, int64_t n_elements, const int64_t* senders,
                    const int64_t* receivers, const int64_t* reverse, int64_t nodes_of_block, bool by_elements,
                    int64_t width) {
  n_nodes = sizes.n_nodes, n_owned = sizes.n_owned, n_edges = sizes.n_edges;
  species.assign(species_of_nodes, species_of_nodes + n_nodes);
  present.assign(n_elements, false);
  rows_.clear();
  for (const int64_t z : species) present[z] = true;
  node.resize(n_owned);
  std::iota(node.begin(), node.end(), 0);
  if (by_elements) std::stable_sort(node.begin(), node.end(), [&](int a, int b) { return species[a] < species[b]; });
  is_permuted = by_elements && !std::is_sorted(node.begin(), node.end());
  species_in_order.resize(is_permuted ? n_owned : 0);
  for (int64_t p = 0; is_permuted && p < n_owned; ++p) species_in_order[p] = species[node[p]];
  find_edges(senders, receivers, width);
  find_pairs(reverse);
  cut_into_blocks(nodes_of_block);
}

void Topology::find_edges(const int64_t* senders, const int64_t* receivers, int64_t width) {
  std::vector<int64_t> position(n_owned), next(n_owned + 1, 0);
  for (int64_t p = 0; p < n_owned; ++p) position[node[p]] = p;
  for (int64_t e = 0; e < n_edges; ++e) ++next[position[receivers[e]] + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  first_place = next;
  first_lane.assign(n_owned + 1, 0);
  most_edges = 0;
  for (int64_t p = 0; p < n_owned; ++p) {
    const int64_t n = first_place[p + 1] - first_place[p];
    first_lane[p + 1] = first_lane[p] + (n + width - 1) / width * width;
    most_edges = std::max(most_edges, n);
  }
  n_lanes = first_lane[n_owned];
  edge.resize(n_edges);
  sender.resize(n_edges);
  for (int64_t e = 0; e < n_edges; ++e) {
    const int64_t place = next[position[receivers[e]]]++;
    edge[place] = static_cast<int32_t>(e);
    sender[place] = static_cast<int32_t>(senders[e]);
  }
}

void Topology::find_pairs(const int64_t* reverse) {
  pair.resize(n_edges);
  lane_of_pair.clear();
  std::vector<int32_t> pair_of_edge(reverse ? n_edges : 0, -1);
  for (int64_t p = 0; p < n_owned; ++p)
    for (int64_t place = first_place[p]; place < first_place[p + 1]; ++place) {
      const int64_t known = reverse ? pair_of_edge[reverse[edge[place]]] : -1;
      pair[place] = static_cast<int32_t>(known >= 0 ? known : static_cast<int64_t>(lane_of_pair.size()));
      if (reverse) pair_of_edge[edge[place]] = pair[place];
      if (known < 0) lane_of_pair.push_back(static_cast<int32_t>(lane(p, place)));
    }
  n_pairs = static_cast<int64_t>(lane_of_pair.size());
}

void Topology::cut_into_blocks(int64_t nodes_of_block) {
  blocks.clear();
  blocks_of_nodes.clear();
  senders_of_blocks.clear();
  sender_in_block.resize(n_edges);
  std::vector<int32_t> number(n_nodes, -1);
  const auto cut = [&](int64_t n, std::vector<BlockOfReceivers>& to) {
    const int64_t n_blocks = (n + nodes_of_block - 1) / nodes_of_block;
    for (int64_t b = 0; b < n_blocks; ++b) to.push_back({n * b / n_blocks, n * (b + 1) / n_blocks, 0, 0});
  };
  cut(n_owned, blocks);
  cut(n_nodes, blocks_of_nodes);
  for (BlockOfReceivers& block : blocks) find_senders(block, number);
}

void Topology::find_senders(BlockOfReceivers& block, std::vector<int32_t>& number) {
  block.first_sender = static_cast<int64_t>(senders_of_blocks.size());
  for (int64_t place = first_place[block.begin]; place < first_place[block.end]; ++place) {
    int32_t& of_sender = number[sender[place]];
    if (of_sender < 0) {
      of_sender = static_cast<int32_t>(static_cast<int64_t>(senders_of_blocks.size()) - block.first_sender);
      senders_of_blocks.push_back(sender[place]);
    }
    sender_in_block[place] = of_sender;
  }
  block.n_senders = static_cast<int64_t>(senders_of_blocks.size()) - block.first_sender;
  for (int64_t k = block.first_sender; k < block.first_sender + block.n_senders; ++k) number[senders_of_blocks[k]] = -1;
}

const RowsOfBlocks& Topology::rows(const int64_t* types, int64_t n_types) {
  const auto found = rows_.find(types);
  return found == rows_.end() ? rows_.emplace(types, find_rows(types, n_types)).first->second : found->second;
}

RowsOfBlocks Topology::find_rows(const int64_t* types, int64_t n_types) const {
  const int64_t n_elements = static_cast<int64_t>(present.size());
  RowsOfBlocks rows;
  rows.row.resize(n_edges);
  rows.again.resize(n_edges);
  rows.first.push_back(0);
  for (auto* of_row : {&rows.type, &rows.pair, &rows.lane}) of_row->reserve(n_edges);
  std::vector<int32_t> row_of_pair(n_pairs, -1), place_of_row, sorted;
  std::vector<int64_t> next(n_types + 1);
  for (const BlockOfReceivers& block : blocks) {
    const int64_t first = rows.first.back();
    for (int64_t p = block.begin; p < block.end; ++p)
      for (int64_t place = first_place[p]; place < first_place[p + 1]; ++place) {
        const int64_t type = types ? types[species[sender[place]] * n_elements + species[node[p]]] : 0;
        if (type < 0 || type >= n_types) throw std::out_of_range("two elements that the program was not made for");
        const int32_t known = row_of_pair[pair[place]];
        rows.again[place] = known >= 0 && rows.type[first + known] == type;
        if (rows.again[place]) {
          rows.row[place] = known;
          continue;
        }
        rows.row[place] = row_of_pair[pair[place]] = static_cast<int32_t>(static_cast<int64_t>(rows.type.size()) - first);
        rows.type.push_back(static_cast<int32_t>(type));
        rows.pair.push_back(pair[place]);
        rows.lane.push_back(static_cast<int32_t>(lane(p, place)));
      }
    const int64_t n = static_cast<int64_t>(rows.type.size()) - first;
    for (int64_t r = 0; r < n; ++r) row_of_pair[rows.pair[first + r]] = -1;
    rows.first.push_back(first + n);
    if (n_types == 1) continue;
    std::fill(next.begin(), next.end(), 0);
    for (int64_t r = 0; r < n; ++r) ++next[rows.type[first + r] + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    place_of_row.resize(n), sorted.resize(n);
    for (int64_t r = 0; r < n; ++r) place_of_row[r] = static_cast<int32_t>(next[rows.type[first + r]]++);
    for (auto* of_row : {&rows.type, &rows.pair, &rows.lane}) {
      for (int64_t r = 0; r < n; ++r) sorted[place_of_row[r]] = (*of_row)[first + r];
      std::copy(sorted.begin(), sorted.end(), of_row->begin() + first);
    }
    for (int64_t place = first_place[block.begin]; place < first_place[block.end]; ++place)
      rows.row[place] = place_of_row[rows.row[place]];
  }
  return rows;
}

int64_t Topology::bytes() const {
  int64_t n = 2 * n_nodes + n_owned + 5 * n_edges + n_pairs + static_cast<int64_t>(senders_of_blocks.size());
  for (const auto& [types, rows] : rows_) n += n_edges + 3 * static_cast<int64_t>(rows.type.size());
  return 4 * n + 16 * n_owned;
}

}  // namespace multiace
