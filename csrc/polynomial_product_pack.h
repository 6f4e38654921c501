// The polynomials of a product table in Horner's form, as polynomial_product_sweep.h reads them.
#pragma once

#include <cstdint>
#include <vector>

namespace multiace {

/// Bring the terms of each row into Horner's form, each time with the factor that most terms share.
///
/// words: a `ProductTable` behind its digest. Returns (components, rows, paths, terms, coefficients, most brackets with
/// brackets inside of a row, brackets), then 4 words a row, 3 a pair of brackets, the last factor of each term, and for
/// each coefficient its term and path as one word and its value as the bits of a double.
std::vector<int64_t> pack_product(const int64_t* words, int64_t n_words);

}  // namespace multiace

extern "C" {

struct MultiacePolynomialProductPack {
  const int64_t* words;
  int64_t n_words;
  int64_t* packed;   // or null
  int64_t n_packed;  // is set to the number of words of the packed form
};

int multiace_polynomial_product_pack(MultiacePolynomialProductPack*);
}
