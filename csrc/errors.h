// What an entry point returns: exceptions end here, as nothing may be thrown through the C interface.
#pragma once

#include <new>

namespace multiace {

// Meanings are in `_ERRORS` of multiace.kernels.cpu.library.
constexpr int kSuccess = 0;
constexpr int kOutOfMemory = 1;
constexpr int kFailed = 2;
constexpr int kOutOfRange = 3;

/// Return the code that body() returns, or that of what it throws.
template <class Body>
int error_code(const Body& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (...) {
    return kFailed;
  }
}

}  // namespace multiace
