// SPDX-License-Identifier: Apache-2.0
#include "base/npy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/file.h"

namespace tacit {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they stand in the file");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;  // of the first element, by the format
constexpr std::uint64_t kMaxHeader = 1 << 16;
constexpr std::size_t kMaxRank = 32;

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads the header, a Python dictionary literal with three known keys.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Result<Header> parse() {
    Header header;
    bool has_order = false, has_shape = false;
    if (!take('{')) return fail();
    while (!take('}')) {
      TACIT_TRY(std::string key, string());
      if (!take(':')) return fail();
      if (key == "descr" && header.descr.empty()) {
        TACIT_TRY(header.descr, string());
      } else if (key == "fortran_order" && !has_order) {
        header.fortran_order = take_word("True");
        if (!header.fortran_order && !take_word("False")) return fail();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        TACIT_TRY(header.shape, tuple());
        has_shape = true;
      } else {
        return fail();
      }
      if (!take(',')) {
        if (!take('}')) return fail();
        break;
      }
    }
    skip_space();
    if (!text_.empty() || header.descr.empty() || !has_order || !has_shape) return fail();
    return header;
  }

 private:
  static Error fail() {
    return malformed_data(
        "the header of the .npy file is not descr, fortran_order and shape of one array; save it with "
        "numpy.save");
  }
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n' || text_.front() == '\t')) {
      text_.remove_prefix(1);
    }
  }
  bool take(char c) {
    skip_space();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  Result<std::string> string() {
    char quote = take('\'') ? '\'' : take('"') ? '"' : '\0';
    if (quote == '\0') return fail();
    std::size_t end = text_.find(quote);
    if (end == std::string_view::npos) return fail();
    std::string value(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return value;
  }
  Result<std::vector<std::int64_t>> tuple() {
    std::vector<std::int64_t> values;
    if (!take('(')) return fail();
    while (!take(')')) {
      skip_space();
      std::int64_t value = 0;
      std::size_t digits = 0;
      for (; !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; ++digits) {
        if (digits == 18) return fail();
        value = 10 * value + (text_.front() - '0');
        text_.remove_prefix(1);
      }
      if (digits == 0 || values.size() == kMaxRank) return fail();
      values.push_back(value);
      if (!take(',')) {
        if (!take(')')) return fail();
        break;
      }
    }
    return values;
  }
  std::string_view text_;
};

template <class T>
T element(ByteView bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// An element type by NumPy's name for it.
struct ElementType {
  std::string_view descr;
  std::uint64_t width;
};
constexpr ElementType kNumberTypes[] = {{"<f4", 4}, {"<f8", 8}, {"|u1", 1}};
constexpr ElementType kIntegerTypes[] = {{"|u1", 1}, {"|i1", 1}, {"<u2", 2}, {"<i2", 2},
                                         {"<u4", 4}, {"<i4", 4}, {"<u8", 8}, {"<i8", 8}};

// An array whose elements are still bytes.
struct RawArray {
  Header header;
  std::uint64_t count = 0;
  ByteView data;
};

// The array, if its type is one of `types`; `wanted` says what to do otherwise.
Result<RawArray> read_raw(ByteView bytes, std::span<const ElementType> types, std::string_view wanted) {
  ByteReader reader(bytes, ".npy file");
  TACIT_TRY(ByteView magic, reader.raw(kMagic.size()));
  if (as_text(magic) != kMagic)
    return malformed_data("this is not a .npy file; save the array with numpy.save");
  TACIT_TRY(std::uint8_t major, reader.u8());
  TACIT_TRY(std::uint8_t minor, reader.u8());
  if ((major != 1 && major != 2) || minor != 0) {
    return Error{ErrorCode::kDataVersion, "the .npy file has format version " + std::to_string(major) + "." +
                                              std::to_string(minor) + "; only 1.0 and 2.0 are read"};
  }
  std::uint64_t length = 0;
  if (major == 1) {
    TACIT_TRY(length, reader.u16());
  } else {
    TACIT_TRY(length, reader.u32());
  }
  if (length > kMaxHeader)
    return malformed_data("the .npy file has a header of " + std::to_string(length) + " bytes");
  TACIT_TRY(ByteView text, reader.raw(length));
  RawArray array;
  TACIT_TRY(array.header, HeaderParser(as_text(text)).parse());

  const auto type = std::ranges::find(types, std::string_view(array.header.descr), &ElementType::descr);
  if (type == types.end())
    return malformed_data("the .npy file's element type is not " + std::string(wanted));
  if (array.header.fortran_order) {
    return malformed_data("the .npy file is in Fortran order; save numpy.ascontiguousarray(array)");
  }
  array.count = 1;
  for (std::int64_t dim : array.header.shape) {
    auto product = checked_multiply(array.count, static_cast<std::uint64_t>(dim));
    if (!product) return malformed_data("the .npy file's shape has more elements than can be counted");
    array.count = *product;
  }
  auto size = checked_multiply(array.count, type->width);
  if (!size) return malformed_data("the .npy file's shape has more elements than can be counted");
  TACIT_TRY(array.data, reader.raw(*size));
  TACIT_CHECK(reader.finish());
  return array;
}

template <class T>
std::vector<std::int64_t> to_integers(const RawArray& array) {
  std::vector<std::int64_t> values(array.count);
  for (std::size_t i = 0; i < array.count; ++i)
    values[i] = static_cast<std::int64_t>(element<T>(array.data, i));
  return values;
}

std::vector<std::int64_t> to_integers(const RawArray& array) {
  const std::string& descr = array.header.descr;
  if (descr == "|u1") return to_integers<std::uint8_t>(array);
  if (descr == "|i1") return to_integers<std::int8_t>(array);
  if (descr == "<u2") return to_integers<std::uint16_t>(array);
  if (descr == "<i2") return to_integers<std::int16_t>(array);
  if (descr == "<u4") return to_integers<std::uint32_t>(array);
  if (descr == "<i4") return to_integers<std::int32_t>(array);
  return to_integers<std::int64_t>(array);  // unsigned ones beyond int64 become negative
}

}  // namespace

Result<NpyArray> read_npy(ByteView bytes) {
  TACIT_TRY(RawArray raw, read_raw(bytes, kNumberTypes,
                                   "float32, float64 or uint8 (little-endian); save it with "
                                   "array.astype('<f4')"));
  const bool is_float = raw.header.descr == "<f4", is_byte = raw.header.descr == "|u1";
  NpyArray array{std::move(raw.header.shape), std::vector<float>(raw.count)};
  for (std::size_t i = 0; i < raw.count; ++i) {
    if (is_float) {
      array.data[i] = element<float>(raw.data, i);
    } else if (is_byte) {
      array.data[i] = raw.data[i];
    } else {
      auto value = element<double>(raw.data, i);
      array.data[i] = static_cast<float>(value);
      if (std::isfinite(value) && !std::isfinite(array.data[i])) {
        return Error{ErrorCode::kValueOutOfRange, "the .npy file has a float64 that is beyond float32"};
      }
    }
  }
  return array;
}

Result<NpyArray> load_npy(const std::filesystem::path& path, std::uint64_t limit) {
  TACIT_TRY(Bytes bytes, read_file(path, limit));
  Result<NpyArray> array = read_npy(bytes);
  if (!array.ok()) return std::move(array).error().within(path.string());
  return array;
}

Result<NpyIntegers> read_npy_integers(ByteView bytes) {
  TACIT_TRY(RawArray raw, read_raw(bytes, kIntegerTypes,
                                   "an integer of 1 to 8 bytes (little-endian); save it with "
                                   "array.astype('<i8')"));
  NpyIntegers integers{raw.header.shape, to_integers(raw)};
  if (raw.header.descr == "<u8" &&
      std::ranges::any_of(integers.data, [](std::int64_t value) { return value < 0; }))
    return Error{ErrorCode::kValueOutOfRange, "the .npy file has a uint64 that is beyond int64"};
  return integers;
}

Result<NpyIntegers> load_npy_integers(const std::filesystem::path& path, std::uint64_t limit) {
  TACIT_TRY(Bytes bytes, read_file(path, limit));
  Result<NpyIntegers> integers = read_npy_integers(bytes);
  if (!integers.ok()) return std::move(integers).error().within(path.string());
  return integers;
}

Bytes write_npy(std::span<const std::int64_t> shape, std::span<const float> data) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) { header += (i > 0 ? ", " : "") + std::to_string(shape[i]); }
  header += shape.size() == 1 ? ",), }" : "), }";
  const std::size_t before = kMagic.size() + 2 + 2;  // version and length
  header.append(kAlignment - 1 - (before + header.size()) % kAlignment, ' ');
  header += '\n';
  ByteWriter writer;
  writer.raw(as_bytes(kMagic));
  writer.u8(1);
  writer.u8(0);
  writer.u16(static_cast<std::uint16_t>(header.size()));
  writer.raw(as_bytes(header));
  std::span<std::uint8_t> body = writer.extend(data.size_bytes());
  if (!data.empty()) std::memcpy(body.data(), data.data(), data.size_bytes());
  return std::move(writer).take();
}

Status save_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
                std::span<const float> data) {
  return write_file_atomic(path, write_npy(shape, data));
}

}  // namespace tacit
