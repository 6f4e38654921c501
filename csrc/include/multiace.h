// multiace programs: a potential as data, and the executor that runs it.
//
//   multiace_executor* e;
//   if (multiace_open("silicon.program.safetensors", &e)) fail(multiace_last_error());
//   multiace_bind(e, n_nodes, n_owned, n_edges, species, senders, receivers, NULL);
//   multiace_begin(e, edge_vectors, 1);
//   for (t = 1; t <= multiace_n_layers(e); ++t) multiace_forward_layer(e, t);   // write ghosts of features(t)
//   multiace_energies(e, energies, NULL);
//   for (t = T; t >= 1; --t) multiace_reverse_layer(e, t);       // add ghosts of feature_gradients(t - 1)
//   multiace_gradient(e, gradient);                                            // dE/d(edge vector)
//   multiace_close(e);
//
// Units are eV and Å; r_ji = r_j - r_i points from the receiver i to the sender j. Functions that return
// int return 0, or a code below, with its message in multiace_last_error; the executor then can be used
// again from multiace_bind on. One thread at a time may use an executor; several executors are independent.
#ifndef MULTIACE_H
#define MULTIACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct multiace_executor multiace_executor;

enum {
  MULTIACE_SUCCESS = 0,
  MULTIACE_OUT_OF_MEMORY = 1,
  MULTIACE_FAILED = 2,
  MULTIACE_OUT_OF_RANGE = 3,  // an index of a node, edge, element or layer that does not exist
  MULTIACE_BAD_PROGRAM = 4,   // the file is damaged, or no program of this version
  MULTIACE_BAD_ORDER = 5      // a call that needs another one before
};

/// The message of the last error in this thread.
const char* multiace_last_error(void);

/// Open a program from a file, or from the bytes of one, which are copied.
int multiace_open(const char* path, multiace_executor** executor);
int multiace_open_bytes(const void* bytes, size_t size, multiace_executor** executor);
void multiace_close(multiace_executor* executor);

// ---- what the program says ----
int64_t multiace_n_layers(const multiace_executor* executor);
int64_t multiace_n_elements(const multiace_executor* executor);
const int64_t* multiace_elements(const multiace_executor* executor);  // atomic numbers; species count in these
int64_t multiace_n_terms(const multiace_executor* executor);
int64_t multiace_number_bytes(const multiace_executor* executor);     // 4 or 8, of features
double multiace_cutoff(const multiace_executor* executor);
double multiace_spline_error(const multiace_executor* executor);
double multiace_spline_slope_error(const multiace_executor* executor);
int64_t multiace_features_width(const multiace_executor* executor, int64_t layer);  // of h^(layer), 1 .. T
int64_t multiace_memory(const multiace_executor* executor);           // bytes that grow with the atoms, now

/// Threads of the calls to come, at most; results do not depend on it.
void multiace_set_threads(multiace_executor* executor, int64_t n_threads);

/// Take nodes and edges; they are copied. The first n_owned nodes are owned, the others ghosts.
/// species: (n_nodes) positions in multiace_elements. receivers: owned nodes. reverse: the opposite of each
/// edge, for radial functions once a pair, or NULL.
int multiace_bind(multiace_executor* executor, int64_t n_nodes, int64_t n_owned, int64_t n_edges, const int64_t* species,
                  const int64_t* senders, const int64_t* receivers, const int64_t* reverse);

/// Take edge vectors (n_edges, 3) and evaluate what no layer changes. gradients: whether
/// multiace_reverse_layer will be called; layers are then evaluated with what it needs.
int multiace_begin(multiace_executor* executor, const double* edge_vectors, int gradients);

/// Evaluate h^(layer) of owned nodes from h^(layer - 1) of all; layer = 1 .. T.
int multiace_forward_layer(multiace_executor* executor, int64_t layer);

/// h^(layer) of all nodes, (n_nodes, width), to be written where nodes are ghosts; layer = 1 .. T.
void* multiace_features(multiace_executor* executor, int64_t layer);

/// Energies of owned nodes, eV, and their terms (n_owned, n_terms); either may be NULL.
int multiace_energies(multiace_executor* executor, double* energies, double* terms);

/// Add what a layer contributes to dE/dh^(layer - 1) and to dE/d(edge vector).
int multiace_reverse_layer(multiace_executor* executor, int64_t layer);

/// dE/dh^(layer) of all nodes, once layer + 1 is reversed; rows of ghosts belong to their owners.
void* multiace_feature_gradients(multiace_executor* executor, int64_t layer);

/// dE/d(edge vector), (n_edges, 3), eV/Å, in the order of the edges, once all layers are reversed. With
/// `reverse` the part along the edge may be that of both directions, in either one of them.
int multiace_gradient(multiace_executor* executor, double* gradient);

/// All of it for structures without ghosts (n_owned = n_nodes), after multiace_bind.
/// structure_of_node: (n_nodes), or NULL: one structure. energies: (n_nodes). energy: (n_structures).
/// contributions: (n_structures, n_terms). forces: (n_nodes, 3), eV/Å. virial: (n_structures, 3, 3), -dE/d(strain),
/// eV. Results that are NULL are not computed.
int multiace_evaluate(multiace_executor* executor, const double* edge_vectors, int64_t n_structures,
                      const int64_t* structure_of_node, double* energies, double* energy, double* contributions,
                      double* forces, double* virial);

#ifdef __cplusplus
}
#endif
#endif
