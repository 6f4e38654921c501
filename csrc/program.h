// A program: a potential as data, read from one safetensors file. docs/programs.md describes the format.
//
// Files are not trusted: `read_program` checks every offset, size, count, index and table, so that who runs a
// program need not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace multiace {

/// What is wrong with a program.
struct ProgramError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Rows : int64_t { kNodes, kOwned, kEdges, kPairs };
enum class Lifetime : int64_t { kWhole, kKept, kTemporary };
enum class Code : int64_t {
  kEdgeBasis = 1,
  kAgnesi,
  kRadialBasis,
  kRadialNetwork,
  kSpline,
  kEmbedding,
  kConvolution,
  kNeighbourDensity,
  kPoolingDensity,
  kQuotient,
  kLinear,
  kPolynomialProduct,
  kGate,
  kNorm,
  kSelect,
  kRepulsion,
  kNormalisedAgnesi
};

struct Program {
  struct Array {
    Rows rows;
    int64_t width;
    Lifetime lifetime;
    bool differentiable;
  };
  struct Table {
    const int64_t* words;  // behind the digest
    int64_t n_words;
  };
  struct Constant {
    const void* data;  // aligned to 64 bytes
    std::vector<int64_t> shape;
    bool is_integer;   // int64; otherwise numbers of the program
    int64_t size;
    const int64_t* integers() const { return static_cast<const int64_t*>(data); }
    template <class T>
    const T* numbers() const {
      return static_cast<const T*>(data);
    }
  };
  struct Operation {
    Code code;
    int64_t layer;
    int64_t table;                              // -1: none
    std::vector<int64_t> inputs, outputs, constants;  // -1: absent
  };

  int64_t n_layers = 0, n_elements = 0, n_terms = 0, number_bytes = 0, vectors = 0;
  bool exact = false;
  double cutoff = 0, spline_error = 0, spline_slope_error = 0;
  std::vector<int64_t> elements;
  std::vector<Array> arrays;
  std::vector<Table> tables;
  std::vector<Constant> constants;
  std::vector<Operation> operations;  // layer after layer; inputs are written before they are read
  std::vector<int64_t> features;      // array of h^(t), t = 1 .. T
  std::vector<int64_t> reads;
  const double *terms = nullptr, *factors = nullptr;  // (elements, n_terms), (reads, elements)

  std::vector<int64_t> memory;  // what tables, constants, terms and factors point into
};

/// Read a program from the bytes of a file, which are copied.
/// Throws ProgramError: the bytes are no program, damaged, or of another version; std::bad_alloc.
std::unique_ptr<Program> read_program(const void* bytes, size_t size);

/// Read a program from a file. Throws as `read_program`; ProgramError too if the file cannot be read.
std::unique_ptr<Program> open_program(const char* path);

}  // namespace multiace
