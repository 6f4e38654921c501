// Steps that map each node by itself: linear maps, products, gates, norms and the like.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "elementary.h"
#include "errors.h"
#include "gate.h"
#include "linear.h"
#include "polynomial_product.h"
#include "polynomial_product_pack.h"
#include "step.h"

namespace multiace {

/// Call the kernel of T; throw what its code means.
template <class T, class Arguments>
void call(int (*of_float)(const Arguments*), int (*of_double)(const Arguments*), const Arguments& arguments) {
  const int code = (sizeof(T) == 4 ? of_float : of_double)(&arguments);
  if (code == kOutOfMemory) throw std::bad_alloc();
  if (code != kSuccess) throw std::runtime_error("a kernel failed with code " + std::to_string(code));
}
#define MULTIACE_CALL(KERNEL, ARGUMENTS) call<T>(multiace_##KERNEL##_f32, multiace_##KERNEL##_f64, ARGUMENTS)

/// y_{n m d} = sum_c x_{n m c} W_{z_n c d}, with W packed for both directions when the program is opened.
template <class T>
class LinearStep : public Step<T> {
 public:
  LinearStep(const Program& p, const Program::Operation& o) : Step<T>(o) {
    const Program::Constant& weights = p.constants[o.constants[0]];
    const int64_t* words = p.tables[o.table].words;
    int64_t of_element = 0, padded_forward = 0, padded_transposed = 0;
    for (int64_t k = 0; k < words[0]; ++k) {
      const int64_t in = words[3 + 6 * k + 2], out = words[3 + 6 * k + 4];
      of_element += in * out;
      padded_forward += in * ((out + 31) / 32 * 32), padded_transposed += out * ((in + 31) / 32 * 32);
    }
    c_.table = words, c_.n_threads = 1;
    c_.n_elements = of_element ? weights.size / of_element : 1;
    c_.weights = const_cast<T*>(weights.numbers<T>());
    c_.packed = forward_.resize(padded_forward * c_.n_elements);
    MULTIACE_CALL(linear_pack_forward, c_);
    c_.packed = transposed_.resize(padded_transposed * c_.n_elements);
    MULTIACE_CALL(linear_pack_transposed, c_);
  }

  void forward(Visit<T>& v) const override {
    const Operand &x = this->inputs[0], &y = this->outputs[0];
    MultiaceLinear c = arguments(v);
    c.x = v.value[x.array], c.y = v.value[y.array], c.packed = forward_.data(), c.accumulate = y.add;
    MULTIACE_CALL(linear_forward, c);
  }
  void reverse(Visit<T>& v) const override {
    const Operand &x = this->inputs[0], &y = this->outputs[0];
    if (!x.differentiable) return;
    MultiaceLinear c = arguments(v);
    c.x = v.gradient[x.array], c.y = v.gradient[y.array], c.packed = transposed_.data(), c.accumulate = x.add;
    MULTIACE_CALL(linear_transposed, c);
  }

 private:
  MultiaceLinear arguments(const Visit<T>& v) const {
    MultiaceLinear c = c_;
    c.n_nodes = v.n(), c.species = c.n_elements > 1 ? v.species : nullptr;
    return c;
  }

  MultiaceLinear c_{};
  Buffer<T> forward_, transposed_;
};

/// Symmetrised products as polynomials in Horner's form; the weights of each element are mixed with the couplings
/// once, when nodes of that element first come.
template <class T>
class ProductStep : public Step<T> {
 public:
  ProductStep(const Program& p, const Program::Operation& o)
      : Step<T>(o), packed_(pack_product(p.tables[o.table].words, p.tables[o.table].n_words)) {
    const Program::Constant& weights = p.constants[o.constants[0]];
    c_.table = packed_.data(), c_.n_threads = 1, c_.weights = weights.numbers<T>();
    c_.n_elements = weights.shape[0], c_.n_channels = weights.shape[2];
    of_element_ = padded<T>(c_.n_channels) * packed_[3];  // its terms
    c_.mixed = mixed_.resize(c_.n_elements * of_element_);
    is_mixed_.resize(c_.n_elements);
  }

  void bind(State<T>& state) override {
    for (int64_t z = 0; z < c_.n_elements; ++z) {
      if (is_mixed_[z] || (c_.n_elements > 1 && !state.topology.present[z])) continue;
      MultiacePolynomialProduct c = c_;
      c.n_elements = 1, c.mixed = mixed_.data() + z * of_element_;
      c.weights = static_cast<const T*>(c_.weights) + z * packed_[2] * c_.n_channels;  // its paths
      MULTIACE_CALL(polynomial_product_mix, c);
      is_mixed_[z] = true;
    }
  }

