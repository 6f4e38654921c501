// Reads mutated versions of a program file: none may crash, be read out of bounds or take much memory.
//
//   fuzz FILE SEED N          the checksum is left as it is: each must be refused
//   fuzz FILE SEED N sealed   the checksum is made right: each is refused, or can be run on a few atoms
//
// Compiled with sanitizers by test_fuzz.py, which end the process at the first fault. With MULTIACE_EXECUTOR defined,
// programs that are read are run.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "program.h"
#include "tensor_file.h"
#ifdef MULTIACE_EXECUTOR
#include "executor.h"
#endif

namespace {

using Bytes = std::string;
using multiace::Tensor;

/// Changes a program file in one of many ways.
class Mutator {
 public:
  Mutator(const Bytes& original, uint64_t seed) : original_(original), random_(seed) {
    for (const auto& entry : multiace::read_tensors(original.data(), original.size())) {
      const int64_t start = entry.second.data - original.data(), n = entry.second.n_bytes();
      if (n == 0) continue;
      const bool is_data = entry.first.compare(0, 9, "constant.") == 0;
      Places& places = is_data ? constants_ : entry.first.compare(0, 6, "table.") == 0 ? tables_ : structure_;
      places.push_back({start, n});
    }
    n_header_ = 8 + word(original, 0);
  }

  Bytes mutate() {
    Bytes bytes = original_;
    for (int64_t n = 1 + below(3); n > 0; --n) change(bytes);
    return bytes;
  }

 private:
  using Places = std::vector<std::pair<int64_t, int64_t>>;  // start and length of tensors

  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  static int64_t word(const Bytes& bytes, int64_t at) {
    int64_t value;
    std::memcpy(&value, bytes.data() + at, 8);
    return value;
  }

  void change(Bytes& bytes) {
    if (bytes.empty()) return;
    const int64_t size = static_cast<int64_t>(bytes.size());
    switch (below(12)) {
      case 0:
        for (int64_t n = 1 + below(8); n > 0; --n) bytes[below(size)] ^= static_cast<char>(1 << below(8));
        return;
      case 1: return bytes.resize(below(4) ? size - std::min(size, below(64)) : below(size));
      case 2: bytes.append(1 + below(64), static_cast<char>(below(256))); return;
      case 3: return swap_words(bytes);
      case 4:
      case 5: return edit_header(bytes);
      case 6: return set_word(bytes, constants_);
      case 7:
      case 8:
      case 9: return set_word(bytes, structure_);
      default: return set_word(bytes, tables_);
    }
  }

  /// A word of a tensor, those of small tensors as often as those of large ones.
  int64_t place(const Bytes& bytes, const Places& places) {
    if (places.empty()) return -1;
    const auto& tensor = places[below(static_cast<int64_t>(places.size()))];
    const int64_t early = std::min<int64_t>(tensor.second / 8, 16);  // counts come first
    const int64_t n = below(2) && early > 0 ? early : std::max<int64_t>(1, tensor.second / 8);
    const int64_t at = tensor.first + 8 * below(n);
    return at + 8 <= static_cast<int64_t>(bytes.size()) ? at : -1;
  }

  void set_word(Bytes& bytes, const Places& places) {
    const int64_t at = place(bytes, places);
    if (at < 0) return;
    static const int64_t values[] = {0, 1, -1, 2, 3, 5, 7, 64, 1000, 1 << 20, (1 << 20) + 1, INT32_MAX, int64_t{1} << 32,
                                     int64_t{1} << 60, INT64_MAX, INT64_MIN, 0x7ff0000000000000, 0x7ff8000000000000,
                                     static_cast<int64_t>(0xfff0000000000000), 0x3ff0000000000000, 0x0000000000000001};
    int64_t value = word(bytes, at);
    switch (below(3)) {
      case 0: value = values[below(static_cast<int64_t>(std::size(values)))]; break;
      case 1: value = static_cast<int64_t>(static_cast<uint64_t>(value) + static_cast<uint64_t>(below(9)) - 4); break;
      default: value = word(bytes, at - below(std::min<int64_t>(at / 8 - 1, 40)) * 8);
    }
    std::memcpy(&bytes[at], &value, 8);
  }

