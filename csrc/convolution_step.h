// sum_{j in N(i)} R_{p c}(j -> i) sum_{a m} C^p_{a m b} Y_m(j -> i) h_{j a c}, block by block.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "convolution_paths.h"
#include "convolution_table.h"
#include "radial_rows.h"

namespace multiace {

/// Radial functions are formed for the rows of a block and a chunk of paths at a time. In reverse they give one
/// dE/dr for each row: there are no gradients of radial functions or of hidden features in memory.
template <class T>
class ConvolutionStep : public Step<T> {
  using Table = convolution::Table;
  using Chunk = convolution::Chunk;
  using Path = convolution::Path;

 public:
  /// last: whether forward and reverse run in one visit.
  ConvolutionStep(const Program& p, const Program::Operation& o, bool last)
      : Step<T>(o), table_(p.tables[o.table].words), hidden_(o.inputs[2]), last_(last) {
    if (o.constants[0] < 0) {
      splines_ = std::make_unique<Splines<T>>(p, writer_of(p, hidden_));
      return;
    }
    const Program::Constant& weights = p.constants[o.constants[0]];
    n_types_ = weights.shape[0], n_hidden_ = weights.shape[1];
    types_ = o.constants[1] < 0 ? nullptr : p.constants[o.constants[1]].integers();
    pack_weights(weights.numbers<T>());
  }

  void bind(State<T>& state) override {
    rows_ = splines_ ? &state.topology.rows(splines_->types, splines_->n_types) : &state.topology.rows(types_, n_types_);
    if (splines_ || last_) return;
    kept_rows_ = std::min<int64_t>(rows_->first.back(), kKept / (table_.n_weights * static_cast<int64_t>(sizeof(T))));
    kept_.resize(kept_rows_ * table_.n_weights);
  }

  void forward(Visit<T>& v) const override {
    Memory& own = memory(v);
    if (!splines_ && v.reverses) own.radials = v.scratch.template array<T>(n_rows(v) * table_.n_weights);
    if (!splines_ && !last_) own.radials = kept(v);
    Scratch scratch;
    const Edges edges(*this, v, scratch);
    Radials radials(*this, v, own.radials, false, scratch);
    T* t = scratch.array<T>(entries(v));
    for (const Chunk& chunk : table_.chunks) {
      radials.fill(chunk, true);
      each_path(v, chunk, [&](int64_t position, const Path& path, const T* y, int64_t lanes, int64_t) {
        couple(table_, path, y, lanes, t);
        const auto operands = edges.operands(position, path, t, lanes, own.features, radials.r, chunk);
        T* out = this->out(v, this->outputs[0]) + (position - v.block.begin) * table_.dim_out + path.out;
        convolution::pool_path<T, false>(operands, path.dim_out, out, path.out_channels);
      });
    }
  }

  void reverse(Visit<T>& v) const override {
    Memory& own = memory(v);
    if (!splines_ && !last_) own.radials = kept(v);
    if (this->inputs[0].differentiable) {
      const int64_t size = v.block.n_senders * table_.dim_in;
      own.gradient = v.scratch.template array<T>(size);
      std::fill_n(own.gradient, size, T(0));
    }
    Scratch scratch;
    const Edges edges(*this, v, scratch);
    Radials radials(*this, v, own.radials, true, scratch);
    T *t = scratch.array<T>(entries(v)), *gt = scratch.zeros<T>(entries(v));
    T* gr = scratch.array<T>(n_rows(v) * table_.widest_chunk());
    T* gu = splines_ ? nullptr : scratch.zeros<T>(n_rows(v) * n_hidden_);
    const bool formed = own.radials != nullptr;  // by the forward pass
    for (const Chunk& chunk : table_.chunks) {
      radials.fill(chunk, !formed);
      each_path(v, chunk, [&](int64_t position, const Path& path, const T* y, int64_t lanes, int64_t first_lane) {
        couple(table_, path, y, lanes, t);
        const auto operands = edges.operands(position, path, t, lanes, own.features, radials.r, chunk);
        const T* g = this->grad(v, this->outputs[0]) + (position - v.block.begin) * table_.dim_out + path.out;
        const convolution::Gradients<T> to{g, path.out_channels, own.gradient ? own.gradient + path.in : nullptr,
                                           gr + path.weight - chunk.weight, nullptr, edges.again(position), gt};
        convolution::pull_path<T, false, true>(operands, path.dim_out, to);
        uncouple(table_, path, gt, lanes, v.gy + first_lane * table_.n_harmonics);
      });
      radials.pull(chunk, gr, gu, v.gd);
    }
    if (gu) radials.pull_hidden(gu, v.gd);
  }

