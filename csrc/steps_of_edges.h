// Steps that sum functions of the edges of each receiver: densities and core repulsion.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "elementary.h"
#include "radial_rows.h"

namespace multiace {

/// rho_{i l m z k} = sum_{j: type z} u_k(j -> i) Y_lm(j -> i), k in the range of l, as small matrix products: Y u
/// forward, g u^T and Y^T g in reverse, whose product with du/dr is dE/dr of each edge.
template <class T>
class NeighbourDensityStep : public Step<T> {
  /// Degrees l with one range of k.
  struct Group {
    int64_t lm, n_lm, first_k, n_k, place;  // place in a row of rho
  };

 public:
  NeighbourDensityStep(const Program& p, const Program::Operation& o) : Step<T>(o), hidden_(o.inputs[1]) {
    const int64_t* words = p.tables[o.table].words;
    n_hidden_ = words[1], n_types_ = words[2];
    for (int64_t l = 0; l <= words[0]; ++l) {
      const int64_t first = words[3 + 2 * l], n = words[4 + 2 * l];
      if (!groups_.empty() && groups_.back().first_k == first && groups_.back().n_k == n) groups_.back().n_lm += 2 * l + 1;
      else groups_.push_back({l * l, 2 * l + 1, first, n, row_});
      row_ += (2 * l + 1) * n_types_ * n;
    }
    types_ = o.constants[0] < 0 ? nullptr : p.constants[o.constants[0]].integers();
    const Program::Operation& writer = writer_of(p, hidden_);
    if (writer.code == Code::kSpline) splines_ = std::make_unique<Splines<T>>(p, writer);
  }

  void bind(State<T>& state) override {
    Topology& top = state.topology;
    const int64_t n_elements = state.program.n_elements;
    rows_ = splines_ ? &top.rows(splines_->types, splines_->n_types) : &top.rows(nullptr, 1);
    type_.clear();
    if (n_types_ == 1) return;
    type_.resize(top.n_edges);
    for (int64_t p = 0; p < top.n_owned; ++p)
      for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place) {
        const int32_t z = top.species[top.sender[place]];
        type_[place] = static_cast<int32_t>(types_ ? types_[z * n_elements + top.species[top.node[p]]] : z);
        if (type_[place] < 0) throw std::out_of_range("two elements that the program was not made for");
      }
  }

  void forward(Visit<T>& v) const override {
    Scratch scratch;
    const Functions u = functions(v, false, scratch);
    T* rho = this->out(v, this->outputs[0]);
    if (n_types_ > 1) std::fill_n(rho, v.n() * row_, T(0));
    T* packed = scratch.array<T>(packed_size<T>(v.state.topology.most_edges, n_hidden_));
    each_receiver(v, u, [&](const Edges& e, int64_t node, int64_t type) {
      for (const Group& g : groups_) {
        pack(e.n, g.n_k, e.values + g.first_k, n_hidden_, int64_t{1}, packed);
        multiply(g.n_lm, g.n_k, e.n, e.y + g.lm * e.y_row, e.y_row, int64_t{1}, packed,
                 rho + node * row_ + g.place + type * g.n_k, n_types_ * g.n_k, false);
      }
    });
  }

  void reverse(Visit<T>& v) const override {
    Scratch scratch;
    const Functions u = functions(v, true, scratch);
    const T* gradient = this->grad(v, this->outputs[0]);
    const int64_t most = v.state.topology.most_edges, n_lm = v.state.n_harmonics();
    T* gu = scratch.zeros<T>(most * n_hidden_);
    T* gy = scratch.array<T>(most * n_lm);
    T* packed = scratch.array<T>(std::max(packed_size<T>(n_hidden_, n_lm), packed_size<T>(n_lm, n_hidden_)));
    each_receiver(v, u, [&](const Edges& e, int64_t node, int64_t type) {
      for (const Group& g : groups_) {
        const T* of_group = gradient + node * row_ + g.place + type * g.n_k;
        const int64_t stride = n_types_ * g.n_k;
        pack(g.n_k, g.n_lm, of_group, int64_t{1}, stride, packed);
        multiply(e.n, g.n_lm, g.n_k, e.values + g.first_k, n_hidden_, int64_t{1}, packed, gy, g.n_lm, false);
        add_to_lanes(e, gy, g.n_lm, v.gy + e.first_lane * n_lm + g.lm * e.lanes);
        pack(g.n_lm, g.n_k, of_group, stride, int64_t{1}, packed);
        if (groups_.size() > 1 && &g == groups_.data()) std::fill_n(gu, e.n * n_hidden_, T(0));
        multiply(e.n, g.n_k, g.n_lm, e.y + g.lm * e.y_row, int64_t{1}, e.y_row, packed, gu + g.first_k, n_hidden_,
                 groups_.size() > 1);
      }
      for (int64_t k = 0; k < e.n; ++k)
        v.gd[e.first_lane + e.lane[k]] += dot_rows(gu + k * n_hidden_, e.slopes + k * n_hidden_, n_hidden_);
    });
  }