  void swap_words(Bytes& bytes) {
    const Places& places = below(2) ? structure_ : tables_;
    const int64_t a = place(bytes, places), b = place(bytes, places);
    if (a < 0 || b < 0) return;
    const int64_t of_a = word(bytes, a), of_b = word(bytes, b);
    std::memcpy(&bytes[a], &of_b, 8);
    std::memcpy(&bytes[b], &of_a, 8);
  }

  /// Change the JSON header: a number, a character, or its length.
  void edit_header(Bytes& bytes) {
    const int64_t end = std::min<int64_t>(n_header_, static_cast<int64_t>(bytes.size()));
    if (end < 32) return;
    const int64_t at = 8 + below(end - 8);
    const char some[] = "0123456789{}[]\",:\\ -.eE\0tuF";
    switch (below(5)) {
      case 0: bytes[at] = some[below(sizeof some)]; return;
      case 1: bytes.erase(at, 1 + below(4)); break;
      case 2: bytes.insert(at, 1, some[below(sizeof some)]); break;
      case 3: {
        const size_t first = bytes.find_first_of("0123456789", at);
        if (first == Bytes::npos || static_cast<int64_t>(first) >= end) return;
        size_t last = first;
        while (last < bytes.size() && bytes[last] >= '0' && bytes[last] <= '9') ++last;
        static const char* const numbers[] = {"0", "1", "8", "16", "18446744073709551616", "9223372036854775807", "007", "-8", "1e3"};
        const int64_t which = below(2 * static_cast<int64_t>(std::size(numbers)));
        const bool is_known = which < static_cast<int64_t>(std::size(numbers));
        bytes.replace(first, last - first, is_known ? numbers[which] : std::to_string(below(2 * static_cast<int64_t>(bytes.size()))));
        break;
      }
      default: {
        const int64_t value = below(2) ? word(bytes, 0) + below(17) - 8 : static_cast<int64_t>(random_());
        std::memcpy(&bytes[0], &value, 8);
        return;
      }
    }
    if (below(4) == 0) return;  // and leave its length
    const int64_t value = word(bytes, 0) + static_cast<int64_t>(bytes.size()) - static_cast<int64_t>(original_.size());
    std::memcpy(&bytes[0], &value, 8);
  }

