// The C interface of programs: exceptions end here, and become codes with messages.
#include <exception>
#include <string>

#include "executor.h"
#include "include/multiace.h"

using multiace::ExecutorBase;
using multiace::Program;

struct multiace_executor {
  std::unique_ptr<ExecutorBase> runs;
};

namespace {

thread_local std::string last_error;

int fail(int code, const std::string& message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
  return code;
}

/// Return the code of what body throws, or success.
template <class Body>
int guarded(const Body& body) noexcept {
  try {
    body();
    return MULTIACE_SUCCESS;
  } catch (const std::bad_alloc&) {
    return fail(MULTIACE_OUT_OF_MEMORY, "out of memory");
  } catch (const multiace::ProgramError& error) {
    return fail(MULTIACE_BAD_PROGRAM, error.what());
  } catch (const multiace::OrderError& error) {
    return fail(MULTIACE_BAD_ORDER, error.what());
  } catch (const std::out_of_range& error) {
    return fail(MULTIACE_OUT_OF_RANGE, error.what());
  } catch (const std::exception& error) {
    return fail(MULTIACE_FAILED, error.what());
  } catch (...) {
    return fail(MULTIACE_FAILED, "an unknown error");
  }
}

int open_read(std::unique_ptr<Program> program, multiace_executor** executor) {
  auto opened = std::make_unique<multiace_executor>();
  if (program->number_bytes == 4) opened->runs = std::make_unique<multiace::Executor<float>>(std::move(program));
  else opened->runs = std::make_unique<multiace::Executor<double>>(std::move(program));
  *executor = opened.release();
  return MULTIACE_SUCCESS;
}

}  // namespace

extern "C" {

const char* multiace_last_error(void) { return last_error.c_str(); }

int multiace_open(const char* path, multiace_executor** executor) {
  *executor = nullptr;
  return guarded([&] { open_read(multiace::open_program(path), executor); });
}
int multiace_open_bytes(const void* bytes, size_t size, multiace_executor** executor) {
  *executor = nullptr;
  return guarded([&] { open_read(multiace::read_program(bytes, size), executor); });
}
void multiace_close(multiace_executor* executor) { delete executor; }

int64_t multiace_n_layers(const multiace_executor* e) { return e->runs->program->n_layers; }
int64_t multiace_n_elements(const multiace_executor* e) { return e->runs->program->n_elements; }
const int64_t* multiace_elements(const multiace_executor* e) { return e->runs->program->elements.data(); }
int64_t multiace_n_terms(const multiace_executor* e) { return e->runs->program->n_terms; }
int64_t multiace_number_bytes(const multiace_executor* e) { return e->runs->program->number_bytes; }
double multiace_cutoff(const multiace_executor* e) { return e->runs->program->cutoff; }
double multiace_spline_error(const multiace_executor* e) { return e->runs->program->spline_error; }
double multiace_spline_slope_error(const multiace_executor* e) { return e->runs->program->spline_slope_error; }
int64_t multiace_features_width(const multiace_executor* e, int64_t layer) {
  const Program& p = *e->runs->program;
  return layer < 1 || layer > p.n_layers ? 0 : p.arrays[p.features[layer - 1]].width;
}
int64_t multiace_memory(const multiace_executor* e) { return e->runs->bytes(); }

void multiace_set_threads(multiace_executor* e, int64_t n_threads) { e->runs->n_threads = n_threads < 1 ? 1 : n_threads; }

int multiace_bind(multiace_executor* e, int64_t n_nodes, int64_t n_owned, int64_t n_edges, const int64_t* species,
                  const int64_t* senders, const int64_t* receivers, const int64_t* reverse) {
  return guarded([&] { e->runs->bind({n_nodes, n_owned, n_edges}, species, senders, receivers, reverse); });
}
int multiace_begin(multiace_executor* e, const double* edge_vectors, int gradients) {
  return guarded([&] { e->runs->begin(edge_vectors, gradients != 0); });
}
int multiace_forward_layer(multiace_executor* e, int64_t layer) {
  return guarded([&] { e->runs->forward_layer(layer); });
}
void* multiace_features(multiace_executor* e, int64_t layer) {
  void* features = nullptr;
  guarded([&] { features = e->runs->features(layer); });
  return features;
}
int multiace_energies(multiace_executor* e, double* energies, double* terms) {
  return guarded([&] { e->runs->energies(energies, terms); });
}
int multiace_reverse_layer(multiace_executor* e, int64_t layer) {
  return guarded([&] { e->runs->reverse_layer(layer); });
}
void* multiace_feature_gradients(multiace_executor* e, int64_t layer) {
  void* gradients = nullptr;
  guarded([&] { gradients = e->runs->feature_gradients(layer); });
  return gradients;
}
int multiace_gradient(multiace_executor* e, double* gradient) {
  return guarded([&] { e->runs->gradient(gradient); });
}
int multiace_evaluate(multiace_executor* e, const double* edge_vectors, int64_t n_structures, const int64_t* structure_of_node,
                      double* energies, double* energy, double* contributions, double* forces, double* virial) {
  return guarded([&] {
    e->runs->evaluate(edge_vectors, {n_structures, structure_of_node, energies, energy, contributions, forces, virial});
  });
}

}  // extern "C"
