// libmultiace.so: the functions of multiace.h, which it calls in the best of the libraries beside it that this
// processor can run. MULTIACE_ISA names a lesser one, as for multiace.kernels.cpu.library.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "include/multiace.h"
#include "instruction_set.h"

#if defined(__x86_64__) && defined(__GLIBC__)
// The versions every glibc has, not those of 2.34 that newer systems would choose.
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
#endif

#define MULTIACE_FUNCTIONS(X)                                                                                          \
  X(open) X(open_bytes) X(close) X(n_layers) X(n_elements) X(elements) X(n_terms) X(number_bytes) X(cutoff)            \
  X(spline_error) X(spline_slope_error) X(features_width) X(memory) X(set_threads) X(bind) X(begin) X(forward_layer)   \
  X(features) X(energies) X(reverse_layer) X(feature_gradients) X(gradient) X(evaluate) X(last_error)

namespace {

/// The functions of the library that was chosen; null where `error` says why there are none.
struct Library {
#define MULTIACE_DECLARE(NAME) decltype(&multiace_##NAME) NAME = nullptr;
  MULTIACE_FUNCTIONS(MULTIACE_DECLARE)
#undef MULTIACE_DECLARE
  std::string error;

  Library() {
    const std::string folder = own_folder();
    const std::string name = folder.empty() ? "" : choose(folder);
    if (!error.empty()) return;
    void* handle = dlopen(path_of(folder, name).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      error = message(dlerror()) + ". Install multiace again.";
      return;
    }
    const auto version = reinterpret_cast<decltype(&multiace_abi_version)>(dlsym(handle, "multiace_abi_version"));
    if (version == nullptr || version() != multiace_abi_version()) {
      error = path_of(folder, name) + " belongs to another version of multiace than libmultiace.so. Install multiace again.";
      return;
    }
#define MULTIACE_RESOLVE(NAME) resolve(handle, "multiace_" #NAME, NAME);
    MULTIACE_FUNCTIONS(MULTIACE_RESOLVE)
#undef MULTIACE_RESOLVE
  }

 private:
  static std::string message(const char* found) { return found ? found : "an unknown error"; }
  static std::string path_of(const std::string& folder, const std::string& name) {
    return folder + "/libmultiace_" + name + ".so";
  }

  /// Where this library is, links followed.
  std::string own_folder() {
    Dl_info info{};
    char* path = dladdr(reinterpret_cast<void*>(&multiace_last_error), &info) ? realpath(info.dli_fname, nullptr) : nullptr;
    if (path == nullptr) {
      error = "libmultiace.so cannot find the folder it is in. Load it by its full path.";
      return "";
    }
    const std::string found(path);
    std::free(path);
    return found.substr(0, found.rfind('/'));
  }

  /// The best instruction set that is installed and that this processor can run.
  std::string choose(const std::string& folder) {
    static const char* const names[] = {"baseline", "avx2", "avx512"};
    const char* wanted = std::getenv("MULTIACE_ISA");
    std::string best, available;
    for (int n = 0; n <= multiace_instruction_set(); ++n) {
      char* path = realpath(path_of(folder, names[n]).c_str(), nullptr);
      if (path == nullptr) continue;
      std::free(path);
      available += (available.empty() ? "" : ", ") + std::string(names[n]);
      if (wanted == nullptr || std::string(wanted) == names[n]) best = names[n];
    }
    if (available.empty())
      error = "There are no libmultiace_*.so in " + folder + ". Keep libmultiace.so beside them, or link to it.";
    else if (best.empty())
      error = "MULTIACE_ISA is '" + std::string(wanted) + "', but this machine can run " + available +
              ". Choose one of these or unset it.";
    return best;
  }

  template <class Function>
  void resolve(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr && error.empty()) error = message(dlerror()) + ". Install multiace again.";
  }
};

/// Loaded by the first call, once. Null if memory has run out.
const Library* library() {
  try {
    static const Library* const loaded = new Library;
    return loaded;
  } catch (...) {
    return nullptr;
  }
}

