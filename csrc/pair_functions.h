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
      if (o.code == Code::kAgnesi || o.code == Code::kNormalisedAgnesi)
        transformed_ = &o, transform_ = std::make_unique<Transform>(p.tables[o.table].words, o.code);
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
    make(transformed_->outputs[0]);
    transform_->resize(top.n_pairs);
    for (int64_t p = 0; p < top.n_owned; ++p)
      for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place)
        transform_->bind(top.pair[place], top.species[top.sender[place]], top.species[top.node[p]]);
  }

  /// Evaluate the pairs first .. first + n.
  void evaluate(const State<T>& state, int64_t first, int64_t n) const {
    Scratch scratch;
    T* r = scratch.array<T>(n);
    for (int64_t k = 0; k < n; ++k) r[k] = state.distances.data()[state.topology.lane_of_pair[first + k]];
    MultiaceRadialBasis c{};
    c.n_rows = n, c.number = words_[1], c.n_threads = 1;
    c.family = words_[0], c.envelope_power = words_[3], c.envelope_on_basis = words_[4];
    if (c.family == 3 || c.envelope_power < 0) c.outer = words_[5], c.inner = words_[6], c.falling = words_[7];
    __builtin_memcpy(&c.cutoff, words_ + 2, sizeof(double));
    c.distances = r, c.constants = constants_;
    if (transform_) {
      const int64_t array = transformed_->outputs[0];
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

  /// With f(r) = a y^far / (1 + y^(far - near)), y = r / r_0, of each pair:
  /// agnesi, x = 1 / (1 + f(r)), r_0 = (R_j + R_i) / 2;
  /// normalised_agnesi, x = scale (f(r) - f(r_in)) / (1 + f(r)) in [0, r_c], x(r_c) = r_c, r_0 = R_j + R_i.
  class Transform {
   public:
    Transform(const int64_t* words, Code code) : normalised_(code == Code::kNormalisedAgnesi) {
      const double* numbers = reinterpret_cast<const double*>(words + 1);
      if (normalised_) {
        far_ = numbers[0], near_ = numbers[1], r_in_ = numbers[2], cutoff_ = numbers[3], radii_ = numbers + 4;
        a_ = (4 * far_ * near_ - 2 * (far_ + near_)) / (far_ + far_ * far_ + near_ + near_ * near_);
      } else {
        a_ = numbers[0], far_ = numbers[1], near_ = numbers[2], radii_ = numbers + 3;
      }
    }
    void resize(int64_t n_pairs) {
      r_0_.resize(n_pairs);
      if (normalised_) f_in_.resize(n_pairs), scale_.resize(n_pairs);
    }
    void bind(int64_t pair, int64_t sender, int64_t receiver) {
      const double sum = radii_[sender] + radii_[receiver], r_0 = normalised_ ? sum : 0.5 * sum;
      r_0_.data()[pair] = static_cast<T>(r_0);
      if (!normalised_) return;
      const auto f = [&](double r) {
        return a_ * std::pow(r / r_0, far_) / (1 + std::pow(r / r_0, far_ - near_));
      };
      const double f_in = f(r_in_), f_c = f(cutoff_);
      f_in_.data()[pair] = static_cast<T>(f_in);
      scale_.data()[pair] = static_cast<T>(cutoff_ * (1 + f_c) / (f_c - f_in));
    }
    void evaluate(const T* r, int64_t first, int64_t n, T* x, T* rate) const {
      const T a = static_cast<T>(a_), far = static_cast<T>(far_), step = static_cast<T>(far_ - near_);
      for (int64_t k = 0; k < n; ++k) {
        const T y = r[k] / r_0_.data()[first + k];
        const T g = std::pow(y, step), f = a * std::pow(y, far) / (1 + g);
        const T slope = f / ((1 + f) * (1 + f)) * (far - step * g / (1 + g)) / r[k];  // of -1 / (1 + f)
        if (normalised_) {
          const T f_in = f_in_.data()[first + k], scale = scale_.data()[first + k];
          const T value = scale * (f - f_in) / (1 + f), most = static_cast<T>(cutoff_);
          const bool inside = value >= 0 && value <= most;
          x[k] = std::min(std::max(value, T(0)), most);
          rate[k] = inside ? scale * (1 + f_in) * slope : T(0);
        } else {
          x[k] = 1 / (1 + f);
          rate[k] = -slope;
        }
      }
    }

   private:
    bool normalised_;
    double a_ = 0, far_ = 0, near_ = 0, r_in_ = 0, cutoff_ = 0;
    const double* radii_ = nullptr;
    Buffer<T> r_0_, f_in_, scale_;  // of each pair
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

  const Program::Operation *transformed_ = nullptr, *basis_ = nullptr;
  std::unique_ptr<Transform> transform_;
  const T* constants_ = nullptr;
  const int64_t* words_ = nullptr;
  std::vector<std::unique_ptr<Network>> networks_;
};

}  // namespace multiace
