// Matrices one after the other in a row, each times its factor; and back.
//
// | symbol | argument | shape |
// |---|---|---|
// | W_k | matrices[k] | sizes[k] numbers |
// | a_k | factors[k] | - |
// | w | flat | all numbers of all matrices |
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceFlatWeights {
  int64_t n_matrices;
  const int64_t* sizes;
  const double* factors;
  void* const* matrices;
  void* flat;
};

// w = (a_1 W_1, a_2 W_2, ..)
int multiace_flat_weights_join_f32(const MultiaceFlatWeights*);
int multiace_flat_weights_join_f64(const MultiaceFlatWeights*);
// W_k = a_k w_k
int multiace_flat_weights_part_f32(const MultiaceFlatWeights*);
int multiace_flat_weights_part_f64(const MultiaceFlatWeights*);
}
