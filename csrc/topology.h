// Nodes and edges as an executor works through them: receivers in blocks, the edges of each receiver in lanes.
//
// A place is an edge in the order of its receiver. The edges of a receiver fill lanes from `first_lane`, padded to
// whole vectors. Blocks are consecutive positions of receivers; their boundaries depend on sizes alone, never on
// threads, and so do the sums over them.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace multiace {

/// Receivers begin .. end with their edges.
struct BlockOfReceivers {
  int64_t begin, end;                // positions
  int64_t first_sender, n_senders;   // its distinct senders, in `senders_of_blocks`
  int64_t size() const { return end - begin; }
};

/// Radial functions that the edges of each block need: a row for each pair and type, sorted by type.
struct RowsOfBlocks {
  std::vector<int64_t> first;   // of each block, and the end
  std::vector<int32_t> row;     // of each place, counted from the block's first
  std::vector<uint8_t> again;   // of each place: whether an earlier one of the block has the same row
  std::vector<int32_t> lane;    // of each row: the lane of its first edge
  std::vector<int32_t> pair;    // of each row
  std::vector<int32_t> type;    // of each row
};

struct Sizes {
  int64_t n_nodes, n_owned, n_edges;
};

class Topology {
 public:
  int64_t n_nodes = 0, n_owned = 0, n_edges = 0, n_lanes = 0, n_pairs = 0;
  std::vector<int64_t> species;             // of each node
  std::vector<int64_t> species_in_order;    // of each position, where these are not nodes
  std::vector<int32_t> node;                // of each position
  std::vector<int64_t> first_place, first_lane;  // of each position, and the end
  std::vector<int32_t> edge, sender;        // of each place: the caller's edge, its node
  std::vector<int32_t> pair;                // of each place
  std::vector<int32_t> lane_of_pair;        // lane of its first place
  std::vector<BlockOfReceivers> blocks;
  std::vector<BlockOfReceivers> blocks_of_nodes;  // all nodes, ghosts too, without edges
  std::vector<int32_t> sender_in_block;     // of each place: which of the block's senders
  std::vector<int32_t> senders_of_blocks;
  std::vector<bool> present;                // elements that nodes have
  int64_t most_edges = 0;                   // of a receiver
  bool is_permuted = false;                 // whether positions are not nodes

  /// Take nodes and edges; indices must have been checked. `nodes_of_block`: receivers of a block, at most;
  /// `by_elements`: put receivers of one element next to one another; `width`: lanes of a vector.
  void take(const Sizes& sizes, const int64_t* species_of_nodes, int64_t n_elements, const int64_t* senders,
            const int64_t* receivers, const int64_t* reverse, int64_t nodes_of_block, bool by_elements, int64_t width);

  /// The rows for a table (elements of sender, of receiver) -> type; null: one type. They stay until nodes and edges
  /// are taken again, and are shared by all who ask for the same table.
  /// Throws std::out_of_range: two elements that the table has no type for.
  const RowsOfBlocks& rows(const int64_t* types, int64_t n_types);

  const int64_t* species_of_positions() const { return is_permuted ? species_in_order.data() : species.data(); }
  int64_t lane(int64_t position, int64_t place) const { return first_lane[position] + place - first_place[position]; }
  int64_t bytes() const;

 private:
  RowsOfBlocks find_rows(const int64_t* types, int64_t n_types) const;
  void find_edges(const int64_t* senders, const int64_t* receivers, int64_t width);
  void find_pairs(const int64_t* reverse);
  void cut_into_blocks(int64_t nodes_of_block);
  void find_senders(BlockOfReceivers& block, std::vector<int32_t>& number);

  std::map<const int64_t*, RowsOfBlocks> rows_;  // by their table of types
};

}  // namespace multiace
