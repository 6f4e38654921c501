#include "rows.h"

#include <algorithm>

#include "errors.h"

namespace multiace {
namespace {

template <class T>
void add(const T* x, int64_t width, T* __restrict y) {
  for (int64_t c = 0; c < width; ++c) y[c] += x[c];
}

template <class T>
void take(const MultiaceRows& c) {
  const T* x = static_cast<const T*>(c.x);
  T* y = static_cast<T*>(c.y);
  if (x == nullptr) {
    if (!c.accumulate) std::fill_n(y, c.n_rows * c.width, T(0));
    return;
  }
  for (int64_t n = 0; n < c.n_rows; ++n, y += c.width) {
    const T* row = x + (c.index ? c.index[n] : n) * c.width;
    if (c.accumulate) add(row, c.width, y);
    else std::copy_n(row, c.width, y);
  }
}

template <class T>
void give(const MultiaceRows& c) {
  const T* x = static_cast<const T*>(c.x);
  for (int64_t n = 0; n < c.n_rows; ++n, x += c.width)
    add(x, c.width, static_cast<T*>(c.y) + (c.index ? c.index[n] : n) * c.width);
}

int checked(const MultiaceRows& c, void (*body)(const MultiaceRows&)) {
  return error_code([&] {
    for (int64_t n = 0; c.index && n < c.n_rows; ++n)
      if (c.index[n] < 0 || c.index[n] >= c.n_indexed) return kOutOfRange;
    body(c);
    return kSuccess;
  });
}

}  // namespace
}  // namespace multiace

using multiace::checked;
using multiace::give;
using multiace::take;

int multiace_rows_take_f32(const MultiaceRows* c) { return checked(*c, take<float>); }
int multiace_rows_take_f64(const MultiaceRows* c) { return checked(*c, take<double>); }
int multiace_rows_give_f32(const MultiaceRows* c) { return checked(*c, give<float>); }
int multiace_rows_give_f64(const MultiaceRows* c) { return checked(*c, give<double>); }
