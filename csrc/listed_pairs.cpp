#include "listed_pairs.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "errors.h"

namespace multiace {
namespace {

constexpr int kXyz = 3;

double displacement(const MultiaceListedPairs& c) {
  double mean[kXyz] = {}, largest = 0.0;
  for (int64_t i = 0; i < kXyz * c.n_atoms; i += kXyz)
    for (int a = 0; a < kXyz; ++a) mean[a] += c.positions[i + a] - c.before[i + a];
  for (double& component : mean) component /= static_cast<double>(c.n_atoms);
  for (int64_t i = 0; i < kXyz * c.n_atoms; i += kXyz) {
    double u[kXyz];
    for (int a = 0; a < kXyz; ++a) u[a] = (c.positions[i + a] - c.before[i + a]) - mean[a];
    largest = std::max(largest, (u[0] * u[0] + u[1] * u[1]) + u[2] * u[2]);
  }
  return std::sqrt(largest);
}

int find_within(MultiaceListedPairs& c) {
  const int64_t *__restrict senders = c.senders, *__restrict receivers = c.receivers, *__restrict shifts = c.shifts;
  const double* __restrict positions = c.positions;
  const double squared_cutoff = c.squared_cutoff;
  double *__restrict vectors = c.vectors, cell[kXyz * kXyz];
  uint8_t* __restrict within = c.within;
  std::copy_n(c.cell, kXyz * kXyz, cell);
  int64_t n_within = 0, n_changed = 0;
  for (int64_t k = 0; k < c.n_listed; ++k) {
    const double *sender = positions + kXyz * senders[k], *receiver = positions + kXyz * receivers[k];
    double n[kXyz], r[kXyz];
    for (int b = 0; b < kXyz; ++b) n[b] = static_cast<double>(shifts[kXyz * k + b]);
    for (int a = 0; a < kXyz; ++a)
      r[a] = (sender[a] - receiver[a]) + ((n[0] * cell[a] + n[1] * cell[kXyz + a]) + n[2] * cell[2 * kXyz + a]);
    std::copy_n(r, kXyz, vectors + kXyz * n_within);  // overwritten by the next pair if this one is too long
    const bool is_within = (r[0] * r[0] + r[1] * r[1]) + r[2] * r[2] < squared_cutoff;
    n_within += is_within;
    n_changed += is_within != within[k];
    within[k] = is_within;
  }
  c.n_within = n_within;
  c.changed = n_changed > 0;
  c.displacement = displacement(c);
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

}  // namespace
}  // namespace multiace

int multiace_pairs_within_f64(MultiaceListedPairs* c) {
  return multiace::error_code([&] { return multiace::find_within(*c); });
}
int multiace_select_pairs_f64(const MultiaceListedPairs* c) {
  return multiace::error_code([&] { return multiace::select(*c); });
}