/// The same, if its functions can be called.
const Library* usable() {
  const Library* loaded = library();
  return loaded && loaded->error.empty() ? loaded : nullptr;
}

int fail(multiace_executor** executor) {
  *executor = nullptr;
  return library() ? MULTIACE_FAILED : MULTIACE_OUT_OF_MEMORY;
}

}  // namespace

extern "C" {

const char* multiace_last_error(void) {
  const Library* loaded = library();
  if (loaded == nullptr) return "out of memory";
  return loaded->error.empty() ? loaded->last_error() : loaded->error.c_str();
}

int multiace_open(const char* path, multiace_executor** executor) {
  const Library* to = usable();
  return to ? to->open(path, executor) : fail(executor);
}
int multiace_open_bytes(const void* bytes, size_t size, multiace_executor** executor) {
  const Library* to = usable();
  return to ? to->open_bytes(bytes, size, executor) : fail(executor);
}

// An executor exists only where `multiace_open` was called with success; `none` is for those that break this rule.
#define MULTIACE_FORWARD(RESULT, NAME, DECLARED, PASSED, NONE) \
  RESULT multiace_##NAME DECLARED {                            \
    const Library* to = usable();                              \
    return to ? to->NAME PASSED : NONE;                        \
  }
using Executor = multiace_executor;

MULTIACE_FORWARD(void, close, (Executor * e), (e), void())
MULTIACE_FORWARD(int64_t, n_layers, (const Executor* e), (e), 0)
MULTIACE_FORWARD(int64_t, n_elements, (const Executor* e), (e), 0)
MULTIACE_FORWARD(const int64_t*, elements, (const Executor* e), (e), nullptr)
MULTIACE_FORWARD(int64_t, n_terms, (const Executor* e), (e), 0)
MULTIACE_FORWARD(int64_t, number_bytes, (const Executor* e), (e), 0)
MULTIACE_FORWARD(double, cutoff, (const Executor* e), (e), 0)
MULTIACE_FORWARD(double, spline_error, (const Executor* e), (e), 0)
MULTIACE_FORWARD(double, spline_slope_error, (const Executor* e), (e), 0)
MULTIACE_FORWARD(int64_t, features_width, (const Executor* e, int64_t layer), (e, layer), 0)
MULTIACE_FORWARD(int64_t, memory, (const Executor* e), (e), 0)
MULTIACE_FORWARD(void, set_threads, (Executor * e, int64_t n_threads), (e, n_threads), void())
MULTIACE_FORWARD(int, bind,
                 (Executor * e, int64_t n_nodes, int64_t n_owned, int64_t n_edges, const int64_t* species,
                  const int64_t* senders, const int64_t* receivers, const int64_t* reverse),
                 (e, n_nodes, n_owned, n_edges, species, senders, receivers, reverse), MULTIACE_FAILED)
MULTIACE_FORWARD(int, begin, (Executor * e, const double* edge_vectors, int gradients), (e, edge_vectors, gradients),
                 MULTIACE_FAILED)
MULTIACE_FORWARD(int, forward_layer, (Executor * e, int64_t layer), (e, layer), MULTIACE_FAILED)
MULTIACE_FORWARD(void*, features, (Executor * e, int64_t layer), (e, layer), nullptr)
MULTIACE_FORWARD(int, energies, (Executor * e, double* energies, double* terms), (e, energies, terms), MULTIACE_FAILED)
MULTIACE_FORWARD(int, reverse_layer, (Executor * e, int64_t layer), (e, layer), MULTIACE_FAILED)
MULTIACE_FORWARD(void*, feature_gradients, (Executor * e, int64_t layer), (e, layer), nullptr)
MULTIACE_FORWARD(int, gradient, (Executor * e, double* gradient), (e, gradient), MULTIACE_FAILED)
MULTIACE_FORWARD(int, evaluate,
                 (Executor * e, const double* edge_vectors, int64_t n_structures, const int64_t* structure_of_node,
                  double* energies, double* energy, double* contributions, double* forces, double* virial),
                 (e, edge_vectors, n_structures, structure_of_node, energies, energy, contributions, forces, virial),
                 MULTIACE_FAILED)

}  // extern "C"