  const Bytes& original_;
  std::mt19937_64 random_;
  Places structure_, tables_, constants_;
  int64_t n_header_;
};

/// Make the checksum right, if there is one where the header says.
void seal(Bytes& bytes) {
  if (bytes.size() < 16) return;
  uint64_t n_header;
  std::memcpy(&n_header, bytes.data(), 8);
  const size_t name = bytes.find("\"checksum\""), offsets = bytes.find("\"data_offsets\"", name);
  if (name == Bytes::npos || offsets == Bytes::npos || n_header > bytes.size()) return;
  const size_t bracket = bytes.find('[', offsets);
  if (bracket == Bytes::npos) return;
  const uint64_t place = 8 + n_header + std::strtoull(bytes.c_str() + bracket + 1, nullptr, 10);
  if (place > bytes.size() || bytes.size() - place < 8) return;
  std::memset(&bytes[place], 0, 8);
  const uint64_t crc = multiace::crc32(bytes.data(), bytes.size());
  std::memcpy(&bytes[place], &crc, 8);
}

#ifdef MULTIACE_EXECUTOR
/// Energies and forces of a molecule, in one call and layer after layer with a ghost.
void run(std::unique_ptr<multiace::Program> program) {
  const double places[5][3] = {{0, 0, 0}, {1.1, 0.2, -0.3}, {-0.4, 1.3, 0.7}, {0.5, -0.9, 1.2}, {9, 9, 9}};
  const int64_t n_layers = program->n_layers, last = program->n_elements - 1;
  const std::vector<int64_t> species{0, last, 0, last / 2, last};
  std::unique_ptr<multiace::ExecutorBase> executor;
  if (program->number_bytes == 4) executor = std::make_unique<multiace::Executor<float>>(std::move(program));
  else executor = std::make_unique<multiace::Executor<double>>(std::move(program));
  for (const int64_t n_owned : {5, 3}) {
    std::vector<int64_t> senders, receivers, reverse;
    std::vector<double> vectors;
    for (int64_t i = 0; i < std::min<int64_t>(n_owned, 4); ++i)
      for (int64_t j = 0; j < 4; ++j) {
        if (i == j) continue;
        senders.push_back(j), receivers.push_back(i);
        for (int a = 0; a < 3; ++a) vectors.push_back(places[j][a] - places[i][a]);
      }
    const int64_t n_edges = static_cast<int64_t>(senders.size());
    for (int64_t e = 0; e < n_edges && n_owned == 5; ++e)
      for (int64_t f = 0; f < n_edges; ++f)
        if (senders[f] == receivers[e] && receivers[f] == senders[e]) reverse.push_back(f);
    executor->bind({5, n_owned, n_edges}, species.data(), senders.data(), receivers.data(),
                   reverse.empty() ? nullptr : reverse.data());
    double energies[5], forces[15], virial[9], gradient[36];
    if (n_owned == 5) {
      executor->evaluate(vectors.data(), {1, nullptr, energies, nullptr, nullptr, forces, virial});
      continue;
    }
    executor->begin(vectors.data(), true);
    for (int64_t t = 1; t <= n_layers; ++t) {
      executor->forward_layer(t);
      const multiace::Program& p = *executor->program;
      const size_t row = p.arrays[p.features[t - 1]].width * p.number_bytes;
      if (t < n_layers) std::memset(static_cast<char*>(executor->features(t)) + 3 * row, 0, 2 * row);  // of the ghosts
    }
    executor->energies(energies, nullptr);
    for (int64_t t = n_layers; t >= 1; --t) executor->reverse_layer(t);
    executor->gradient(gradient);
  }
}
#endif

}  // namespace

int main(int n_arguments, char** arguments) {
  if (n_arguments < 4) return 2;
  std::ifstream file(arguments[1], std::ios::binary);
  const Bytes original((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const int64_t n = std::atoll(arguments[3]);
  const bool sealed = n_arguments > 4;
  multiace::read_program(original.data(), original.size());  // is a program
  Mutator mutator(original, std::strtoull(arguments[2], nullptr, 10));
  int64_t refused = 0, read = 0, same = 0, ran = 0;
  while (refused + read < n) {
    Bytes bytes = mutator.mutate();
    if (sealed) seal(bytes);
    if (bytes == original) {
      ++same;
      continue;
    }
    std::unique_ptr<multiace::Program> program;
    try {
      // in memory of its own, so that reading beyond it is noticed
      const std::vector<char> copy(bytes.begin(), bytes.end());
      program = multiace::read_program(copy.data(), copy.size());
    } catch (const multiace::ProgramError& error) {
      if (std::getenv("VERBOSE")) std::printf("%s\n", error.what());
      ++refused;
      continue;
    }
    ++read;
    if (!sealed) {
      std::printf("a file that does not match its checksum was read\n");
      return 1;
    }
#ifdef MULTIACE_EXECUTOR
    try {
      run(std::move(program));
      ++ran;
    } catch (const std::out_of_range& error) {  // two elements that the program was not made for
      if (std::getenv("VERBOSE")) std::printf("run: %s\n", error.what());
    }
#endif
  }
  std::printf("%lld refused, %lld read, %lld run, %lld unchanged\n", static_cast<long long>(refused),
              static_cast<long long>(read), static_cast<long long>(ran), static_cast<long long>(same));
  return 0;
}