  void forward(Visit<T>& v) const override {
    MultiacePolynomialProduct c = arguments(v);
    c.product = v.value[this->outputs[0].array];
    MULTIACE_CALL(polynomial_product_forward, c);
  }
  void reverse(Visit<T>& v) const override {
    MultiacePolynomialProduct c = arguments(v);
    c.cotangent = v.gradient[this->outputs[0].array];
    this->pull(v, this->inputs[0], [&](T* to) {
      c.features_gradient = to;
      MULTIACE_CALL(polynomial_product_backward, c);
    });
  }

 private:
  MultiacePolynomialProduct arguments(const Visit<T>& v) const {
    MultiacePolynomialProduct c = c_;
    c.n_nodes = v.n(), c.species = c.n_elements > 1 ? v.species : nullptr;
    c.features = v.value[this->inputs[0].array];
    return c;
  }

  std::vector<int64_t> packed_;
  MultiacePolynomialProduct c_{};
  int64_t of_element_;
  Buffer<T> mixed_;
  std::vector<bool> is_mixed_;
};

/// Even scalars f(x), odd scalars tanh(x), the others times an activation of their gates.
template <class T>
class GateStep : public Step<T> {
 public:
  GateStep(const Program& p, const Program::Operation& o) : Step<T>(o), words_(p.tables[o.table].words) {}

  void forward(Visit<T>& v) const override {
    MultiaceGate c{words_, v.n(), 1, v.value[this->inputs[0].array], nullptr, nullptr, v.value[this->outputs[0].array], nullptr};
    MULTIACE_CALL(gate_forward, c);
  }
  void reverse(Visit<T>& v) const override {
    MultiaceGate c{words_, v.n(), 1, v.value[this->inputs[0].array], v.gradient[this->outputs[0].array], nullptr, nullptr, nullptr};
    this->pull(v, this->inputs[0], [&](T* to) {
      c.x_gradient = to;
      MULTIACE_CALL(gate_backward, c);
    });
  }

 private:
  const int64_t* words_;
};

/// Scalars f(x); the others x_m f(n) / n, n^2 = 1 + sum_m x_m^2 / (2 l + 1).
template <class T>
class NormStep : public Step<T> {
  struct Segment {
    int64_t dim, channels, start;  // dim is 0 for scalars
    Function function;
    double constant;
  };
  static_assert(sizeof(Segment) == 40, "the table is read in place");

 public:
  NormStep(const Program& p, const Program::Operation& o) : Step<T>(o) {
    const int64_t* words = p.tables[o.table].words;
    n_segments_ = words[0], dim_ = words[1];
    segments_ = reinterpret_cast<const Segment*>(words + 2);
  }

  void forward(Visit<T>& v) const override { run<false>(v, this->out(v, this->outputs[0])); }
  void reverse(Visit<T>& v) const override {
    this->pull(v, this->inputs[0], [&](T* to) { run<true>(v, to); });
  }

 private:
  template <bool Reverse>
  void run(const Visit<T>& v, T* to) const {
    const T* x = this->in(v, this->inputs[0]);
    const T* g = Reverse ? this->grad(v, this->outputs[0]) : nullptr;
    for (int64_t n = 0; n < v.n(); ++n, x += dim_, to += dim_, g += Reverse ? dim_ : 0)
      for (const Segment* s = segments_; s < segments_ + n_segments_; ++s)
        with_function(s->function, [&](auto function) {
          segment<Reverse, function>(*s, x + s->start, Reverse ? g + s->start : nullptr, to + s->start);
        });
  }

  template <bool Reverse, Function F>
  static void segment(const Segment& s, const T* x, const T* g, T* to) {
    const int64_t C = s.channels, dim = std::max<int64_t>(1, s.dim);
    for (int64_t c = 0; c < C; c += kWidth<T>) {
      const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, C - c));
      Vector<T> square = zero<T>(), along = zero<T>();  // sum_m x_m^2, sum_m g_m x_m
      for (int64_t m = 0; m < dim; ++m) {
        const Vector<T> xm = load(x + m * C + c, n);
        square += xm * xm;
        if (Reverse) along += load(g + m * C + c, n) * xm;
      }
      if (s.dim == 0) {
        const auto f = derivatives<T, F, 1>(load(x + c, n), static_cast<T>(s.constant));
        store(to + c, Reverse ? f.first * load(g + c, n) : f.f, n);
        continue;
      }
      Vector<T> norm = T(1) + square / static_cast<T>(dim);
      for (int k = 0; k < kWidth<T>; ++k) norm[k] = std::sqrt(norm[k]);
      const auto f = derivatives<T, F, 1>(norm, static_cast<T>(s.constant));
      const Vector<T> ratio = f.f / norm;
      // d(f / n)/dx_m = (f' - f / n) / n dn/dx_m, dn/dx_m = x_m / (n (2 l + 1))
      const Vector<T> slope = (f.first - ratio) / (norm * norm * static_cast<T>(dim)) * along;
      for (int64_t m = 0; m < dim; ++m) {
        const Vector<T> xm = load(x + m * C + c, n);
        store(to + m * C + c, Reverse ? ratio * load(g + m * C + c, n) + slope * xm : ratio * xm, n);
      }
    }
  }

  int64_t n_segments_, dim_;
  const Segment* segments_;
};

