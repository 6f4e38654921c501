#include "listed_pairs.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "errors.h"

namespace multiace {
namespace {

constexpr int kXyz = 3;

int find_within(MultiaceListedPairs& c) {
  int64_t n_within = 0, n_changed = 0;
  const int64_t* n = c.shifts;
  for (int64_t k = 0; k < c.n_listed; ++k, n += kXyz) {
    const double *sender = c.positions + kXyz * c.senders[k], *receiver = c.positions + kXyz * c.receivers[k];
    const double n1 = static_cast<double>(n[0]), n2 = static_cast<double>(n[1]), n3 = static_cast<double>(n[2]);
    double* r = c.vectors + kXyz * n_within;  // overwritten by the next pair if this one is too long
    for (int a = 0; a < kXyz; ++a)
      r[a] = (sender[a] - receiver[a]) + ((n1 * c.cell[a] + n2 * c.cell[kXyz + a]) + n3 * c.cell[2 * kXyz + a]);
    const bool is_within = (r[0] * r[0] + r[1] * r[1]) + r[2] * r[2] < c.squared_cutoff;
    n_within += is_within;
    n_changed += is_within != c.within[k];
    c.within[k] = is_within;
  }
  c.n_within = n_within;
  c.changed = n_changed > 0;
  return kSuccess;
}

int select(const MultiaceListedPairs& c) {
  std::vector<int64_t> place(static_cast<size_t>(c.n_listed));
  int64_t n_before = 0;
  for (int64_t k = 0; k < c.n_listed; ++k) {
    place[static_cast<size_t>(k)] = n_before;
    n_before += c.within[k];
  }
  for (int64_t k = 0, e = 0; k < c.n_listed; ++k) {
    if (!c.within[k]) continue;
    c.selected_senders[e] = c.senders[k];
    c.selected_receivers[e] = c.receivers[k];
    std::copy_n(c.shifts + kXyz * k, kXyz, c.selected_shifts + kXyz * e);
    c.selected_reverse[e++] = place[static_cast<size_t>(c.reverse[k])];
  }
  return kSuccess;
}

int find_displacement(MultiaceDisplacement& c) {
  double mean[kXyz] = {}, largest = 0.0;
  for (int64_t i = 0; i < kXyz * c.n_atoms; i += kXyz)
    for (int a = 0; a < kXyz; ++a) mean[a] += c.now[i + a] - c.before[i + a];
  for (int a = 0; a < kXyz; ++a) mean[a] /= static_cast<double>(c.n_atoms);
  for (int64_t i = 0; i < kXyz * c.n_atoms; i += kXyz) {
    double u[kXyz];
    for (int a = 0; a < kXyz; ++a) u[a] = (c.now[i + a] - c.before[i + a]) - mean[a];
    largest = std::max(largest, (u[0] * u[0] + u[1] * u[1]) + u[2] * u[2]);
  }
  c.largest = std::sqrt(largest);
  return kSuccess;
}

}  // namespace
}  // namespace multiace

int multiace_pairs_within_f64(MultiaceListedPairs* c) {
  return multiace::error_code([&] { return multiace::find_within(*c); });
}
int multiace_select_pairs_f64(const MultiaceListedPairs* c) {
  return multiace::error_code([&] { return multiace::select(*c); });
}
int multiace_displacement_f64(MultiaceDisplacement* c) {
  return multiace::error_code([&] { return multiace::find_displacement(*c); });
}
