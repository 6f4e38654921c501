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

#define FUNCTIONS(X)                                                                                                 \
  X(last_error) X(open) X(open_bytes) X(close) X(n_layers) X(n_elements) X(elements) X(n_terms) X(number_bytes)      \
  X(cutoff) X(spline_error) X(spline_slope_error) X(features_width) X(memory) X(set_threads) X(bind) X(begin)        \
  X(forward_layer) X(features) X(energies) X(reverse_layer) X(feature_gradients) X(gradient) X(evaluate)

namespace {

/// The functions of the library that was chosen, unless `error` says why there are none.
struct Library {
#define DECLARE(NAME) decltype(&multiace_##NAME) NAME = nullptr;
  FUNCTIONS(DECLARE)
  std::string error;

  Library() {
    const std::string path = choose(own_folder());
    void* handle = error.empty() ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (handle == nullptr) {
      fail(dlerror());
      return;
    }
    decltype(&multiace_abi_version) version = nullptr;
    resolve(handle, "multiace_abi_version", version);
    if (version && version() != multiace_abi_version()) fail((path + " is of another version than libmultiace.so").c_str());
#define RESOLVE(NAME) resolve(handle, "multiace_" #NAME, NAME);
    FUNCTIONS(RESOLVE)
  }

 private:
  void fail(const char* what) {
    if (error.empty()) error = std::string(what ? what : "a library cannot be loaded") + ". Install multiace again.";
  }
  template <class Function>
  void resolve(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr) fail(dlerror());
  }

  /// Where this library is, links followed.
  std::string own_folder() {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(&multiace_last_error), &info);
    char* path = info.dli_fname ? realpath(info.dli_fname, nullptr) : nullptr;
    const std::string found(path ? path : "./");
    std::free(path);
    return found.substr(0, found.rfind('/'));
  }

  /// The path of the best instruction set that is installed and that this processor can run.
  std::string choose(const std::string& folder) {
    const char *const names[] = {"baseline", "avx2", "avx512"}, *wanted = std::getenv("MULTIACE_ISA");
    std::string best, available;
    for (int n = 0; n <= multiace_instruction_set(); ++n) {
      char* path = realpath((folder + "/libmultiace_" + names[n] + ".so").c_str(), nullptr);
      if (path == nullptr) continue;
      if (wanted == nullptr || std::string(wanted) == names[n]) best = path;
      available += (available.empty() ? "" : ", ") + std::string(names[n]);
      std::free(path);
    }
    if (available.empty())
      error = "There are no libmultiace_*.so in " + folder + ". Keep libmultiace.so beside them, or link to it.";
    else if (best.empty())
      error = "MULTIACE_ISA is '" + std::string(wanted) + "', but this machine can run " + available +
              ". Choose one of these or unset it.";
    return best;
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

int refuse(multiace_executor** executor) {
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

// The last argument is what is returned where there is no library.
#define FORWARD(RESULT, NAME, DECLARED, PASSED, NONE) \
  RESULT multiace_##NAME DECLARED {                   \
    const Library* to = usable();                     \
    return to ? to->NAME PASSED : NONE;               \
  }
#define QUERY(RESULT, NAME) FORWARD(RESULT, NAME, (const multiace_executor* e), (e), 0)

FORWARD(int, open, (const char* path, multiace_executor** e), (path, e), refuse(e))
FORWARD(int, open_bytes, (const void* bytes, size_t size, multiace_executor** e), (bytes, size, e), refuse(e))
FORWARD(void, close, (multiace_executor * e), (e), void())
QUERY(int64_t, n_layers)
QUERY(int64_t, n_elements)
QUERY(const int64_t*, elements)
QUERY(int64_t, n_terms)
QUERY(int64_t, number_bytes)
QUERY(double, cutoff)
QUERY(double, spline_error)
QUERY(double, spline_slope_error)
QUERY(int64_t, memory)
FORWARD(int64_t, features_width, (const multiace_executor* e, int64_t layer), (e, layer), 0)
FORWARD(void, set_threads, (multiace_executor * e, int64_t n_threads), (e, n_threads), void())
FORWARD(int, bind,
        (multiace_executor * e, int64_t n_nodes, int64_t n_owned, int64_t n_edges, const int64_t* species,
         const int64_t* senders, const int64_t* receivers, const int64_t* reverse),
        (e, n_nodes, n_owned, n_edges, species, senders, receivers, reverse), MULTIACE_FAILED)
FORWARD(int, begin, (multiace_executor * e, const double* vectors, int gradients), (e, vectors, gradients), MULTIACE_FAILED)
FORWARD(int, forward_layer, (multiace_executor * e, int64_t layer), (e, layer), MULTIACE_FAILED)
FORWARD(void*, features, (multiace_executor * e, int64_t layer), (e, layer), nullptr)
FORWARD(int, energies, (multiace_executor * e, double* energies, double* terms), (e, energies, terms), MULTIACE_FAILED)
FORWARD(int, reverse_layer, (multiace_executor * e, int64_t layer), (e, layer), MULTIACE_FAILED)
FORWARD(void*, feature_gradients, (multiace_executor * e, int64_t layer), (e, layer), nullptr)
FORWARD(int, gradient, (multiace_executor * e, double* gradient), (e, gradient), MULTIACE_FAILED)
FORWARD(int, evaluate,
        (multiace_executor * e, const double* vectors, int64_t n_structures, const int64_t* structure_of_node,
         double* energies, double* energy, double* contributions, double* forces, double* virial),
        (e, vectors, n_structures, structure_of_node, energies, energy, contributions, forces, virial), MULTIACE_FAILED)

}  // extern "C"
