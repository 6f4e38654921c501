#include "program.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "program_check.h"
#include "tensor_file.h"

namespace multiace {
namespace {

using Type = Tensor::Type;
using Shape = std::vector<int64_t>;
constexpr int64_t kFormat = 1, kMostThings = 10000, kMostLayers = 64, kMostElements = 118;
constexpr int64_t kAlignment = 64;  // bytes; each tensor is followed by as many zeros at least

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw ProgramError(joined("The program makes no sense: ", parts..., ". Export it again."));
}

/// Copies tensors into the memory of a program.
class Reader {
 public:
  explicit Reader(Tensors tensors) : program_(new Program), tensors_(std::move(tensors)) {
    int64_t n_bytes = kAlignment;
    for (const auto& named : tensors_) n_bytes += rounded(named.second.n_bytes());
    program_->memory.resize(static_cast<size_t>(n_bytes) / 8);
    next_ = reinterpret_cast<char*>(program_->memory.data());
    next_ += (kAlignment - reinterpret_cast<size_t>(next_) % kAlignment) % kAlignment;
  }

  std::unique_ptr<Program> read() {
    Program& p = *program_;
    const int64_t* header = integers("header", {10});
    if (header[0] != kFormat)
      throw ProgramError(joined("The program has format ", header[0], ", but this version of multiace reads format ",
                                kFormat, ". Update multiace, or export the program again."));
    p.n_layers = count("layers", header[1], 1, kMostLayers);
    p.n_elements = count("elements", header[2], 1, kMostElements);
    const int64_t n_arrays = count("arrays", header[3], 1, kMostThings);
    const int64_t n_operations = count("operations", header[4], 1, kMostThings);
    const int64_t n_tables = count("tables", header[5], 0, kMostThings);
    const int64_t n_constants = count("constants", header[6], 0, kMostThings);
    p.vectors = count("arrays before edge vectors", header[7], 0, n_arrays - 1);
    p.number_bytes = header[8] == 4 ? 4 : count("bytes of a number", header[8], 8, 8);
    p.exact = count("(0 or 1) being exact", header[9], 0, 1) == 1;
    const double* settings = doubles("settings", {3});
    p.cutoff = settings[0], p.spline_error = settings[1], p.spline_slope_error = settings[2];
    p.elements = list("elements", p.n_elements);
    p.features = list("features", p.n_layers);
    p.reads = list("reads", count("energies read", find("reads").size, 0, kMostThings));
    read_arrays(integers("arrays", {n_arrays, 4}), n_arrays);
    const int64_t n_words = count("words of operations", find("operations").size, 0, kMostThings << 7);
    read_operations(integers("operations", {n_words}), n_words, n_operations);
    p.n_terms = count("numbers of terms", find("terms").size, p.n_elements, kMostThings * p.n_elements) / p.n_elements;
    p.terms = doubles("terms", {p.n_elements, p.n_terms});
    p.factors = doubles("factors", {static_cast<int64_t>(p.reads.size()), p.n_elements});
    for (int64_t n = 0; n < n_tables; ++n) {
      const std::string name = joined("table.", n);
      const int64_t size = count("words of a table", find(name).size, 1, INT64_MAX);
      p.tables.push_back({integers(name, {size}) + 1, size - 1});
    }
    for (int64_t n = 0; n < n_constants; ++n) {
      const std::string name = joined("constant.", n);
      const Tensor& tensor = find(name);
      const Type numbers = p.number_bytes == 4 ? Type::kFloat32 : Type::kFloat64;
      const bool is_integer = tensor.type == Type::kInt64;
      const void* data = copy(name, is_integer ? Type::kInt64 : numbers, tensor.shape);
      p.constants.push_back({data, tensor.shape, is_integer, tensor.size});
    }
    if (n_read_ != tensors_.size()) refuse("it has ", tensors_.size(), " tensors, but its header counts ", n_read_);
    return std::move(program_);
  }

 private:
  static int64_t rounded(int64_t n_bytes) { return (n_bytes + 2 * kAlignment - 1) / kAlignment * kAlignment; }

  static int64_t count(const char* of, int64_t value, int64_t fewest, int64_t most) {
    if (value >= fewest && value <= most) return value;
    refuse("the number of ", of, " is ", value, "; it must be ", fewest, " to ", most);
  }
  const Tensor& find(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse("it has no tensor ", name);
    return found->second;
  }