  int64_t bytes() const override { return 4 * static_cast<int64_t>(type_.size()); }

 private:
  /// u of the rows of a block, and du/dr if that is wanted.
  struct Functions {
    const T *values, *slopes;
    const int32_t* row;  // of each place of the block
  };
  Functions functions(const Visit<T>& v, bool slopes, Scratch& scratch) const {
    const Topology& top = v.state.topology;
    const int64_t place = top.first_place[v.block.begin];
    if (!splines_) return {v.state.value[hidden_].data(), v.state.slope[hidden_].data(), top.pair.data() + place};
    const int64_t first = rows_->first[v.number], n = rows_->first[v.number + 1] - first;
    T *values = scratch.array<T>(n * n_hidden_), *slope = slopes ? scratch.array<T>(n * n_hidden_) : nullptr;
    Scratch of_points;
    const SplinePoints<T> points = splines_->points(v, *rows_, slopes, of_points);
    splines_->interpolate_rows(points, rows_->type.data() + first, n, 0, n_hidden_, values, slope);
    return {values, slope, rows_->row.data() + place};
  }

  /// Edges of one receiver and type, with u and du/dr side by side.
  struct Edges {
    int64_t n, first_lane, lanes;  // of the receiver, in the block
    const int32_t* lane;           // of each edge, among those of the receiver
    const T* y;                    // (n_lm, y_row)
    int64_t y_row;
    T *values, *slopes;
  };

  template <class Body>
  void each_receiver(const Visit<T>& v, const Functions& u, const Body& body) const {
    const Topology& top = v.state.topology;
    const int64_t n_lm = v.state.n_harmonics(), begin = top.first_place[v.block.begin];
    Scratch scratch;
    int32_t* lane = scratch.array<int32_t>(top.most_edges);
    Edges e{};
    e.values = scratch.array<T>(top.most_edges * n_hidden_);
    e.slopes = u.slopes ? scratch.array<T>(top.most_edges * n_hidden_) : nullptr;
    T* gathered = n_types_ > 1 ? scratch.array<T>(n_lm * padded<T>(top.most_edges)) : nullptr;
    e.lane = lane;
    for (int64_t position = v.block.begin; position < v.block.end; ++position) {
      const int64_t place = top.first_place[position], n = top.first_place[position + 1] - place;
      const int64_t first = top.first_lane[position];
      const T* y = v.state.harmonics.data() + first * n_lm;
      e.first_lane = first - v.first_lane(), e.lanes = top.first_lane[position + 1] - first;
      for (int64_t type = 0; type < n_types_; ++type) {
        e.n = 0;
        for (int64_t k = 0; k < n; ++k) {
          if (n_types_ > 1 && type_[place + k] != type) continue;
          const int64_t row = u.row[place - begin + k];
          lane[e.n] = static_cast<int32_t>(k);
          std::copy_n(u.values + row * n_hidden_, n_hidden_, e.values + e.n * n_hidden_);
          if (e.slopes) std::copy_n(u.slopes + row * n_hidden_, n_hidden_, e.slopes + e.n * n_hidden_);
          ++e.n;
        }
        if (e.n == 0 && n_types_ > 1) continue;
        e.y = y, e.y_row = e.lanes;
        if (n_types_ > 1) {
          e.y = gathered, e.y_row = padded<T>(e.n);
          for (int64_t m = 0; m < n_lm; ++m)
            for (int64_t k = 0; k < e.n; ++k) gathered[m * e.y_row + k] = y[m * e.lanes + lane[k]];
        }
        body(e, position - v.block.begin, type);
      }
    }
  }

  /// to[m, lane] += from[edge, m].
  void add_to_lanes(const Edges& e, const T* from, int64_t n_lm, T* to) const {
    constexpr int W = kWidth<T>;
    if (n_types_ > 1) {
      for (int64_t k = 0; k < e.n; ++k)
        for (int64_t m = 0; m < n_lm; ++m) to[m * e.lanes + e.lane[k]] += from[k * n_lm + m];
      return;
    }
    for (int64_t k = 0; k < e.n; k += W) {
      const int some = static_cast<int>(std::min<int64_t>(W, e.n - k));
      for (int64_t m = 0; m < n_lm; m += W) {
        const int columns = static_cast<int>(std::min<int64_t>(W, n_lm - m));
        Vector<T> tile[W];
        for (int q = 0; q < W; ++q) tile[q] = q < some ? load(from + (k + q) * n_lm + m, columns) : zero<T>();
        transpose<T>(tile);
        for (int q = 0; q < columns; ++q) {
          T* at = to + (m + q) * e.lanes + k;
          store(at, load(at) + tile[q]);
        }
      }
    }
  }

  int64_t hidden_, n_hidden_, n_types_, row_ = 0;
  std::vector<Group> groups_;
  const int64_t* types_;
  std::unique_ptr<Splines<T>> splines_;
  const RowsOfBlocks* rows_ = nullptr;
  std::vector<int32_t> type_;  // of each place, where there are several
};

