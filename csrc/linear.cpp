// Rows of a block of nodes are copied side by side, so that the product is one GEMM whatever the
// layout of x, and the nodes of one element can be anywhere.
#include "linear.h"

#include <algorithm>

#include "errors.h"
#include "gemm.h"
#include "simd.h"
#include "sparse_rows.h"
#include "threads.h"

namespace multiace {
namespace {

struct Block {  // one irrep; no channels on the side that lacks it
  int64_t dim;  // 2 l + 1
  int64_t in, channels_in, out, channels_out;
  int64_t weight;  // start of W for one element; times the number of elements for several
};

struct Table {
  int64_t n_blocks, dim_in, dim_out;
  const Block* blocks;
  explicit Table(const int64_t* words)
      : n_blocks(words[0]), dim_in(words[1]), dim_out(words[2]), blocks(reinterpret_cast<const Block*>(words + 3)) {}
};
static_assert(sizeof(Block) == 48, "the table is read in place");

constexpr int64_t kRowsAtOnce = 96;  // of A in the cache

/// Nodes of one element after the other.
struct Groups {
  const int64_t *start, *nodes;
  Groups(const MultiaceLinear& c, Scratch& scratch) {
    const int64_t* species = c.species ? c.species : scratch.zeros<int64_t>(c.n_nodes);
    const EdgesOfNode of = EdgesOfNode::group(c.n_elements, c.n_nodes, species, scratch);
    start = of.start, nodes = of.edges;
  }
};

/// Copy (2l + 1, channels) of each node out of rows of its table.
template <class T>
void gather(const T* rows, int64_t row, const int64_t* nodes, int64_t n, int64_t width, T* to) {
  for (int64_t k = 0; k < n; ++k) std::copy_n(rows + nodes[k] * row, width, to + k * width);
}

/// The right factors of y = x W, or of x = y W^T: one for each block and element.
template <class T, bool Transposed>
struct Factors {
  const MultiaceLinear& c;

  int64_t inner(const Block& block) const { return Transposed ? block.channels_out : block.channels_in; }
  int64_t columns(const Block& block) const { return Transposed ? block.channels_in : block.channels_out; }
  int64_t size(const Block& block) const { return packed_size<T>(inner(block), columns(block)); }

