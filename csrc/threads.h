// A pool of threads that is no OpenMP runtime, so that it never competes with torch's own.
#pragma once

#include <cstdint>
#include <functional>

namespace multiace {

/// Run body(part) for part = 0 .. n_parts - 1 on as many threads, the caller's among them.
///
/// Each part runs once, on whichever thread is free first: a thread that the system keeps waiting
/// holds nothing up, as the others take its part. What a part does must depend on its number only;
/// results are then the same on every run. Nested calls, and calls while another thread has the
/// pool, run one part after the other on the caller's thread.
///
/// Throws std::bad_alloc if a part ran out of memory, std::exception for any other failure; all
/// parts have ended by then.
void run_on_threads(int n_parts, const std::function<void(int)>& body);

/// First item of a part when n items are cut into equal parts.
inline int64_t part_start(int64_t n, int part, int n_parts) { return n * part / n_parts; }

/// Call body(begin, end) on equal parts of n items, one a thread; small n takes fewer threads.
template <class Body>
void parallel_for(int n_threads, int64_t n, int64_t smallest_part, const Body& body) {
  int64_t useful = smallest_part > 0 ? n / smallest_part : n;
  int used = static_cast<int>(useful < 1 ? 1 : (useful < n_threads ? useful : n_threads));
  if (used <= 1) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  run_on_threads(used, [&](int part) { body(part_start(n, part, used), part_start(n, part + 1, used)); });
}

/// Scratch memory of the calling thread, kept from call to call in one block.
///
/// A `Scratch` hands out aligned arrays until it goes out of scope; scopes may nest.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// An uninitialised array of n entries, aligned to 64 bytes, padded by one vector at its end.
  /// Throws std::bad_alloc.
  template <class T>
  T* array(int64_t n) {
    return static_cast<T*>(bytes(n * static_cast<int64_t>(sizeof(T)) + 64));
  }
  /// The same, filled with zeros.
  template <class T>
  T* zeros(int64_t n) {
    T* p = array<T>(n);
    __builtin_memset(static_cast<void*>(p), 0, static_cast<size_t>(n) * sizeof(T) + 64);
    return p;
  }

 private:
  void* bytes(int64_t n);
  int64_t block_, used_, live_;
};

}  // namespace multiace
