// Steps that map each node by itself: linear maps, products, gates, norms and the like.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "gate_rows.h"
#include "gemm.h"
#include "polynomial_product_pack.h"
#include "polynomial_product_sweep.h"
#include "step.h"

namespace multiace {

constexpr int64_t kRowsAtOnce = 96;  // of a product, whose left factor stays in the cache

/// y_{n m d} = sum_c x_{n m c} W_{z_n c d}, with W packed for both directions when the program is opened.
template <class T>
class LinearStep : public Step<T> {
  struct Part {  // one irrep; no channels on the side that lacks it
    int64_t dim, in, channels_in, out, channels_out, weight;
  };
  static_assert(sizeof(Part) == 48, "the table is read in place");

 public:
  LinearStep(const Program& p, const Program::Operation& o) : Step<T>(o) {
    const int64_t* words = p.tables[o.table].words;
    n_parts_ = words[0], dim_in_ = words[1], dim_out_ = words[2];
    parts_ = reinterpret_cast<const Part*>(words + 3);
    int64_t of_element = 0;
    for (const Part* part = parts_; part < parts_ + n_parts_; ++part) of_element += part->channels_in * part->channels_out;
    const Program::Constant& weights = p.constants[o.constants[0]];
    n_elements_ = of_element ? weights.size / of_element : 1;
    pack_all(weights.numbers<T>(), false, forward_);
    pack_all(weights.numbers<T>(), true, transposed_);
  }

  void forward(Visit<T>& v) const override {
    const Operand &x = this->inputs[0], &y = this->outputs[0];
    apply<false>(v, this->in(v, x), this->out(v, y), y.add);
  }
  void reverse(Visit<T>& v) const override {
    const Operand &x = this->inputs[0], &y = this->outputs[0];
    if (x.differentiable) apply<true>(v, this->grad(v, y), this->grad(v, x), x.add);
  }

 private:
  static int64_t inner(const Part& p, bool transposed) { return transposed ? p.channels_out : p.channels_in; }
  static int64_t columns(const Part& p, bool transposed) { return transposed ? p.channels_in : p.channels_out; }

  void pack_all(const T* weights, bool transposed, Buffer<T>& packed) {
    int64_t size = 0;
    for (const Part* p = parts_; p < parts_ + n_parts_; ++p)
      size += n_elements_ * packed_size<T>(inner(*p, transposed), columns(*p, transposed));
    T* to = packed.resize(size);
    for (const Part* p = parts_; p < parts_ + n_parts_; ++p)
      for (int64_t z = 0; z < n_elements_; ++z) {
        const T* from = weights + p->weight * n_elements_ + z * p->channels_in * p->channels_out;
        pack(inner(*p, transposed), columns(*p, transposed), from, transposed ? 1 : p->channels_out,
             transposed ? p->channels_out : 1, to);
        to += packed_size<T>(inner(*p, transposed), columns(*p, transposed));
      }
  }

  template <bool Transposed>
  void apply(const Visit<T>& v, const T* from, T* to, bool add) const {
    const T* packed = (Transposed ? transposed_ : forward_).data();
    for (const Part* p = parts_; p < parts_ + n_parts_; ++p) {
      const int64_t in = inner(*p, Transposed), out = columns(*p, Transposed), size = packed_size<T>(in, out);
      if (out > 0 && !(in == 0 && add))
        v.over_elements(n_elements_ > 1, [&](int64_t z, const int32_t* rows, int64_t n) {
          multiply_rows_of_nodes<Transposed>(*p, packed + z * size, rows, n, from, to, add);
        });
      packed += size * n_elements_;
    }
  }

  template <bool Transposed>
  void multiply_rows_of_nodes(const Part& p, const T* packed, const int32_t* rows, int64_t n, const T* from, T* to,
                              bool add) const {
    const int64_t in = inner(p, Transposed), out = columns(p, Transposed), dim = p.dim;
    const int64_t from_row = Transposed ? dim_out_ : dim_in_, to_row = Transposed ? dim_in_ : dim_out_;
    from += Transposed ? p.out : p.in;
    to += Transposed ? p.in : p.out;
    if (rows == nullptr && dim == 1)
      return multiply(n, out, in, from, from_row, int64_t{1}, packed, to, to_row, add);
    const int64_t at_once = std::max<int64_t>(1, kRowsAtOnce / dim);
    Scratch scratch;
    T* gathered = scratch.array<T>(at_once * dim * in);
    T** products = scratch.array<T*>(at_once * dim);
    for (int64_t first = 0; first < n; first += at_once) {
      const int64_t some = std::min(at_once, n - first);
      for (int64_t k = 0; k < some; ++k) {
        const int64_t node = rows ? rows[first + k] : first + k;
        std::copy_n(from + node * from_row, dim * in, gathered + k * dim * in);
        for (int64_t m = 0; m < dim; ++m) products[k * dim + m] = to + node * to_row + m * out;
      }
      multiply(some * dim, out, in, gathered, in, int64_t{1}, packed, products, add);
    }
  }

