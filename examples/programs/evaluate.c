// You will have the energy and the forces of a molecule, computed in C from a program file.
//
//   multiace export MODEL --to program
//   cc evaluate.c -I include -L lib -Wl,-rpath,lib -lmultiace -lm -o evaluate
//   ./evaluate MODEL.program.safetensors < molecule.txt     (each line: atomic number, x, y, z in Å)
#include <math.h>
#include <multiace.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ATOMS = 1000 };

static void check(int code) {
  if (code == MULTIACE_SUCCESS) return;
  fprintf(stderr, "%s\n", multiace_last_error());
  exit(1);
}

// The position of an element among those of the program.
static int64_t species_of(const multiace_executor* executor, int number) {
  const int64_t* elements = multiace_elements(executor);
  for (int64_t z = 0; z < multiace_n_elements(executor); ++z)
    if (elements[z] == number) return z;
  fprintf(stderr, "The program was not made for element %d.\n", number);
  exit(1);
}

int main(int n_arguments, char** arguments) {
  static double x[MOST_ATOMS][3], forces[MOST_ATOMS][3], energies[MOST_ATOMS];
  static int64_t species[MOST_ATOMS];
  multiace_executor* executor;
  if (n_arguments != 2) return fprintf(stderr, "usage: %s PROGRAM < MOLECULE\n", arguments[0]), 2;
  check(multiace_open(arguments[1], &executor));

  int64_t n = 0;
  for (int number; n < MOST_ATOMS && scanf("%d %lf %lf %lf", &number, &x[n][0], &x[n][1], &x[n][2]) == 4; ++n)
    species[n] = species_of(executor, number);

  // directed edges j -> i of all pairs closer than the cutoff, with r_ji = r_j - r_i
  int64_t n_edges = 0, *senders = malloc(n * n * sizeof *senders), *receivers = malloc(n * n * sizeof *receivers);
  double(*r)[3] = malloc(n * n * sizeof *r), cutoff = multiace_cutoff(executor), energy;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double squared = 0;
      for (int a = 0; a < 3; ++a) r[n_edges][a] = x[j][a] - x[i][a], squared += r[n_edges][a] * r[n_edges][a];
      if (i == j || squared >= cutoff * cutoff) continue;
      senders[n_edges] = j, receivers[n_edges++] = i;
    }

  check(multiace_bind(executor, n, n, n_edges, species, senders, receivers, NULL));
  check(multiace_evaluate(executor, r[0], 1, NULL, energies, &energy, NULL, forces[0], NULL));
  printf("energy: %.15g eV\n", energy);
  for (int64_t i = 0; i < n; ++i) printf("force: %.15g %.15g %.15g eV/Å\n", forces[i][0], forces[i][1], forces[i][2]);

  multiace_close(executor);
  free(senders), free(receivers), free(r);
  return 0;
}
