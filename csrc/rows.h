// What plans do with rows as they are: look them up, add them, clear them.
//
// | symbol | argument | shape |
// |---|---|---|
// | k | index | (rows), each below n_indexed; null: n |
// | x | x | rows of `width`; null: zeros |
// | y | y | rows of `width` |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceRows {
  int64_t n_rows, width, n_indexed;
  int64_t accumulate;  // of `take`: 1 to add to y, 0 to overwrite it
  const int64_t* index;
  const void* x;
  void* y;
};

// y_n (+)= x_{k_n}
int multiace_rows_take_f32(const MultiaceRows*);
int multiace_rows_take_f64(const MultiaceRows*);
// y_{k_n} += x_n
int multiace_rows_give_f32(const MultiaceRows*);
int multiace_rows_give_f64(const MultiaceRows*);
}
