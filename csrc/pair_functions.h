// Radial basis and networks of pairs with their derivatives by the distance, where a program has no splines.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "radial_basis.h"
#include "radial_network_layers.h"
#include "step.h"

namespace multiace {

/// The operations of layer 0 over pairs, for ranges of pairs.
template <class T>
class PairFunctions {
 public:
  static constexpr int64_t kPairsAtOnce = 192;

  explicit PairFunctions(const Program& p) {
    for (const Program::Operation& o : p.operations) {
      if (o.code == Code::kAgnesi) agnesi_ = &o, transform_ = std::make_unique<Agnesi>(p.tables[o.table].words);
      if (o.code == Code::kRadialBasis) {
        basis_ = &o;
        constants_ = p.constants[o.constants[0]].numbers<T>();
        words_ = p.tables[o.table].words;
      }
      if (o.code == Code::kRadialNetwork) networks_.push_back(std::make_unique<Network>(p, o));
    }
  }
  bool empty() const { return basis_ == nullptr; }

  void bind(State<T>& state) {
    if (empty()) return;
    const Topology& top = state.topology;
    const auto make = [&](int64_t array) {
      if (array < 0) return;
      state.value[array].resize(top.n_pairs * state.width(array));
      state.slope[array].resize(top.n_pairs * state.width(array));
    };
    for (const int64_t array : basis_->outputs) make(array);
    for (const auto& network : networks_) make(network->operation.outputs[0]);
    if (!transform_) return;
    make(agnesi_->outputs[0]);
    T* ends = transform_->half_sums.resize(top.n_pairs);
    for (int64_t p = 0; p < top.n_owned; ++p)
      for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place)
        ends[top.pair[place]] = static_cast<T>(
            0.5 * (transform_->radii[top.species[top.sender[place]]] + transform_->radii[top.species[top.node[p]]]));
  }

  /// Evaluate the pairs first .. first + n.
  void evaluate(const State<T>& state, int64_t first, int64_t n) const {
    Scratch scratch;
    T* r = scratch.array<T>(n);
    for (int64_t k = 0; k < n; ++k) r[k] = state.distances.data()[state.topology.lane_of_pair[first + k]];
    MultiaceRadialBasis c{};
    c.n_rows = n, c.number = words_[1], c.n_threads = 1;
    c.family = words_[0], c.envelope_power = words_[3], c.envelope_on_basis = words_[4];
    __builtin_memcpy(&c.cutoff, words_ + 2, sizeof(double));
    c.distances = r, c.constants = constants_;
    if (transform_) {
      const int64_t array = agnesi_->outputs[0];
      T *x = state.value[array].data() + first, *rate = state.slope[array].data() + first;
      transform_->evaluate(r, first, n, x, rate);
      c.argument = x, c.argument_dot = rate;
    }
    const auto rows = [&](const std::vector<Buffer<T>>& of, int64_t array) {
      return array < 0 ? nullptr : of[array].data() + first * state.width(array);
    };
    c.basis = rows(state.value, basis_->outputs[0]), c.basis_dot = rows(state.slope, basis_->outputs[0]);
    c.envelope = rows(state.value, basis_->outputs[1]), c.envelope_dot = rows(state.slope, basis_->outputs[1]);
    const int code = tangent(&c);
    if (code != 0) throw std::runtime_error("the radial basis failed");
    for (const auto& network : networks_) {
      MultiaceRadialNetwork u = network->arguments;
      const Program::Operation& o = network->operation;
      u.n_rows = n;
      u.basis = rows(state.value, o.inputs[0]), u.basis_dot = rows(state.slope, o.inputs[0]);
      u.envelope = rows(state.value, o.inputs[1]), u.envelope_dot = rows(state.slope, o.inputs[1]);
      u.features = rows(state.value, o.outputs[0]), u.features_dot = rows(state.slope, o.outputs[0]);
      radial_network::with_tangents(u, *network->weights, *network->none);
    }
  }

 private:
  static int tangent(const MultiaceRadialBasis* c) {
    if constexpr (sizeof(T) == 4) return multiace_radial_basis_tangent_f32(c);
    else return multiace_radial_basis_tangent_f64(c);
  }

  /// x = 1 / (1 + a y^q / (1 + y^(q - p))), y = r / r_0, r_0 = (R_j + R_i) / 2.
  struct Agnesi {
    double a, q, p;
    const double* radii;
    Buffer<T> half_sums;  // r_0 of each pair

    explicit Agnesi(const int64_t* words) {
      const double* numbers = reinterpret_cast<const double*>(words + 1);
      a = numbers[0], q = numbers[1], p = numbers[2], radii = numbers + 3;
    }
    void evaluate(const T* r, int64_t first, int64_t n, T* x, T* rate) const {
      for (int64_t k = 0; k < n; ++k) {
        const T y = r[k] / half_sums.data()[first + k];
        const T g = std::pow(y, static_cast<T>(q - p)), f = static_cast<T>(a) * std::pow(y, static_cast<T>(q)) / (1 + g);
        x[k] = 1 / (1 + f);
        rate[k] = -f / ((1 + f) * (1 + f)) * (static_cast<T>(q) - static_cast<T>(q - p) * g / (1 + g)) / r[k];
      }
    }
  };

  /// Hidden layers, their matrices packed when the program is opened.
  struct Network {
    /// What `PackedLayers` allocates from.
    struct Memory {
      std::vector<Buffer<T>> buffers;
      template <class U>
      U* array(int64_t n) {
        buffers.emplace_back();
        return buffers.back().resize(n);
      }
    };

    const Program::Operation& operation;
    MultiaceRadialNetwork arguments{};
    Memory memory;
    std::unique_ptr<radial_network::PackedLayers<T>> weights, none;

    Network(const Program& p, const Program::Operation& o) : operation(o) {
      const int64_t* words = p.tables[o.table].words;
      arguments.function = words[0];
      __builtin_memcpy(&arguments.constant, words + 1, sizeof(double));
      arguments.n_layers = words[2], arguments.widths = words + 3, arguments.n_threads = 1;
      const auto numbers = [&](int64_t k) {
        return o.constants[k] < 0 ? nullptr : p.constants[o.constants[k]].template numbers<T>();
      };
      arguments.weights = numbers(0), arguments.biases = numbers(1);
      weights = std::make_unique<radial_network::PackedLayers<T>>(arguments, numbers(0), memory);
      none = std::make_unique<radial_network::PackedLayers<T>>(arguments, nullptr, memory);
    }
  };

  const Program::Operation *agnesi_ = nullptr, *basis_ = nullptr;
  std::unique_ptr<Agnesi> transform_;
  const T* constants_ = nullptr;
  const int64_t* words_ = nullptr;
  std::vector<std::unique_ptr<Network>> networks_;
};

}  // namespace multiace
