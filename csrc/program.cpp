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

constexpr int64_t kFormat = 1, kMostThings = 10000, kMostLayers = 64, kMostElements = 118;
constexpr int64_t kAlignment = 64;  // bytes; each tensor is followed by as many zeros at least
using Tensors = std::map<std::string, Tensor>;
using Type = Tensor::Type;

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw ProgramError(joined("The program makes no sense: ", parts..., ". Export it again."));
}

/// Copies tensors into the memory of a program.
class Reader {
 public:
  explicit Reader(Tensors tensors) : program_(new Program), tensors_(std::move(tensors)) {
    size_t n_words = kAlignment / 8;
    for (const auto& entry : tensors_) n_words += rounded(entry.second.n_bytes()) / 8;
    program_->memory.resize(n_words);
    const size_t address = reinterpret_cast<size_t>(program_->memory.data());
    next_ = reinterpret_cast<char*>(program_->memory.data()) + (kAlignment - address % kAlignment) % kAlignment;
  }

  std::unique_ptr<Program> read() {
    Program& p = *program_;
    const int64_t* header = integers("header", 10);
    if (header[0] != kFormat)
      throw ProgramError(joined("The program has format ", header[0], ", but this version of multiace reads format ",
                                kFormat, ". Update multiace, or export the program again."));
    p.n_layers = count("layers", header[1], 1, kMostLayers);
    p.n_elements = count("elements", header[2], 1, kMostElements);
    const int64_t n_arrays = count("arrays", header[3], 1, kMostThings);
    const int64_t n_operations = count("operations", header[4], 1, kMostThings);
    const int64_t n_tables = count("tables", header[5], 0, kMostThings);
    const int64_t n_constants = count("constants", header[6], 0, kMostThings);
    p.vectors = count("arrays before that of edge vectors", header[7], 0, n_arrays - 1);
    p.number_bytes = header[8];
    if (p.number_bytes != 4 && p.number_bytes != 8)
      refuse("its numbers have ", header[8], " bytes; 4 or 8 are possible");
    p.exact = count("splines left out", header[9], 0, 1) == 1;
    const double* settings = doubles("settings", {3});
    p.cutoff = settings[0], p.spline_error = settings[1], p.spline_slope_error = settings[2];
    p.elements = list("elements", p.n_elements);
    p.features = list("features", p.n_layers);
    p.reads = list("reads", count("arrays that energies read", find("reads", 1).size, 0, kMostThings));
    read_arrays(n_arrays);
    read_operations(n_operations);
    const Tensor& terms = find("terms", 2);
    p.n_terms = count("terms", terms.shape[1], 1, kMostThings);
    p.terms = doubles("terms", {p.n_elements, p.n_terms});
    p.factors = doubles("factors", {static_cast<int64_t>(p.reads.size()), p.n_elements});
    for (int64_t n = 0; n < n_tables; ++n) read_table(joined("table.", n));
    for (int64_t n = 0; n < n_constants; ++n) read_constant(joined("constant.", n));
    if (n_read_ != tensors_.size()) refuse("it has ", tensors_.size(), " tensors, but its header counts ", n_read_);
    return std::move(program_);
  }

 private:
  static int64_t rounded(int64_t n_bytes) { return (n_bytes + 2 * kAlignment - 1) / kAlignment * kAlignment; }

  static int64_t count(const char* of, int64_t value, int64_t fewest, int64_t most) {
    if (value < fewest || value > most)
      refuse("the number of ", of, " is ", value, "; it must be ", fewest, " to ", most);
    return value;
  }