/// y = a / density, the density one number a node.
template <class T>
class QuotientStep : public Step<T> {
 public:
  QuotientStep(const Program& p, const Program::Operation& o) : Step<T>(o), width_(p.arrays[o.inputs[0]].width) {}

  void forward(Visit<T>& v) const override {
    const T *a = this->in(v, this->inputs[0]), *density = this->in(v, this->inputs[1]);
    T* y = this->out(v, this->outputs[0]);
    for (int64_t n = 0; n < v.n(); ++n)
      for (int64_t k = n * width_; k < (n + 1) * width_; ++k) y[k] = a[k] / density[n];
  }
  void reverse(Visit<T>& v) const override {
    const T *a = this->in(v, this->inputs[0]), *density = this->in(v, this->inputs[1]);
    const T* g = this->grad(v, this->outputs[0]);
    this->pull(v, this->inputs[0], [&](T* to) {
      for (int64_t n = 0; n < v.n(); ++n)
        for (int64_t k = n * width_; k < (n + 1) * width_; ++k) to[k] = g[k] / density[n];
    });
    this->pull(v, this->inputs[1], [&](T* to) {
      for (int64_t n = 0; n < v.n(); ++n) {
        T total = 0;
        for (int64_t k = n * width_; k < (n + 1) * width_; ++k) total += g[k] * a[k];
        to[n] = -total / (density[n] * density[n]);
      }
    });
  }

 private:
  int64_t width_;
};

/// Some irreps of x in the layout of y; the rest of y is zero.
template <class T>
class SelectStep : public Step<T> {
  struct Part {
    int64_t dim, in, channels_in, out, channels_out;
  };
  static_assert(sizeof(Part) == 40, "the table is read in place");

 public:
  SelectStep(const Program& p, const Program::Operation& o) : Step<T>(o) {
    const int64_t* words = p.tables[o.table].words;
    n_parts_ = words[0], dim_in_ = words[1], dim_out_ = words[2];
    parts_ = reinterpret_cast<const Part*>(words + 3);
  }

  void forward(Visit<T>& v) const override {
    const Operand& y = this->outputs[0];
    if (!y.add) std::fill_n(this->out(v, y), v.n() * dim_out_, T(0));
    each(v, [&](int64_t in, int64_t out) { this->out(v, y)[out] += this->in(v, this->inputs[0])[in]; });
  }
  void reverse(Visit<T>& v) const override {
    const Operand& x = this->inputs[0];
    if (!x.differentiable) return;
    if (!x.add) std::fill_n(this->grad(v, x), v.n() * dim_in_, T(0));
    each(v, [&](int64_t in, int64_t out) { this->grad(v, x)[in] += this->grad(v, this->outputs[0])[out]; });
  }

 private:
  template <class Body>
  void each(const Visit<T>& v, const Body& body) const {
    for (int64_t n = 0; n < v.n(); ++n)
      for (const Part* p = parts_; p < parts_ + n_parts_; ++p)
        for (int64_t m = 0; m < p->dim; ++m)
          for (int64_t c = 0; c < p->channels_in; ++c)
            body(n * dim_in_ + p->in + m * p->channels_in + c, n * dim_out_ + p->out + m * p->channels_out + c);
  }

  int64_t n_parts_, dim_in_, dim_out_;
  const Part* parts_;
};

/// A row for each element.
template <class T>
class EmbeddingStep : public Step<T> {
 public:
  EmbeddingStep(const Program& p, const Program::Operation& o)
      : Step<T>(o), rows_(p.constants[o.constants[0]].numbers<T>()), width_(p.arrays[o.outputs[0]].width) {}

  void forward(Visit<T>& v) const override {
    const Operand& y = this->outputs[0];
    T* to = this->out(v, y);
    for (int64_t n = 0; n < v.n(); ++n, to += width_) {
      const T* from = rows_ + v.species[n] * width_;
      for (int64_t c = 0; c < width_; ++c) to[c] = y.add ? to[c] + from[c] : from[c];
    }
  }

 private:
  const T* rows_;
  int64_t width_;
};

}  // namespace multiace
