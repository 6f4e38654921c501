// Rows as the lanes of vectors, one vector a column.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.h"

namespace multiace {

/// Columns of a few rows to vectors with rows as lanes, and back.
template <class T>
struct Lanes {
  static void load_columns(const T* rows, int64_t width, int n, Vector<T>* columns) {
    constexpr int W = kWidth<T>;
    for (int64_t w = 0; w < width; w += W) {
      Vector<T> tile[W];
      const int some = static_cast<int>(std::min<int64_t>(W, width - w));
      for (int k = 0; k < W; ++k) tile[k] = k < n ? load(rows + k * width + w, some) : zero<T>();
      transpose<T>(tile);
      for (int k = 0; k < some; ++k) columns[w + k] = tile[k];
    }
  }
  static void store_columns(const Vector<T>* columns, int64_t width, int n, T* rows) {
    constexpr int W = kWidth<T>;
    for (int64_t w = 0; w < width; w += W) {
      Vector<T> tile[W];
      const int some = static_cast<int>(std::min<int64_t>(W, width - w));
      for (int k = 0; k < W; ++k) tile[k] = k < some ? columns[w + k] : zero<T>();
      transpose<T>(tile);
      for (int k = 0; k < n; ++k) store(rows + k * width + w, tile[k], some);
    }
  }
};

}  // namespace multiace