  int64_t n_parts_, dim_in_, dim_out_, n_elements_;
  const Part* parts_;
  Buffer<T> forward_, transposed_;
};

/// Symmetrised products as polynomials in Horner's form; the weights of each element are mixed with the couplings
/// once, when nodes of that element first come.
template <class T>
class ProductStep : public Step<T> {
  static constexpr int W = kWidth<T>, kVectors = polynomial_product::kBlock;
  typedef polynomial_product::Sweeps<T> Sweeps;

 public:
  ProductStep(const Program& p, const Program::Operation& o)
      : Step<T>(o), packed_(pack_product(p.tables[o.table].words, p.tables[o.table].n_words)), table_(packed_.data()) {
    const Program::Constant& weights = p.constants[o.constants[0]];
    n_elements_ = weights.shape[0], n_channels_ = weights.shape[2];
    weights_ = weights.numbers<T>();
    width_ = std::min<int64_t>(W, n_channels_);
    together_ = W / width_;
    mixed_.resize(n_elements_);
  }

  void bind(const State<T>& state) override {
    for (int64_t z = 0; z < n_elements_; ++z)
      if (mixed_[z].data() == nullptr && (n_elements_ == 1 || state.topology.present[z])) mix(z);
  }
  void forward(Visit<T>& v) const override { run(v, false); }
  void reverse(Visit<T>& v) const override {
    if (this->inputs[0].differentiable) run(v, true);
  }

 private:
  int64_t n_tiles() const { return (n_channels_ + W - 1) / W; }
  int width_of(int64_t tile) const { return static_cast<int>(std::min<int64_t>(W, n_channels_ - tile * W)); }

  /// k = U w of an element, tile after tile of channels, once for each node of a vector.
  void mix(int64_t z) {
    const int64_t size = table_.n_terms * W;
    T* k = mixed_[z].resize(n_tiles() * size);
    std::fill_n(k, n_tiles() * size, T(0));
    for (int64_t tile = 0; tile < n_tiles(); ++tile, k += size)
      for (const polynomial_product::Mix* m = table_.mixes; m < table_.mixes + table_.n_mixes; ++m) {
        const T* w = weights_ + (z * table_.n_paths + m->path) * n_channels_ + tile * W;
        for (int64_t n = 0; n < together_; ++n)
          for (int c = 0; c < width_of(tile); ++c) k[m->term * W + n * width_ + c] += static_cast<T>(m->value) * w[c];
      }
  }

  void run(Visit<T>& v, bool reverse) const {
    const T* x = this->in(v, this->inputs[0]);
    const Operand& y = this->outputs[0];
    if (!reverse) return sweep(v, x, nullptr, this->out(v, y), nullptr);
    this->pull(v, this->inputs[0], [&](T* to) { sweep(v, x, this->grad(v, y), nullptr, to); });
  }

  void sweep(const Visit<T>& v, const T* x, const T* cotangent, T* product, T* gradient) const {
    Scratch scratch;
    const polynomial_product::Block<T> block(table_, gradient != nullptr, false, scratch);
    const Sweeps sweeps = Sweeps::of(gradient != nullptr, false, false);
    v.over_elements(n_elements_ > 1, [&](int64_t z, const int32_t* rows, int64_t n) {
      const int64_t n_all = (n + together_ - 1) / together_;
      for (int64_t tile = 0; tile < n_tiles(); ++tile) {
        const T* k = mixed_[z].data() + tile * table_.n_terms * W;
        const Nodes nodes{*this, rows, n, tile * W, width_of(tile)};
        for (int64_t first = 0, some; first < n_all; first += some) {
          some = n_all - first >= kVectors ? kVectors : 1;
          nodes.read(first, some, x, table_.n_components, block.features);
          std::fill_n(block.product, table_.n_rows * some * W, T(0));
          if (gradient) {
            nodes.read(first, some, cotangent, table_.n_rows, block.cotangent);
            std::fill_n(block.features_gradient, table_.n_components * some * W, T(0));
          }
          sweeps(static_cast<int>(some), table_, block, k, nullptr);
          if (gradient) nodes.write(first, some, block.features_gradient, table_.n_components, gradient);
          else nodes.write(first, some, block.product, table_.n_rows, product);
        }
      }
    });
  }

