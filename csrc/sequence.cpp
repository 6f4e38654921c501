#include "sequence.h"

#include "errors.h"

int multiace_sequence(MultiaceSequence* sequence) {
  for (int64_t n = 0; n < sequence->n_calls; ++n) {
    const MultiaceCall& call = sequence->calls[n];
    if (const int code = call.kernel(call.arguments)) {
      sequence->failed = n;
      return code;
    }
  }
  return multiace::kSuccess;
}