  const Tensor& find(const std::string& name, size_t n_axes) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse("it has no tensor ", name);
    if (found->second.shape.size() != n_axes)
      refuse(name, " has ", found->second.shape.size(), " axes instead of ", n_axes);
    return found->second;
  }

  /// Copy a tensor, the numbers aligned, and return where they are.
  const void* copy(const std::string& name, const Tensor& tensor) {
    ++n_read_;
    char* to = next_;
    if (tensor.size > 0) std::memcpy(to, tensor.data, tensor.n_bytes());
    next_ += rounded(tensor.n_bytes());
    const auto check = [&](auto* numbers) {
      for (int64_t k = 0; k < tensor.size; ++k)
        if (!std::isfinite(numbers[k])) refuse("number ", k, " of ", name, " is not finite");
    };
    if (tensor.type == Type::kFloat32) check(reinterpret_cast<float*>(to));
    if (tensor.type == Type::kFloat64) check(reinterpret_cast<double*>(to));
    return to;
  }

  const void* copy_typed(const std::string& name, Type type, const std::vector<int64_t>& shape) {
    const Tensor& tensor = find(name, shape.size());
    if (tensor.type != type) refuse(name, " has the wrong dtype");
    for (size_t axis = 0; axis < shape.size(); ++axis)
      if (tensor.shape[axis] != shape[axis])
        refuse("axis ", axis, " of ", name, " has length ", tensor.shape[axis], " instead of ", shape[axis]);
    return copy(name, tensor);
  }
  const int64_t* integers(const std::string& name, int64_t n) {
    return static_cast<const int64_t*>(copy_typed(name, Type::kInt64, {n}));
  }
  const double* doubles(const std::string& name, const std::vector<int64_t>& shape) {
    return static_cast<const double*>(copy_typed(name, Type::kFloat64, shape));
  }
  std::vector<int64_t> list(const char* name, int64_t n) {
    const int64_t* first = integers(name, n);
    return std::vector<int64_t>(first, first + n);
  }

  void read_arrays(int64_t n_arrays) {
    const auto* word = static_cast<const int64_t*>(copy_typed("arrays", Type::kInt64, {n_arrays, 4}));
    for (int64_t n = 0; n < n_arrays; ++n, word += 4) {
      if (word[0] < 0 || word[0] > 3 || word[2] < 0 || word[2] > 2 || word[3] < 0 || word[3] > 1)
        refuse("array ", n, " is of an unknown kind: ", word[0], ", ", word[2], ", ", word[3]);
      program_->arrays.push_back({static_cast<Rows>(word[0]), word[1], static_cast<Lifetime>(word[2]), word[3] == 1});
    }
  }

  /// Records are (words, code, layer, table, then inputs, outputs and constants, each with their number first).
  void read_operations(int64_t n_operations) {
    int64_t left = count("words of operations", find("operations", 1).size, 0, int64_t{1} << 20);
    const int64_t* word = integers("operations", left);
    for (int64_t n = 0; n < n_operations; ++n) {
      const int64_t size = left > 0 ? word[0] : 0;
      if (size < 4 || size > left) refuse("operation ", n, " has ", size, " words, of ", left, " that are left");
      Program::Operation operation{static_cast<Code>(word[1]), word[2], word[3], {}, {}, {}};
      int64_t next = 4;
      for (std::vector<int64_t>* to : {&operation.inputs, &operation.outputs, &operation.constants}) {
        const int64_t n_listed = next < size ? word[next] : -1;
        if (n_listed < 0 || n_listed >= size - next) refuse("operation ", n, " ends in the middle of a list");
        to->assign(word + next + 1, word + next + 1 + n_listed);
        next += n_listed + 1;
      }
      if (next != size) refuse("operation ", n, " has ", size, " words, but its lists end after ", next);
      program_->operations.push_back(std::move(operation));
      word += size, left -= size;
    }
    if (left != 0) refuse(left, " words come after the last operation");
  }

  void read_table(const std::string& name) {
    const int64_t n = find(name, 1).size;
    if (n < 1) refuse(name, " has no digest");
    program_->tables.push_back({integers(name, n) + 1, n - 1});
  }

  void read_constant(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse("it has no tensor ", name);
    const Tensor& tensor = found->second;
    const bool is_integer = tensor.type == Type::kInt64;
    if (!is_integer && tensor.n_bytes() != tensor.size * program_->number_bytes)
      refuse(name, " has another dtype than the program");
    program_->constants.push_back({copy(name, tensor), tensor.shape, is_integer, tensor.size});
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
  const auto fail = [&](const std::string& what) {
    throw ProgramError(
        joined(path, ": cannot be read: ", what, ". Give the path of a file that `multiace export` wrote."));
  };
  const OpenFile file(path);
  if (file.descriptor < 0) fail(std::strerror(errno));
  char first;
  if (read(file.descriptor, &first, 1) < 0) fail(std::strerror(errno));  // of a folder, which can be opened
  const off_t size = lseek(file.descriptor, 0, SEEK_END);
  if (size < 0 || lseek(file.descriptor, 0, SEEK_SET) != 0) fail("it is not a file");
  std::vector<char> bytes;
  try {
    bytes.resize(static_cast<size_t>(size));
  } catch (const std::exception&) {  // std::bad_alloc, or std::length_error
    fail(joined("its ", size, " bytes are more than the free memory"));
  }
  for (size_t n = 0; n < bytes.size();) {
    const ssize_t more = read(file.descriptor, bytes.data() + n, bytes.size() - n);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) fail(more < 0 ? std::strerror(errno) : "it was cut off while it was read");
    n += static_cast<size_t>(more);
  }
  try {
    return read_program(bytes.data(), bytes.size());
  } catch (const ProgramError& error) {
    throw ProgramError(joined(path, ": ", error.what()));
  }
}

}  // namespace multiace