  /// Copy a tensor, aligned, and return where it is.
  const void* copy(const std::string& name, Type type, const Shape& shape) {
    const Tensor& tensor = find(name);
    if (tensor.type != type || tensor.shape != shape) refuse(name, " has another dtype or shape than its header says");
    ++n_read_;
    char* to = next_;
    next_ += rounded(tensor.n_bytes());
    if (tensor.size > 0) std::memcpy(to, tensor.data, static_cast<size_t>(tensor.n_bytes()));
    const auto check = [&](const auto* numbers) {
      for (int64_t k = 0; k < tensor.size; ++k)
        if (!std::isfinite(numbers[k])) refuse("number ", k, " of ", name, " is not finite");
    };
    if (type == Type::kFloat32) check(reinterpret_cast<const float*>(to));
    if (type == Type::kFloat64) check(reinterpret_cast<const double*>(to));
    return to;
  }
  const int64_t* integers(const std::string& name, const Shape& shape) {
    return static_cast<const int64_t*>(copy(name, Type::kInt64, shape));
  }
  const double* doubles(const std::string& name, const Shape& shape) {
    return static_cast<const double*>(copy(name, Type::kFloat64, shape));
  }
  std::vector<int64_t> list(const char* name, int64_t n) {
    const int64_t* first = integers(name, {n});
    return std::vector<int64_t>(first, first + n);
  }

  void read_arrays(const int64_t* word, int64_t n_arrays) {
    for (int64_t n = 0; n < n_arrays; ++n, word += 4) {
      count("a kind of rows", word[0], 0, 3), count("a lifetime", word[2], 0, 2);
      count("(0 or 1) being differentiable", word[3], 0, 1);
      program_->arrays.push_back({static_cast<Rows>(word[0]), word[1], static_cast<Lifetime>(word[2]), word[3] == 1});
    }
  }

  /// Records are (words, code, layer, table, then inputs, outputs and constants, each with their number first).
  void read_operations(const int64_t* word, int64_t left, int64_t n_operations) {
    for (int64_t n = 0; n < n_operations; ++n) {
      const int64_t size = left > 0 ? word[0] : 0;
      if (size < 4 || size > left) refuse("operation ", n, " has ", size, " words, of ", left, " that are left");
      Program::Operation operation{static_cast<Code>(word[1]), word[2], word[3], {}, {}, {}};
      int64_t next = 4;
      for (std::vector<int64_t>* to : {&operation.inputs, &operation.outputs, &operation.constants}) {
        const int64_t n_listed = next < size ? word[next++] : -1;
        if (n_listed < 0 || n_listed > size - next) refuse("operation ", n, " ends in the middle of a list");
        to->assign(word + next, word + next + n_listed);
        next += n_listed;
      }
      if (next != size) refuse("operation ", n, " has ", size, " words, but its lists end after ", next);
      program_->operations.push_back(std::move(operation));
      word += size, left -= size;
    }
    if (left != 0) refuse(left, " words come after the last operation");
  }

  std::unique_ptr<Program> program_;
  const Tensors tensors_;
  char* next_;
  size_t n_read_ = 0;
};

/// A file that is open until this goes out of scope.
struct OpenFile {
  const int descriptor;
  explicit OpenFile(const char* path) : descriptor(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (descriptor >= 0) close(descriptor);
  }
};

}  // namespace

std::unique_ptr<Program> read_program(const void* bytes, size_t size) {
  std::unique_ptr<Program> program = Reader(read_tensors(static_cast<const char*>(bytes), size)).read();
  check(*program);
  return program;
}

std::unique_ptr<Program> open_program(const char* path) {
  const auto need = [&](bool holds, const std::string& otherwise = "") {
    if (holds) return;
    const std::string what = otherwise.empty() ? std::strerror(errno) : otherwise;
    throw ProgramError(joined(path, ": cannot be read: ", what, ". Give the path of a program file."));
  };
  const OpenFile file(path);
  char first;
  need(file.descriptor >= 0 && read(file.descriptor, &first, 1) >= 0);  // a folder can be opened, but not read
  const off_t size = lseek(file.descriptor, 0, SEEK_END);
  need(size >= 0 && lseek(file.descriptor, 0, SEEK_SET) == 0, "it is no file");
  std::vector<char> bytes;
  try {
    bytes.resize(static_cast<size_t>(size));
  } catch (const std::exception&) {  // std::bad_alloc, or std::length_error
    need(false, joined("its ", size, " bytes are more than the free memory"));
  }
  for (size_t n = 0; n < bytes.size();) {
    const ssize_t more = read(file.descriptor, bytes.data() + n, bytes.size() - n);
    need(more >= 0);
    need(more > 0, "it ended while it was read");
    n += static_cast<size_t>(more);
  }
  try {
    return read_program(bytes.data(), bytes.size());
  } catch (const ProgramError& error) {
    throw ProgramError(joined(path, ": ", error.what()));
  }
}

}  // namespace multiace
