#include "flat_weights.h"

#include "errors.h"

namespace multiace {
namespace {

template <class T>
void scale(const T* x, T factor, int64_t n, T* __restrict y) {
  for (int64_t k = 0; k < n; ++k) y[k] = factor * x[k];
}

template <class T, bool Join>
int copy(const MultiaceFlatWeights& c) {
  return error_code([&] {
    T* flat = static_cast<T*>(c.flat);
    for (int64_t k = 0; k < c.n_matrices; flat += c.sizes[k++]) {
      T* matrix = static_cast<T*>(c.matrices[k]);
      const T factor = static_cast<T>(c.factors[k]);
      scale(Join ? matrix : flat, factor, c.sizes[k], Join ? flat : matrix);
    }
    return kSuccess;
  });
}

}  // namespace
}  // namespace multiace

using multiace::copy;

int multiace_flat_weights_join_f32(const MultiaceFlatWeights* c) { return copy<float, true>(*c); }
int multiace_flat_weights_join_f64(const MultiaceFlatWeights* c) { return copy<double, true>(*c); }
int multiace_flat_weights_part_f32(const MultiaceFlatWeights* c) { return copy<float, false>(*c); }
int multiace_flat_weights_part_f64(const MultiaceFlatWeights* c) { return copy<double, false>(*c); }
