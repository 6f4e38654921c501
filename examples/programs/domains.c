// You will have the forces on a molecule from its two halves, as engines with several processes compute them.
//
//   ./domains MODEL.program.safetensors < molecule.txt     (each line: atomic number, x, y, z in Å)
//
// Compiled as evaluate.c. Each half has its own atoms first, then ghosts: the atoms of the other half that its edges
// come from. Between layers the features of ghosts are copied from their owners; on the way back their gradients are
// added to those of their owners.
#include <math.h>
#include <multiace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ATOMS = 100, MOST_EDGES = MOST_ATOMS * MOST_ATOMS };

typedef struct {
  multiace_executor* executor;
  int64_t n_owned, n_nodes, n_edges, atom[MOST_ATOMS], place[MOST_ATOMS];  // atom of a node; node of an atom, or -1
  int64_t species[MOST_ATOMS], senders[MOST_EDGES], receivers[MOST_EDGES];
  double r[MOST_EDGES][3], gradient[MOST_EDGES][3], energies[MOST_ATOMS];
} Domain;

static double x[MOST_ATOMS][3];
static int numbers[MOST_ATOMS];
static int64_t n_atoms;

static void check(int code) {
  if (code == MULTIACE_SUCCESS) return;
  fprintf(stderr, "%s\n", multiace_last_error());
  exit(1);
}

static void add_node(Domain* d, int64_t atom) {
  const int64_t* elements = multiace_elements(d->executor);
  int64_t z = 0;
  while (z < multiace_n_elements(d->executor) && elements[z] != numbers[atom]) ++z;  // if none, bind fails
  d->species[d->n_nodes] = z, d->atom[d->n_nodes] = atom, d->place[atom] = d->n_nodes++;
}

// The atoms first .. last of a molecule, with their ghosts and edges.
static Domain* cut(const char* path, int64_t first, int64_t last) {
  Domain* d = calloc(1, sizeof *d);
  check(multiace_open(path, &d->executor));
  if (multiace_number_bytes(d->executor) != sizeof(double)) {
    fprintf(stderr, "This example needs a program of float64: export it with --dtype float64.\n");
    exit(1);
  }
  for (int64_t j = 0; j < n_atoms; ++j) d->place[j] = -1;
  for (int64_t i = first; i < last; ++i) add_node(d, i);
  d->n_owned = d->n_nodes;
  for (int64_t i = first; i < last; ++i)
    for (int64_t j = 0; j < n_atoms; ++j) {
      double* r = d->r[d->n_edges];
      for (int a = 0; a < 3; ++a) r[a] = x[j][a] - x[i][a];
      if (i == j || sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]) >= multiace_cutoff(d->executor)) continue;
      if (d->place[j] < 0) add_node(d, j);
      d->senders[d->n_edges] = d->place[j], d->receivers[d->n_edges++] = d->place[i];
    }
  check(multiace_bind(d->executor, d->n_nodes, d->n_owned, d->n_edges, d->species, d->senders, d->receivers, NULL));
  check(multiace_begin(d->executor, d->r[0], 1));
  return d;
}

// Copy rows of ghosts from their owner, or add them to those of their owner.
static void exchange(Domain* of, Domain* owner, int64_t layer, int backwards) {
  const int64_t width = multiace_features_width(of->executor, layer);
  void* (*rows_of)(multiace_executor*, int64_t) = backwards ? multiace_feature_gradients : multiace_features;
  double *rows = rows_of(of->executor, layer), *owned = rows_of(owner->executor, layer);
  for (int64_t ghost = of->n_owned; ghost < of->n_nodes; ++ghost) {
    double *here = rows + ghost * width, *there = owned + owner->place[of->atom[ghost]] * width;
    if (!backwards) memcpy(here, there, width * sizeof *here);
    for (int64_t c = 0; backwards && c < width; ++c) there[c] += here[c];
  }
}

// Energy and forces of a molecule in n domains, 1 or 2.
static double evaluate(const char* path, int n, double forces[][3]) {
  Domain* d[2] = {NULL, NULL};
  for (int k = 0; k < n; ++k) d[k] = cut(path, k * n_atoms / n, (k + 1) * n_atoms / n);
  const int64_t n_layers = multiace_n_layers(d[0]->executor);
  for (int64_t t = 1; t <= n_layers; ++t) {
    for (int k = 0; k < n; ++k) check(multiace_forward_layer(d[k]->executor, t));
    for (int k = 0; n == 2 && t < n_layers && k < 2; ++k) exchange(d[k], d[1 - k], t, 0);
  }
  for (int64_t t = n_layers; t >= 1; --t) {
    for (int k = 0; k < n; ++k) check(multiace_reverse_layer(d[k]->executor, t));
    for (int k = 0; n == 2 && t > 1 && k < 2; ++k) exchange(d[k], d[1 - k], t - 1, 1);
  }
  double energy = 0;
  for (int k = 0; k < n; ++k) {
    check(multiace_energies(d[k]->executor, d[k]->energies, NULL));
    check(multiace_gradient(d[k]->executor, d[k]->gradient[0]));
    for (int64_t i = 0; i < d[k]->n_owned; ++i) energy += d[k]->energies[i];
    for (int64_t e = 0; e < d[k]->n_edges; ++e)
      for (int a = 0; a < 3; ++a) {
        forces[d[k]->atom[d[k]->receivers[e]]][a] += d[k]->gradient[e][a];
        forces[d[k]->atom[d[k]->senders[e]]][a] -= d[k]->gradient[e][a];
      }
    multiace_close(d[k]->executor);
    free(d[k]);
  }
  return energy;
}

int main(int n_arguments, char** arguments) {
  static double whole[MOST_ATOMS][3], halves[MOST_ATOMS][3];
  if (n_arguments != 2) return fprintf(stderr, "usage: %s PROGRAM < MOLECULE\n", arguments[0]), 2;
  for (double* at = x[0]; n_atoms < MOST_ATOMS; ++n_atoms, at += 3)
    if (scanf("%d %lf %lf %lf", &numbers[n_atoms], at, at + 1, at + 2) != 4) break;
  const double energy = evaluate(arguments[1], 1, whole), of_halves = evaluate(arguments[1], 2, halves);
  double apart = 0, largest = 0;
  for (int64_t i = 0; i < n_atoms; ++i)
    for (int a = 0; a < 3; ++a) {
      apart = fmax(apart, fabs(whole[i][a] - halves[i][a]));
      largest = fmax(largest, fabs(whole[i][a]));
    }
  printf("energy: %.15g eV, of the halves %.15g eV\n", energy, of_halves);
  printf("largest force: %.15g eV/Å, largest difference %.3g eV/Å\n", largest, apart);
  return 0;
}
