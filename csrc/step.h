// What an executor carries out: steps that visit block after block, forward and in reverse.
#pragma once

#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "program.h"
#include "simd.h"
#include "threads.h"
#include "topology.h"

namespace multiace {

/// An array that grows with the atoms and keeps its room. Entries are not initialised; a vector more may be read.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  T* resize(int64_t n) {
    if (n > capacity_ || data_ == nullptr) {
      std::free(data_);
      capacity_ = 0;
      const size_t bytes = (static_cast<size_t>(n + n / 16) * sizeof(T) + 191) / 64 * 64;
      data_ = static_cast<T*>(std::aligned_alloc(64, bytes));
      if (data_ == nullptr) throw std::bad_alloc();
      capacity_ = n + n / 16;
    }
    return data_;
  }
  T* data() const { return data_; }
  int64_t bytes() const { return capacity_ * static_cast<int64_t>(sizeof(T)); }

 private:
  T* data_ = nullptr;
  int64_t capacity_ = 0;
};

/// Everything that belongs to the current nodes and edges.
template <class T>
struct State {
  const Program& program;
  Topology topology;
  int l_max = 0;
  bool gradients = false;
  // Of each receiver (3, lanes), (lanes), ((l_max + 1)^2, lanes), (3, lanes), one receiver after the other.
  Buffer<T> vectors, distances, harmonics, vectors_gradient;
  // By array: rows of nodes or owned nodes that outlive a visit, or of pairs; dE/dh; derivatives of rows of pairs by r.
  std::vector<Buffer<T>> value, gradient, slope;

  explicit State(const Program& program)
      : program(program), value(program.arrays.size()), gradient(program.arrays.size()), slope(program.arrays.size()) {}
  int64_t n_harmonics() const { return (l_max + 1) * (l_max + 1); }
  int64_t width(int64_t array) const { return program.arrays[array].width; }
};

/// One block with its arrays, while a thread works on it.
template <class T>
struct Visit {
  const State<T>& state;
  const BlockOfReceivers& block;
  int64_t number;     // of the block
  const int64_t* species;  // of each row
  Scratch& scratch;
  T **value, **gradient;  // of each array: the first row of the block
  void** memory;      // of each step: what it keeps from forward to reverse of one visit, or null
  T *gy = nullptr, *gd = nullptr;  // dE/dY and dE/d(distance) of the block's lanes, as in `State`
  bool reverses = false;  // forward: whether this visit will reverse too

  int64_t n() const { return block.size(); }
  int64_t first_lane() const { return state.topology.first_lane[block.begin]; }
  int64_t n_lanes() const { return state.topology.first_lane[block.end] - first_lane(); }
};

/// An array that a step reads or writes. add: forward, whether an output is added to; in reverse, whether the
/// gradient of an input is.
struct Operand {
  int64_t array = -1;
  bool add = false;
  bool differentiable = false;
};

/// One operation.
template <class T>
class Step {
 public:
  std::vector<Operand> inputs, outputs;
  size_t place = 0;  // in `Visit::memory`

  explicit Step(const Program::Operation& operation) {
    for (const int64_t array : operation.inputs) inputs.push_back({array});
    for (const int64_t array : operation.outputs) outputs.push_back({array});
  }
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Prepare for new nodes and edges.
  virtual void bind(State<T>&) {}
  /// Write, or add to, the outputs.
  virtual void forward(Visit<T>&) const = 0;
  /// Write, or add to, the gradients of the inputs.
  virtual void reverse(Visit<T>&) const {}
  /// Add to gradients that several blocks share; called for one block after the other, in their order.
  virtual void commit(Visit<T>&) const {}
  virtual bool commits() const { return false; }
  virtual int64_t bytes() const { return 0; }

 protected:
  static const T* in(const Visit<T>& v, const Operand& x) { return v.value[x.array]; }
  static T* out(const Visit<T>& v, const Operand& x) { return v.value[x.array]; }
  static T* grad(const Visit<T>& v, const Operand& x) { return v.gradient[x.array]; }

  /// Call body(to) with the gradient of an input, or with scratch that is then added to it.
  template <class Body>
  void pull(Visit<T>& v, const Operand& x, const Body& body) const {
    if (!x.differentiable) return;
    if (!x.add) return body(grad(v, x));
    Scratch scratch;
    const int64_t n = v.n() * v.state.width(x.array);
    T *own = scratch.array<T>(n), *to = grad(v, x);
    body(own);
    for (int64_t k = 0; k < n; ++k) to[k] += own[k];
  }
};

}  // namespace multiace
