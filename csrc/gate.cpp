#include "gate.h"

#include <algorithm>

#include "elementary.h"
#include "errors.h"
#include "simd.h"
#include "threads.h"

namespace multiace {
namespace {

struct Segment {
  int64_t dim, channels;   // 2 l + 1 of gated irreps, 0 for scalars
  int64_t in, gates, out;  // starts in rows of x and y; scalars have no gates
  Function function;
  double constant;
};
static_assert(sizeof(Segment) == 56, "the table is read in place");

struct Table {
  int64_t n_segments, dim_in, dim_out;
  const Segment* segments;
  explicit Table(const int64_t* words)
      : n_segments(words[0]),
        dim_in(words[1]),
        dim_out(words[2]),
        segments(reinterpret_cast<const Segment*>(words + 3)) {}
};

enum class Pass { kForward, kBackward, kDoubleBackward };

/// Rows of one node; x_dot, y and gx may be null.
template <class T>
struct Rows {
  const T *x, *g, *x_dot;
  T *y, *gx;
};

template <class T, Pass P, Function F>
void scalars(const Segment& s, const Rows<T>& rows) {
  for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
    const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, s.channels - c));
    const Vector<T> x = load(rows.x + s.in + c, n);
    const auto f = derivatives<T, F, static_cast<int>(P)>(x, static_cast<T>(s.constant));
    if constexpr (P == Pass::kForward) {
      store(rows.y + s.out + c, f.f, n);
    } else if constexpr (P == Pass::kBackward) {
      store(rows.gx + s.in + c, f.first * load(rows.g + s.out + c, n), n);
    } else {
      const Vector<T> x_dot = load(rows.x_dot + s.in + c, n);
      if (rows.y) store(rows.y + s.out + c, f.first * x_dot, n);
      if (rows.gx) store(rows.gx + s.in + c, f.second * x_dot * load(rows.g + s.out + c, n), n);
    }
  }
}

template <class T, Pass P, Function F>
void gated(const Segment& s, const Rows<T>& rows) {
  for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
    const int n = static_cast<int>(std::min<int64_t>(kWidth<T>, s.channels - c));
    const auto f = derivatives<T, F, static_cast<int>(P)>(load(rows.x + s.gates + c, n), static_cast<T>(s.constant));
    Vector<T> gate_dot, along = zero<T>(), along_dot = zero<T>();  // sum_m g_m x_m, sum_m g_m x_dot_m
    if constexpr (P == Pass::kDoubleBackward) gate_dot = load(rows.x_dot + s.gates + c, n);
    for (int64_t m = 0; m < s.dim; ++m) {
      const int64_t in = s.in + m * s.channels + c, out = s.out + m * s.channels + c;
      const Vector<T> x = load(rows.x + in, n);
      if constexpr (P == Pass::kForward) {
        store(rows.y + out, f.f * x, n);
      } else if constexpr (P == Pass::kBackward) {
        const Vector<T> g = load(rows.g + out, n);
        along += g * x;
        store(rows.gx + in, f.f * g, n);
      } else {
        const Vector<T> g = load(rows.g + out, n), x_dot = load(rows.x_dot + in, n);
        along += g * x;
        along_dot += g * x_dot;
        if (rows.y) store(rows.y + out, f.f * x_dot + f.first * gate_dot * x, n);
        if (rows.gx) store(rows.gx + in, f.first * gate_dot * g, n);
      }
    }
    if constexpr (P == Pass::kBackward) store(rows.gx + s.gates + c, f.first * along, n);
    if constexpr (P == Pass::kDoubleBackward)
      if (rows.gx) store(rows.gx + s.gates + c, f.second * gate_dot * along + f.first * along_dot, n);
  }
}

template <class T, Pass P>
int run(const MultiaceGate& c) {
  const Table table(c.table);
  const auto row = [&](const void* rows, int64_t node, int64_t dim) {
    return rows ? static_cast<const T*>(rows) + node * dim : nullptr;
  };
  constexpr int64_t kNodesOfPart = 16;  // fewer are not worth a thread
  parallel_for(static_cast<int>(c.n_threads), c.n_nodes, kNodesOfPart, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Rows<T> rows{row(c.x, i, table.dim_in), row(c.cotangent, i, table.dim_out), row(c.x_dot, i, table.dim_in),
                         const_cast<T*>(row(c.y, i, table.dim_out)), const_cast<T*>(row(c.x_gradient, i, table.dim_in))};
      for (int64_t s = 0; s < table.n_segments; ++s) {
        const Segment& segment = table.segments[s];
        with_function(segment.function, [&](auto function) {
          if (segment.dim == 0)
            scalars<T, P, function>(segment, rows);
          else
            gated<T, P, function>(segment, rows);
        });
      }
    }
  });
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::error_code;
using multiace::Pass;
using multiace::run;

int multiace_gate_forward_f32(const MultiaceGate* c) {
  return error_code([&] { return run<float, Pass::kForward>(*c); });
}
int multiace_gate_forward_f64(const MultiaceGate* c) {
  return error_code([&] { return run<double, Pass::kForward>(*c); });
}
int multiace_gate_backward_f32(const MultiaceGate* c) {
  return error_code([&] { return run<float, Pass::kBackward>(*c); });
}
int multiace_gate_backward_f64(const MultiaceGate* c) {
  return error_code([&] { return run<double, Pass::kBackward>(*c); });
}
int multiace_gate_double_backward_f32(const MultiaceGate* c) {
  return error_code([&] { return run<float, Pass::kDoubleBackward>(*c); });
}
int multiace_gate_double_backward_f64(const MultiaceGate* c) {
  return error_code([&] { return run<double, Pass::kDoubleBackward>(*c); });
}
