#include "gate.h"

#include <algorithm>

#include "errors.h"
#include "gate_rows.h"
#include "simd.h"
#include "threads.h"

namespace multiace {
namespace {

using namespace gate;

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
      segments<T, P>(table, rows);
    }
  });
  return kSuccess;
}

}  // namespace
}  // namespace multiace

using multiace::error_code;
using multiace::gate::Pass;
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