  /// Nodes of one element and channels of one tile, several nodes a vector where channels are few.
  struct Nodes {
    const ProductStep& step;
    const int32_t* rows;
    int64_t n, channel;
    int width;

    template <class Body>
    void each(int64_t first, int64_t n_vectors, const Body& body) const {
      for (int64_t g = 0; g < n_vectors; ++g)
        for (int64_t a = 0; a < step.together_; ++a) {
          const int64_t k = (first + g) * step.together_ + a;
          if (k < n) body(rows ? rows[k] : k, g * W + a * width);
        }
    }
    void read(int64_t first, int64_t n_vectors, const T* from, int64_t n_rows, T* to) const {
      const int64_t stride = n_vectors * W, row = step.n_channels_;
      if (step.together_ > 1) std::fill_n(to, n_rows * stride, T(0));
      each(first, n_vectors, [&](int64_t node, int64_t lane) {
        const T* x = from + node * n_rows * row + channel;
        if (width == W)
          for (int64_t m = 0; m < n_rows; ++m) store(to + lane + m * stride, load(x + m * row));
        else if (step.together_ == 1)
          for (int64_t m = 0; m < n_rows; ++m) store(to + lane + m * stride, load(x + m * row, width));
        else
          for (int64_t m = 0; m < n_rows; ++m) std::copy_n(x + m * row, width, to + lane + m * stride);
      });
    }
    void write(int64_t first, int64_t n_vectors, const T* from, int64_t n_rows, T* to) const {
      const int64_t stride = n_vectors * W, row = step.n_channels_;
      each(first, n_vectors, [&](int64_t node, int64_t lane) {
        T* x = to + node * n_rows * row + channel;
        if (width == W)
          for (int64_t m = 0; m < n_rows; ++m) store(x + m * row, load(from + lane + m * stride));
        else
          for (int64_t m = 0; m < n_rows; ++m) std::copy_n(from + lane + m * stride, width, x + m * row);
      });
    }
  };

  std::vector<int64_t> packed_;
  polynomial_product::Table table_;
  int64_t n_elements_, n_channels_, width_, together_;
  const T* weights_;
  std::vector<Buffer<T>> mixed_;
};

/// Even scalars f(x), odd scalars tanh(x), the others times an activation of their gates.
template <class T>
class GateStep : public Step<T> {
 public:
  GateStep(const Program& p, const Program::Operation& o) : Step<T>(o), table_(p.tables[o.table].words) {}

  void forward(Visit<T>& v) const override {
    const T* x = this->in(v, this->inputs[0]);
    T* y = this->out(v, this->outputs[0]);
    for (int64_t n = 0; n < v.n(); ++n)
      gate::segments<T, gate::Pass::kForward>(table_, {x + n * table_.dim_in, nullptr, nullptr, y + n * table_.dim_out, nullptr});
  }
  void reverse(Visit<T>& v) const override {
    const T *x = this->in(v, this->inputs[0]), *g = this->grad(v, this->outputs[0]);
    this->pull(v, this->inputs[0], [&](T* to) {
      for (int64_t n = 0; n < v.n(); ++n)
        gate::segments<T, gate::Pass::kBackward>(
            table_, {x + n * table_.dim_in, g + n * table_.dim_out, nullptr, nullptr, to + n * table_.dim_in});
    });
  }

 private:
  gate::Table table_;
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
    v.over_elements(true, [&](int64_t z, const int32_t* rows, int64_t n) {
      const T* from = rows_ + z * width_;
      for (int64_t k = 0; k < n; ++k) {
        T* row = to + (rows ? rows[k] : k) * width_;
        for (int64_t c = 0; c < width_; ++c) row[c] = y.add ? row[c] + from[c] : from[c];
      }
    });
  }

 private:
  const T* rows_;
  int64_t width_;
};

}  // namespace multiace
