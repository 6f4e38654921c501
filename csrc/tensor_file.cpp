#include "tensor_file.h"

#include <algorithm>
#include <cstring>

#include "program.h"

namespace multiace {
namespace {

constexpr size_t kLengthBytes = 8, kMostHeader = 100000000;  // that of other readers
constexpr int64_t kMostSize = int64_t{1} << 40;
constexpr size_t kMostAxes = 8;
const char* const kChecksum = "checksum";

[[noreturn]] void refuse(const std::string& what) {
  throw ProgramError("The file is no program: " + what + ". Export it again.");
}

uint64_t little_endian(const char* bytes, int n) {
  uint64_t value = 0;
  for (int k = n - 1; k >= 0; --k) value = value << 8 | static_cast<unsigned char>(bytes[k]);
  return value;
}

/// The part of JSON that a header needs: objects, strings, arrays of numbers without sign, fraction and exponent.
class Json {
 public:
  Json(const char* begin, const char* end) : begin_(begin), at_(begin), end_(end) {}

  /// Call entry(key) at the value of each key.
  template <class Entry>
  void object(const Entry& entry) {
    list('{', '}', [&] {
      const std::string key = string();
      expect(':');
      entry(key);
    });
  }
  std::vector<int64_t> numbers(size_t most) {
    std::vector<int64_t> found;
    list('[', ']', [&] {
      if (found.size() == most) fail("a list of more than " + std::to_string(most) + " numbers");
      found.push_back(number());
    });
    return found;
  }
  std::string string() {
    expect('"');
    std::string text;
    while (at_ < end_ && *at_ != '"') {
      if (static_cast<unsigned char>(*at_) < 0x20) fail("a control character in a string");
      if (*at_ == '\\') text += escape();
      else text += *at_++;
    }
    if (at_ == end_) fail("a string without end");
    ++at_;
    return text;
  }
  void end() {
    if (skip_space(), at_ != end_) fail("more than one object");
  }
  [[noreturn]] void fail(const std::string& what) const {
    refuse("its header has " + what + " at byte " + std::to_string(at_ - begin_));
  }

 private:
  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool next_is(char wanted) {
    skip_space();
    return at_ < end_ && *at_ == wanted;
  }
  void expect(char wanted) {
    if (!next_is(wanted)) fail(std::string("no '") + wanted + "'");
    ++at_;
  }
  template <class Item>
  void list(char open, char close, const Item& item) {
    expect(open);
    for (bool first = true; !next_is(close); first = false) {
      if (!first) expect(',');
      item();
    }
    ++at_;
  }
  int64_t number() {
    skip_space();
    int64_t value = 0;
    const char* first = at_;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_) {
      if (value > kMostSize || (value == 0 && at_ > first)) fail("a number that is too large, or begins with 0,");
      value = 10 * value + (*at_ - '0');
    }
    if (at_ == first) fail("no whole number");
    return value;
  }
  /// What is escaped matters to nobody, as names of tensors have none of it; only the form is checked.
  std::string escape() {
    const char* first = at_++;
    if (at_ == end_ || std::strchr("\"\\/bfnrtu", *at_) == nullptr || *at_ == 0) fail("an unknown escape");
    if (*at_++ == 'u')
      for (int k = 0; k < 4; ++k, ++at_)
        if (at_ == end_ || std::strchr("0123456789abcdefABCDEF", *at_) == nullptr || *at_ == 0)
          fail("an unknown escape");
    return std::string(first, at_);
  }

