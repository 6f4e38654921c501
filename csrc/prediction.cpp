#include "prediction.h"

#include <algorithm>
#include <vector>

#include "errors.h"

namespace multiace {
namespace {

constexpr int kXyz = 3;

template <class T>
int sum_terms(const MultiaceEnergyTerms& c) {
  std::copy_n(c.constants, c.n_nodes * c.n_terms, c.terms);
  for (int64_t n = 0; n < c.n_read; ++n) {
    const T* read = static_cast<const T*>(c.read[n]);
    const double* factor = c.factors + n * c.n_nodes;
    double* term = c.terms + c.n_terms - c.n_read + n;
    for (int64_t i = 0; i < c.n_nodes; ++i) term[i * c.n_terms] += factor[i] * static_cast<double>(read[i]);
  }
  return kSuccess;
}

bool all_below(const int64_t* indices, int64_t n, int64_t end) {
  return std::all_of(indices, indices + n, [=](int64_t k) { return 0 <= k && k < end; });
}

void sum_energies(const MultiacePrediction& c) {
  std::fill_n(c.energy, c.n_structures, 0.0);
  std::fill_n(c.contributions, c.n_structures * c.n_terms, 0.0);
  for (int64_t i = 0; i < c.n_nodes; ++i) {
    const int64_t s = c.structure_of_node[i];
    double total = 0.0;
    for (int64_t k = 0; k < c.n_terms; ++k) {
      total += c.terms[i * c.n_terms + k];
      c.contributions[s * c.n_terms + k] += c.terms[i * c.n_terms + k];
    }
    c.energies[i] = total;
    c.energy[s] += total;
  }
}

template <class T>
void sum_forces(const MultiacePrediction& c) {
  const T* g = static_cast<const T*>(c.gradient);
  T* forces = static_cast<T*>(c.forces);
  std::fill_n(forces, kXyz * c.n_nodes, T(0));
  for (int64_t e = 0; e < c.n_edges; ++e, g += kXyz) {
    T *receiver = forces + kXyz * c.receivers[e], *sender = forces + kXyz * c.senders[e];
    for (int a = 0; a < kXyz; ++a) receiver[a] += g[a];
    for (int a = 0; a < kXyz; ++a) sender[a] -= g[a];
  }
}

template <class T>
void sum_stress(const MultiacePrediction& c) {
  const T *r = static_cast<const T*>(c.vectors), *g = static_cast<const T*>(c.gradient);
  std::vector<double> virials(static_cast<size_t>(kXyz * kXyz * c.n_structures), 0.0);
  for (int64_t e = 0; e < c.n_edges; ++e, r += kXyz, g += kXyz) {
    double* virial = virials.data() + kXyz * kXyz * c.structure_of_node[c.receivers[e]];
    for (int a = 0; a < kXyz; ++a)
      for (int b = 0; b < kXyz; ++b) virial[kXyz * a + b] += static_cast<double>(r[a]) * static_cast<double>(g[b]);
  }
  T* stress = static_cast<T*>(c.stress);
  for (int64_t s = 0; s < c.n_structures; ++s) {
    const double* virial = virials.data() + kXyz * kXyz * s;
    for (int a = 0; a < kXyz; ++a)
      for (int b = 0; b < kXyz; ++b)  // no volume is NaN, and makes NaN of it
        *stress++ = static_cast<T>((virial[kXyz * a + b] + virial[kXyz * b + a]) / (2 * c.volumes[s]));
  }
}

template <class T>
int predict(const MultiacePrediction& c) {
  if (!all_below(c.structure_of_node, c.n_nodes, c.n_structures)) return kOutOfRange;
  sum_energies(c);
  if (!c.forces && !c.stress) return kSuccess;
  if (!all_below(c.senders, c.n_edges, c.n_nodes)) return kOutOfRange;
  if (!all_below(c.receivers, c.n_edges, c.n_nodes)) return kOutOfRange;
  if (c.forces) sum_forces<T>(c);
  if (c.stress) sum_stress<T>(c);
  return kSuccess;
}

}  // namespace
}  // namespace multiace

int multiace_energy_terms_f32(const MultiaceEnergyTerms* c) {
  return multiace::error_code([&] { return multiace::sum_terms<float>(*c); });
}
int multiace_energy_terms_f64(const MultiaceEnergyTerms* c) {
  return multiace::error_code([&] { return multiace::sum_terms<double>(*c); });
}

int multiace_prediction_f32(const MultiacePrediction* c) {
  return multiace::error_code([&] { return multiace::predict<float>(*c); });
}
int multiace_prediction_f64(const MultiacePrediction* c) {
  return multiace::error_code([&] { return multiace::predict<double>(*c); });
}