/// 1 + sum_j tanh((sum_n w_n e_n)^2) u, of pairs whose basis is exact.
template <class T>
class PoolingDensityStep : public Step<T> {
 public:
  PoolingDensityStep(const Program& p, const Program::Operation& o)
      : Step<T>(o), weights_(p.constants[o.constants[0]].numbers<T>()), number_(p.arrays[o.inputs[0]].width) {}

  void forward(Visit<T>& v) const override {
    T* density = this->out(v, this->outputs[0]);
    std::fill_n(density, v.n(), T(1));
    each(v, [&](int64_t node, int64_t, T value, T) { density[node] += value; });
  }
  void reverse(Visit<T>& v) const override {
    const T* g = this->grad(v, this->outputs[0]);
    each(v, [&](int64_t node, int64_t lane, T, T slope) { v.gd[lane] += g[node] * slope; });
  }

 private:
  template <class Body>
  void each(const Visit<T>& v, const Body& body) const {
    const Topology& top = v.state.topology;
    const int64_t basis = this->inputs[0].array, envelope = this->inputs[1].array;
    for (int64_t p = v.block.begin; p < v.block.end; ++p)
      for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place) {
        const int64_t pair = top.pair[place];
        const T q = dot_rows(weights_, v.state.value[basis].data() + pair * number_, number_);
        const T q_dot = dot_rows(weights_, v.state.slope[basis].data() + pair * number_, number_);
        const T f = std::tanh(q * q), slope = (1 - f * f) * 2 * q * q_dot;
        const T u = envelope < 0 ? T(1) : v.state.value[envelope].data()[pair];
        const T u_dot = envelope < 0 ? T(0) : v.state.slope[envelope].data()[pair];
        body(p - v.block.begin, top.lane(p, place) - v.first_lane(), f * u, slope * u + f * u_dot);
      }
  }

  const T* weights_;
  int64_t number_;
};

/// V_i = 1/2 sum_j k Z_i Z_j / r phi(r / a) u(r / r_0).
template <class T>
class RepulsionStep : public Step<T> {
 public:
  RepulsionStep(const Program& p, const Program::Operation& o) : Step<T>(o) {
    const int64_t* words = p.tables[o.table].words;
    const int64_t n = words[0];
    const double* numbers = reinterpret_cast<const double*>(words + 3);
    power_ = words[1], n_terms_ = words[2];
    coefficients_ = numbers + 3, exponents_ = coefficients_ + n_terms_;
    const double *charges = exponents_ + n_terms_, *ends = charges + n;
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < n; ++i)
        pairs_.push_back({static_cast<T>(0.5 * numbers[2] * charges[i] * charges[j]),
                          static_cast<T>((std::pow(charges[i], numbers[1]) + std::pow(charges[j], numbers[1])) / numbers[0]),
                          static_cast<T>(1.0 / (ends[i] + ends[j]))});
  }

  void forward(Visit<T>& v) const override {
    T* energy = this->out(v, this->outputs[0]);
    std::fill_n(energy, v.n(), T(0));
    each(v, [&](int64_t node, int64_t, T value, T) { energy[node] += value; });
  }
  void reverse(Visit<T>& v) const override {
    const T* g = this->grad(v, this->outputs[0]);
    each(v, [&](int64_t node, int64_t lane, T, T slope) { v.gd[lane] += g[node] * slope; });
  }

 private:
  struct Pair {
    T strength, rate, inverse_end;
  };

  template <class Body>
  void each(const Visit<T>& v, const Body& body) const {
    const Topology& top = v.state.topology;
    for (int64_t p = v.block.begin; p < v.block.end; ++p)
      for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place) {
        const int64_t lane = top.lane(p, place);
        const Pair& pair = pairs_[top.species[top.sender[place]] * v.state.program.n_elements + top.species[top.node[p]]];
        const T r = v.state.distances.data()[lane], x = r * pair.inverse_end;
        if (!(x < 1)) continue;
        T phi = 0, phi_dot = 0;
        for (int64_t k = 0; k < n_terms_; ++k) {
          const T rate = static_cast<T>(exponents_[k]) * pair.rate;
          const T term = static_cast<T>(coefficients_[k]) * std::exp(-rate * r);
          phi += term, phi_dot -= rate * term;
        }
        const T n = static_cast<T>(power_), a = (n + 1) * (n + 2) / 2, b = n * (n + 2), c = n * (n + 1) / 2;
        const T before = std::pow(x, static_cast<T>(power_ - 1));
        const T u = 1 - before * x * (a - b * x + c * x * x), u_dot = -a * n * before * (1 - x) * (1 - x) * pair.inverse_end;
        const T f = pair.strength / r * phi;
        body(p - v.block.begin, lane - v.first_lane(), f * u, pair.strength / r * (phi_dot - phi / r) * u + f * u_dot);
      }
  }

  int64_t power_, n_terms_;
  const double *coefficients_, *exponents_;
  std::vector<Pair> pairs_;
};

}  // namespace multiace
