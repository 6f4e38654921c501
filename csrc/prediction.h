// What a potential says of atoms and structures, summed from what it says of their parts.
//
// | symbol | argument | shape |
// |---|---|---|
// | R_n | read[n] | (nodes) |
// | c | constants | (nodes, terms), double |
// | s_n | factors | (read, nodes), double |
//
//   T_ik = c_ik + s_in R_in, the last terms of an atom one for each n
// | symbol | argument | shape |
// |---|---|---|
// | T | terms | (nodes, terms), double |
// | r_ji | vectors | (edges, 3) |
// | g_ji = dE/dr_ji | gradient | (edges, 3) |
// | V | volumes | (structures), double, NaN: none |
//
//   E_i = sum_k T_ik, E = sum_i E_i
//   F_k = sum_{e: receiver k} g_e - sum_{e: sender k} g_e
//   sigma = (1 / 2V) sum_e (r_e g_e^T + g_e r_e^T), NaN without a volume
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceEnergyTerms {
  int64_t n_nodes, n_terms, n_read;
  const double *constants, *factors;
  const void* const* read;
  double* terms;  // (nodes, terms)
};

int multiace_energy_terms_f32(const MultiaceEnergyTerms*);
int multiace_energy_terms_f64(const MultiaceEnergyTerms*);

struct MultiacePrediction {
  int64_t n_nodes, n_edges, n_structures, n_terms;
  const int64_t *structure_of_node, *senders, *receivers;
  const double *terms, *volumes;
  const void *vectors, *gradient;
  double *energies, *energy, *contributions;  // (nodes), (structures), (structures, terms)
  void *forces, *stress;  // (nodes, 3), (structures, 3, 3); those that are null are not computed
};

int multiace_prediction_f32(const MultiacePrediction*);
int multiace_prediction_f64(const MultiacePrediction*);
}