  bool commits() const override { return this->inputs[0].differentiable; }
  void commit(Visit<T>& v) const override {
    const int64_t array = this->inputs[0].array, row = table_.dim_in;
    const int32_t* sender = v.state.topology.senders_of_blocks.data() + v.block.first_sender;
    const T* from = memory(v).gradient;
    for (int64_t k = 0; k < v.block.n_senders; ++k, from += row) {
      T* to = v.state.gradient[array].data() + sender[k] * row;
      for (int64_t c = 0; c < row; ++c) to[c] += from[c];
    }
  }
  int64_t bytes() const override { return kept_.bytes(); }

 private:
  static constexpr int64_t kKept = int64_t{1} << 24;  // bytes of radial functions kept for the reverse pass

  /// What lasts from forward to reverse of a visit, and to its commit.
  struct Memory {
    T *features, *gradient, *radials;  // of the block's senders (gathered; dE/dh), of its rows
  };
  Memory& memory(Visit<T>& v) const {
    void*& at = v.memory[this->place];
    if (at == nullptr) {
      Memory* own = v.scratch.template array<Memory>(1);
      *own = {gather(v), nullptr, nullptr};
      at = own;
    }
    return *static_cast<Memory*>(at);
  }
  T* gather(Visit<T>& v) const {
    const int64_t row = table_.dim_in;
    T* to = v.scratch.template array<T>(v.block.n_senders * row);
    const T* from = v.state.value[this->inputs[0].array].data();
    const int32_t* sender = v.state.topology.senders_of_blocks.data() + v.block.first_sender;
    for (int64_t k = 0; k < v.block.n_senders; ++k) std::copy_n(from + sender[k] * row, row, to + k * row);
    return to;
  }
  T* kept(const Visit<T>& v) const {
    const int64_t end = rows_->first[v.number + 1];
    return v.state.gradients && end <= kept_rows_ ? kept_.data() + rows_->first[v.number] * table_.n_weights : nullptr;
  }
  int64_t n_rows(const Visit<T>& v) const { return rows_->first[v.number + 1] - rows_->first[v.number]; }
  int64_t entries(const Visit<T>& v) const { return table_.largest_entry * padded<T>(v.state.topology.most_edges); }

  /// Call body(position, path, Y, lanes, first lane in the block) for the paths of a chunk at each receiver.
  template <class Body>
  void each_path(const Visit<T>& v, const Chunk& chunk, const Body& body) const {
    const Topology& top = v.state.topology;
    for (int64_t position = v.block.begin; position < v.block.end; ++position) {
      const int64_t lane = top.first_lane[position], lanes = top.first_lane[position + 1] - lane;
      const T* y = v.state.harmonics.data() + lane * v.state.n_harmonics();
      for (int64_t p = chunk.first; p < chunk.last; ++p)
        body(position, table_.paths[p], y, lanes, lane - v.first_lane());
    }
  }

  /// Senders and rows of the block's edges.
  struct Edges {
    const ConvolutionStep& step;
    const Topology& top;
    int64_t first;  // place
    int64_t *other, *row;
    Edges(const ConvolutionStep& step, const Visit<T>& v, Scratch& scratch)
        : step(step), top(v.state.topology), first(top.first_place[v.block.begin]) {
      const int64_t n = top.first_place[v.block.end] - first;
      other = scratch.array<int64_t>(n), row = scratch.array<int64_t>(n);
      for (int64_t e = 0; e < n; ++e) other[e] = top.sender_in_block[first + e], row[e] = step.rows_->row[first + e];
    }
    const bool* again(int64_t position) const {
      return reinterpret_cast<const bool*>(step.rows_->again.data()) + top.first_place[position];
    }
    convolution::Operands<T> operands(int64_t position, const Path& path, const T* t, int64_t lanes, const T* features,
                                      const T* r, const Chunk& chunk) const {
      const int64_t place = top.first_place[position], n = top.first_place[position + 1] - place;
      return {n, lanes, other + place - first, row + place - first, path.dim_in, path.channels, t, nullptr,
              r + path.weight - chunk.weight, nullptr, chunk.n_weights, features + path.in, nullptr, step.table_.dim_in, 0};
    }
  };

  /// R of the rows of a block for one chunk of paths.
  struct Radials {
    const ConvolutionStep& step;
    const Visit<T>& v;
    int64_t n;
    const int32_t *type, *pair, *lane;
    T *r, *slope = nullptr, *own, *kept;
    SplinePoints<T> points{};
    T* hidden = nullptr;

