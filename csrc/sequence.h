// Kernels one after another in one call: an interpreter between them costs as much as a small one.
#pragma once

#include <cstdint>

extern "C" {

struct MultiaceCall {
  int (*kernel)(const void* arguments);
  const void* arguments;
};

struct MultiaceSequence {
  int64_t n_calls;
  const MultiaceCall* calls;
  int64_t failed;  // result: the call that returned an error, which ended the sequence
};

int multiace_sequence(MultiaceSequence*);
}