  const char *begin_, *at_, *end_;
};

Tensor::Type type_of(const std::string& name, const Json& json) {
  if (name == "F32") return Tensor::Type::kFloat32;
  if (name == "F64") return Tensor::Type::kFloat64;
  if (name == "I64") return Tensor::Type::kInt64;
  json.fail("dtype '" + name.substr(0, 16) + "', which is none of F32, F64 and I64,");
}

/// The value of a key that is a tensor; it must have the rest of `n_data` bytes.
Tensor read_tensor(Json& json, const char* data, int64_t n_data) {
  Tensor tensor{};
  std::vector<int64_t> offsets;
  int seen = 0;
  json.object([&](const std::string& key) {
    const int bit = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
    if (bit == 0 || (seen & bit)) json.fail("an unknown or repeated '" + key.substr(0, 16) + "'");
    seen |= bit;
    if (bit == 1) tensor.type = type_of(json.string(), json);
    else if (bit == 2) tensor.shape = json.numbers(kMostAxes);
    else offsets = json.numbers(2);
  });
  if (seen != 7 || offsets.size() != 2) json.fail("a tensor without dtype, shape or two data_offsets");
  tensor.size = 1;
  for (const int64_t n : tensor.shape) {
    if (n > kMostSize || (n > 0 && tensor.size > kMostSize / n)) json.fail("a tensor that is too large");
    tensor.size *= n;
  }
  if (offsets[0] > offsets[1] || offsets[1] > n_data) json.fail("data_offsets outside the file");
  if (offsets[1] - offsets[0] != tensor.n_bytes()) json.fail("data_offsets that do not fit the shape");
  tensor.data = data + offsets[0];
  return tensor;
}

void check_layout(const std::map<std::string, Tensor>& tensors, const char* data, const char* end) {
  std::vector<std::pair<const char*, const char*>> places;
  for (const auto& entry : tensors) places.push_back({entry.second.data, entry.second.data + entry.second.n_bytes()});
  std::sort(places.begin(), places.end());
  for (const auto& place : places) {
    if (place.first != data) refuse("its tensors overlap, or have gaps between them");
    data = place.second;
  }
  if (data != end) refuse("it is longer than its tensors");
}

/// Eight tables: of a byte alone, and of a byte with one to seven zeros after it.
struct CrcTables {
  uint32_t of[8][256];
  CrcTables() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = byte;
      for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
      of[0][byte] = crc;
    }
    for (int zeros = 1; zeros < 8; ++zeros)
      for (int byte = 0; byte < 256; ++byte) {
        const uint32_t before = of[zeros - 1][byte];
        of[zeros][byte] = before >> 8 ^ of[0][before & 0xff];
      }
  }
};

}  // namespace

uint32_t crc32(const char* bytes, size_t size, uint32_t before) {
  static const CrcTables tables;
  uint32_t crc = ~before;
  for (; size >= 8; bytes += 8, size -= 8) {
    const uint64_t word = little_endian(bytes, 8) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) crc ^= tables.of[7 - k][word >> 8 * k & 0xff];
  }
  for (; size > 0; ++bytes, --size) crc = crc >> 8 ^ tables.of[0][(crc ^ static_cast<unsigned char>(*bytes)) & 0xff];
  return ~crc;
}

std::map<std::string, Tensor> read_tensors(const char* bytes, size_t size) {
  if (size < kLengthBytes) refuse("it has " + std::to_string(size) + " bytes");
  const uint64_t n_header = little_endian(bytes, kLengthBytes);
  if (n_header > kMostHeader || n_header > size - kLengthBytes)
    refuse("its header would have " + std::to_string(n_header) + " bytes");
  const char *data = bytes + kLengthBytes + n_header, *end = bytes + size;
  std::map<std::string, Tensor> tensors;
  Json json(bytes + kLengthBytes, data);
  bool described = false;
  json.object([&](const std::string& name) {
    if (name == "__metadata__") {
      if (described) json.fail("a second __metadata__");
      described = true;
      return json.object([&](const std::string&) { json.string(); });
    }
    if (!tensors.emplace(name, read_tensor(json, data, end - data)).second) json.fail("a second tensor of one name");
  });
  json.end();
  check_layout(tensors, data, end);
  const auto found = tensors.find(kChecksum);
  if (found == tensors.end() || found->second.type != Tensor::Type::kInt64 || found->second.size != 1)
    throw ProgramError(
        "The file has no checksum, so it is no program. Export one with `multiace export MODEL --to program`.");
  const char* place = found->second.data;
  const char zeros[8] = {};
  const uint32_t before = crc32(bytes, place - bytes);
  const uint32_t crc = crc32(place + 8, end - place - 8, crc32(zeros, sizeof zeros, before));
  if (crc != little_endian(place, 8))
    throw ProgramError(
        "The file does not match its checksum: it was damaged or changed after it was written. Copy it "
        "again, or export the program again.");
  tensors.erase(found);
  return tensors;
}

}  // namespace multiace