    Radials(const ConvolutionStep& step, const Visit<T>& v, T* kept, bool slopes, Scratch& scratch)
        : step(step), v(v), n(step.n_rows(v)), type(step.rows_->type.data() + step.rows_->first[v.number]),
          pair(step.rows_->pair.data() + step.rows_->first[v.number]), lane(step.rows_->lane.data() + step.rows_->first[v.number]),
          kept(kept) {
      const int64_t size = n * step.table_.widest_chunk();
      r = own = kept ? nullptr : scratch.array<T>(size);
      if (step.splines_) {
        points = step.splines_->points(v, *step.rows_, slopes, scratch);
        if (slopes) slope = scratch.array<T>(size);
        return;
      }
      if (kept && slopes) return;  // formed already
      const T* from = v.state.value[step.hidden_].data();
      hidden = scratch.array<T>(n * step.n_hidden_);
      for (int64_t k = 0; k < n; ++k) std::copy_n(from + pair[k] * step.n_hidden_, step.n_hidden_, hidden + k * step.n_hidden_);
    }

    void fill(const Chunk& chunk, bool form) {
      const int64_t width = chunk.n_weights;
      if (step.splines_) return step.splines_->interpolate_rows(points, type, n, chunk.weight, width, r, slope);
      r = kept ? kept + n * chunk.weight : own;
      if (form)
        over_types([&](int64_t begin, int64_t end) {
          multiply(end - begin, width, step.n_hidden_, hidden + begin * step.n_hidden_, step.n_hidden_, int64_t{1},
                   step.forward_of(chunk, type[begin]), r + begin * width, width, false);
        });
    }

    /// From dE/dR of a chunk to dE/dr, or to dE/du, which is added up.
    void pull(const Chunk& chunk, const T* gr, T* gu, T* gd) const {
      const int64_t width = chunk.n_weights;
      if (step.splines_) {
        for (int64_t k = 0; k < n; ++k) gd[lane[k] - v.first_lane()] += dot_rows(gr + k * width, slope + k * width, width);
        return;
      }
      over_types([&](int64_t begin, int64_t end) {
        multiply(end - begin, step.n_hidden_, width, gr + begin * width, width, int64_t{1},
                 step.transposed_of(chunk, type[begin]), gu + begin * step.n_hidden_, step.n_hidden_, true);
      });
    }
    void pull_hidden(const T* gu, T* gd) const {
      const int64_t width = step.n_hidden_;
      const T* slopes = v.state.slope[step.hidden_].data();
      for (int64_t k = 0; k < n; ++k) gd[lane[k] - v.first_lane()] += dot_rows(gu + k * width, slopes + pair[k] * width, width);
    }

    template <class Body>
    void over_types(const Body& body) const {
      for (int64_t begin = 0, end; begin < n; begin = end) {
        end = begin + 1;
        while (end < n && type[end] == type[begin]) ++end;
        body(begin, end);
      }
    }
  };

  /// V for u V and gR V^T, type after type and chunk after chunk.
  void pack_weights(const T* weights) {
    const int64_t row = table_.n_weights;
    for (const Chunk& chunk : table_.chunks) {
      forward_place_.push_back(forward_size_), transposed_place_.push_back(transposed_size_);
      forward_size_ += packed_size<T>(n_hidden_, chunk.n_weights);
      transposed_size_ += packed_size<T>(chunk.n_weights, n_hidden_);
    }
    T *forward = forward_.resize(n_types_ * forward_size_), *transposed = transposed_.resize(n_types_ * transposed_size_);
    for (int64_t type = 0; type < n_types_; ++type)
      for (size_t k = 0; k < table_.chunks.size(); ++k) {
        const Chunk& chunk = table_.chunks[k];
        const T* from = weights + type * n_hidden_ * row + chunk.weight;
        pack(n_hidden_, chunk.n_weights, from, row, int64_t{1}, forward + type * forward_size_ + forward_place_[k]);
        pack(chunk.n_weights, n_hidden_, from, int64_t{1}, row, transposed + type * transposed_size_ + transposed_place_[k]);
      }
  }
  const T* forward_of(const Chunk& chunk, int64_t type) const {
    return forward_.data() + type * forward_size_ + forward_place_[&chunk - table_.chunks.data()];
  }
  const T* transposed_of(const Chunk& chunk, int64_t type) const {
    return transposed_.data() + type * transposed_size_ + transposed_place_[&chunk - table_.chunks.data()];
  }

  Table table_;
  int64_t hidden_;
  bool last_;
  std::unique_ptr<Splines<T>> splines_;
  int64_t n_types_ = 1, n_hidden_ = 0, forward_size_ = 0, transposed_size_ = 0;
  const int64_t* types_ = nullptr;
  std::vector<int64_t> forward_place_, transposed_place_;
  Buffer<T> forward_, transposed_;
  const RowsOfBlocks* rows_ = nullptr;
  int64_t kept_rows_ = 0;
  mutable Buffer<T> kept_;
};

}  // namespace multiace