  void pack(const Block& block, int64_t z, T* to) const {
    const T* weights = static_cast<const T*>(c.weights) + block.weight * c.n_elements +
                       z * block.channels_in * block.channels_out;
    multiace::pack(inner(block), columns(block), weights, Transposed ? 1 : block.channels_out,
                   Transposed ? block.channels_out : 1, to);
  }
};

template <class T, bool Transposed>
void pack_all(const MultiaceLinear& c) {
  static_assert(32 % kPanel<T> == 0, "columns padded to 32 have room for whole panels");
  const Table table(c.table);
  const Factors<T, Transposed> factors{c};
  T* to = static_cast<T*>(c.packed);
  for (const Block* block = table.blocks; block < table.blocks + table.n_blocks; ++block)
    for (int64_t z = 0; z < c.n_elements; ++z, to += factors.size(*block)) factors.pack(*block, z, to);
}

/// y (+)= x W, or x (+)= y W^T.
template <class T, bool Transposed>
void apply(const MultiaceLinear& c) {
  const Table table(c.table);
  const Factors<T, Transposed> factors{c};
  Scratch scratch;
  const Groups groups(c, scratch);
  const T* from = static_cast<const T*>(Transposed ? c.y : c.x);
  T* to = static_cast<T*>(Transposed ? c.x : c.y);
  const int64_t from_row = Transposed ? table.dim_out : table.dim_in;
  const int64_t to_row = Transposed ? table.dim_in : table.dim_out;
  parallel_for(static_cast<int>(c.n_threads), c.n_nodes, 1, [&](int64_t begin, int64_t end) {
    const T* ready = static_cast<const T*>(c.packed);
    for (int64_t b = 0; b < table.n_blocks; ++b) {
      const Block& block = table.blocks[b];
      const int64_t inner = factors.inner(block), columns = factors.columns(block), size = factors.size(block);
      const T* of_block = ready;
      ready += ready ? size * c.n_elements : 0;
      if (columns == 0 || (inner == 0 && c.accumulate)) continue;
      const int64_t from_start = Transposed ? block.out : block.in, to_start = Transposed ? block.in : block.out;
      const int64_t nodes_at_once = std::max<int64_t>(1, kRowsAtOnce / block.dim);
      Scratch local;
      T* own = of_block ? nullptr : local.array<T>(size);
      T* rows = local.array<T>(nodes_at_once * block.dim * inner);
      T** products = local.array<T*>(nodes_at_once * block.dim);
      for (int64_t z = 0; z < c.n_elements; ++z) {
        const int64_t first = std::max(begin, groups.start[z]), last = std::min(end, groups.start[z + 1]);
        if (first >= last) continue;
        if (own) factors.pack(block, z, own);
        const T* packed = own ? own : of_block + z * size;
        for (int64_t k = first; k < last; k += nodes_at_once) {
          const int64_t n = std::min(nodes_at_once, last - k);
          gather(from + from_start, from_row, groups.nodes + k, n, block.dim * inner, rows);
          for (int64_t row = 0; row < n * block.dim; ++row)
            products[row] = to + groups.nodes[k + row / block.dim] * to_row + to_start + row % block.dim * columns;
          multiply(n * block.dim, columns, inner, rows, inner, int64_t{1}, packed, products, c.accumulate != 0);
        }
      }
    }
  });
}

/// W (+)= x^T y: each thread has its own rows of every W.
template <class T>
void outer(const MultiaceLinear& c) {
  const Table table(c.table);
  Scratch scratch;
  const Groups groups(c, scratch);
  int64_t widest = 0;
  for (int64_t b = 0; b < table.n_blocks; ++b) widest = std::max(widest, table.blocks[b].channels_in);
  const int n_threads = static_cast<int>(std::max<int64_t>(1, std::min(c.n_threads, widest / kRows)));
  run_on_threads(n_threads, [&](int thread) {
    for (int64_t b = 0; b < table.n_blocks; ++b) {
      const Block& block = table.blocks[b];
      const int64_t c0 = part_start(block.channels_in, thread, n_threads);
      const int64_t height = part_start(block.channels_in, thread + 1, n_threads) - c0;
      const int64_t columns = block.channels_out;
      if (height == 0 || columns == 0) continue;
      const int64_t nodes_at_once = std::max<int64_t>(1, kRowsAtOnce / block.dim);
      const int64_t most_rows = nodes_at_once * block.dim;
      Scratch local;
      T* x = local.array<T>(most_rows * block.channels_in);
      T* y = local.array<T>(most_rows * columns);
      T* packed = local.array<T>(packed_size<T>(most_rows, columns));
      for (int64_t z = 0; z < c.n_elements; ++z) {
        T* to = static_cast<T*>(c.weights) + block.weight * c.n_elements + (z * block.channels_in + c0) * columns;
        bool accumulate = c.accumulate != 0;
        if (!accumulate && groups.start[z] == groups.start[z + 1]) std::fill_n(to, height * columns, T(0));
        for (int64_t k = groups.start[z]; k < groups.start[z + 1]; k += nodes_at_once) {
          const int64_t n = std::min(nodes_at_once, groups.start[z + 1] - k), rows = n * block.dim;
          gather(static_cast<const T*>(c.x) + block.in, table.dim_in, groups.nodes + k, n,
                 block.dim * block.channels_in, x);
          gather(static_cast<const T*>(c.y) + block.out, table.dim_out, groups.nodes + k, n, block.dim * columns, y);
          pack(rows, columns, y, columns, int64_t{1}, packed);
          multiply(height, columns, rows, x + c0, int64_t{1}, block.channels_in, packed, to, columns, accumulate);
          accumulate = true;
        }
      }
    }
  });
}

int checked(const MultiaceLinear& c, void (*body)(const MultiaceLinear&)) {
  return error_code([&] {
    for (int64_t n = 0; c.species && n < c.n_nodes; ++n)
      if (c.species[n] < 0 || c.species[n] >= c.n_elements) return kOutOfRange;
    body(c);
    return kSuccess;
  });
}

}  // namespace
}  // namespace multiace

using multiace::apply;
using multiace::checked;
using multiace::outer;
using multiace::pack_all;

int multiace_linear_forward_f32(const MultiaceLinear* c) { return checked(*c, apply<float, false>); }
int multiace_linear_forward_f64(const MultiaceLinear* c) { return checked(*c, apply<double, false>); }
int multiace_linear_transposed_f32(const MultiaceLinear* c) { return checked(*c, apply<float, true>); }
int multiace_linear_transposed_f64(const MultiaceLinear* c) { return checked(*c, apply<double, true>); }
int multiace_linear_pack_forward_f32(const MultiaceLinear* c) { return checked(*c, pack_all<float, false>); }
int multiace_linear_pack_forward_f64(const MultiaceLinear* c) { return checked(*c, pack_all<double, false>); }
int multiace_linear_pack_transposed_f32(const MultiaceLinear* c) { return checked(*c, pack_all<float, true>); }
int multiace_linear_pack_transposed_f64(const MultiaceLinear* c) { return checked(*c, pack_all<double, true>); }
int multiace_linear_outer_f32(const MultiaceLinear* c) { return checked(*c, outer<float>); }
int multiace_linear_outer_f64(const MultiaceLinear* c) { return checked(*c, outer<double>); }
