#include "tensor_file.h"

#include <algorithm>

#include "program.h"

namespace multiace {
namespace {

constexpr uint64_t kLengthBytes = 8, kMostHeader = 100000000;  // that of other readers
constexpr int64_t kMostSize = int64_t{1} << 40;
const std::string kEscapes = "\"\\/bfnrtu";

[[noreturn]] void refuse(const std::string& what) {
  throw ProgramError("The file is no program: " + what + ". Export it again.");
}

uint64_t little_endian(const char* bytes) {
  uint64_t value = 0;
  for (int k = 7; k >= 0; --k) value = value << 8 | static_cast<unsigned char>(bytes[k]);
  return value;
}

/// The part of JSON that a header needs: objects, strings, lists of whole numbers.
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
  std::vector<int64_t> numbers() {
    std::vector<int64_t> found;
    list('[', ']', [&] { found.push_back(number()); });
    return found;
  }
  /// Escapes are left as they are: only metadata have some.
  std::string string() {
    expect('"');
    const char* first = at_;
    for (; at_ < end_ && *at_ != '"'; ++at_) {
      if (static_cast<unsigned char>(*at_) < ' ') fail("a control character");
      if (*at_ == '\\' && (++at_ == end_ || kEscapes.find(*at_) == std::string::npos)) fail("an unknown escape");
    }
    if (at_ == end_) fail("a string without end");
    return std::string(first, at_++);
  }
  void end() {
    if (skip_space(), at_ != end_) fail("something after its object");
  }
  [[noreturn]] void fail(const std::string& what) const {
    refuse("byte " + std::to_string(at_ - begin_) + " of its header is at " + what);
  }

 private:
  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool next_is(char wanted) { return skip_space(), at_ < end_ && *at_ == wanted; }
  void expect(char wanted) {
    if (!next_is(wanted)) fail(std::string("the place of a missing '") + wanted + "'");
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
    const char* first = at_;
    int64_t value = 0;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9' && value <= kMostSize; ++at_) value = 10 * value + (*at_ - '0');
    if (at_ == first || value > kMostSize || (*first == '0' && at_ > first + 1)) fail("no possible whole number");
    return value;
  }

  const char *begin_, *at_, *end_;
};

Tensor read_tensor(Json& json, const char* data, int64_t n_data) {
  Tensor tensor{};
  std::vector<int64_t> offsets;
  int seen = 0;
  json.object([&](const std::string& key) {
    const int bit = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
    if (bit == 0 || (seen & bit)) json.fail("an unknown or repeated key");
    seen |= bit;
    if (bit == 2) tensor.shape = json.numbers();
    if (bit == 4) offsets = json.numbers();
    if (bit != 1) return;
    const std::string type = json.string();
    if (type != "F32" && type != "F64" && type != "I64") json.fail("a dtype that is none of F32, F64 and I64");
    using Type = Tensor::Type;
    tensor.type = type == "F32" ? Type::kFloat32 : type == "F64" ? Type::kFloat64 : Type::kInt64;
  });
  if (seen != 7 || offsets.size() != 2) json.fail("a tensor without dtype, shape or two data_offsets");
  tensor.size = 1;
  for (const int64_t n : tensor.shape) {
    if (n > 0 && tensor.size > kMostSize / n) json.fail("a tensor that is too large");
    tensor.size *= n;
  }
  if (offsets[0] > offsets[1] || offsets[1] > n_data || offsets[1] - offsets[0] != tensor.n_bytes())
    json.fail("data_offsets that are outside the file, or do not fit the shape");
  tensor.data = data + offsets[0];
  return tensor;
}

/// Tables of a byte with zero to seven zeros after it.
struct CrcTables {
  uint32_t of[8][256];
  CrcTables() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      of[0][byte] = byte;
      for (int k = 0; k < 8; ++k) of[0][byte] = of[0][byte] >> 1 ^ (of[0][byte] & 1 ? 0xedb88320u : 0);
    }
    for (int n = 1; n < 8; ++n)
      for (int byte = 0; byte < 256; ++byte) of[n][byte] = of[n - 1][byte] >> 8 ^ of[0][of[n - 1][byte] & 0xff];
  }
};

}  // namespace

uint32_t crc32(const char* bytes, size_t size, uint32_t before) {
  static const CrcTables tables;
  uint32_t crc = ~before;
  for (; size >= 8; bytes += 8, size -= 8) {
    const uint64_t word = little_endian(bytes) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) crc ^= tables.of[7 - k][word >> 8 * k & 0xff];
  }
  for (; size > 0; ++bytes, --size) crc = crc >> 8 ^ tables.of[0][(crc ^ static_cast<unsigned char>(*bytes)) & 0xff];
  return ~crc;
}

Tensors read_tensors(const char* bytes, size_t size) {
  const uint64_t n_header = size < kLengthBytes ? 0 : little_endian(bytes);
  if (size < kLengthBytes || n_header > std::min<uint64_t>(kMostHeader, size - kLengthBytes))
    refuse("it has " + std::to_string(size) + " bytes, and a header of " + std::to_string(n_header));
  const char *data = bytes + kLengthBytes + n_header, *end = bytes + size;
  Tensors tensors;
  Json json(bytes + kLengthBytes, data);
  json.object([&](const std::string& name) {
    if (name == "__metadata__") return json.object([&](const std::string&) { json.string(); });
    if (!tensors.emplace(name, read_tensor(json, data, end - data)).second) json.fail("a second tensor of one name");
  });
  json.end();
  std::vector<std::pair<const char*, const char*>> places{{end, end}};
  for (const auto& named : tensors) places.push_back({named.second.data, named.second.data + named.second.n_bytes()});
  std::sort(places.begin(), places.end());
  for (const auto& place : places) {
    if (place.first != data) refuse("its tensors overlap, or do not fill it");
    data = place.second;
  }
  const auto found = tensors.find("checksum");
  if (found == tensors.end() || found->second.type != Tensor::Type::kInt64 || found->second.size != 1)
    throw ProgramError("The file has no checksum, so it is no program. Write one with `multiace export`.");
  const char *place = found->second.data, zeros[8] = {};
  const uint32_t before = crc32(zeros, sizeof zeros, crc32(bytes, static_cast<size_t>(place - bytes)));
  if (crc32(place + 8, static_cast<size_t>(end - place) - 8, before) != little_endian(place))
    throw ProgramError("The file does not match its checksum: it was damaged or changed after it was written. Copy it "
                       "again, or export the program again.");
  tensors.erase(found);
  return tensors;
}

}  // namespace multiace
