// Pairs found by a search within cutoff + skin: those within the cutoff, as atoms move.
//
// | symbol | argument | shape |
// |---|---|---|
// | r_i | positions | (atoms, 3), Å |
// | r_i(before) | before | (atoms, 3), Å |
// | a_k | cell | (3, 3), rows, Å |
// | n | shifts | (listed, 3), whole cell vectors |
// | r_ji | vectors | (listed, 3), of which the first n_within rows are written |
//
//   r_ji = (r_j - r_i) + ((n_1 a_1 + n_2 a_2) + n_3 a_3)    listed: (x^2 + y^2) + z^2 < cutoff^2
//   displacement = max_i |u_i - mean u|, u_i = r_i - r_i(before)
//
// Each operation rounds as NumPy's does: the file is compiled without fused multiply-add, and bits are those
// of multiace.geometry.listed_pairs.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceListedPairs {
  int64_t n_atoms, n_listed;
  double squared_cutoff;
  const int64_t *senders, *receivers, *shifts, *reverse;
  uint8_t* within;  // (listed), whether each is within the cutoff
  const double *positions, *before, *cell;
  double* vectors;
  int64_t n_within, changed;  // results; changed: whether `within` is not what it was before
  double displacement;        // result, Å
  int64_t *selected_senders, *selected_receivers, *selected_shifts, *selected_reverse;  // (n_within, ..)
};

/// Write vectors, within, n_within, changed and displacement.
int multiace_pairs_within_f64(MultiaceListedPairs*);

/// Copy the indices of pairs within the cutoff; `reverse` then counts these.
int multiace_select_pairs_f64(const MultiaceListedPairs*);
}
