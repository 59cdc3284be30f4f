// SPDX-License-Identifier: Apache-2.0
// The .tacit file. Little-endian; strings are u32 length and bytes; the server half is, in this order: slots u64, input
// u32, output u32, values, maps, operations, each list with its u32 count.
#include "plan/package.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "base/digest.h"
#include "plan/checks.h"
#include "plan/stages.h"

namespace tacit::plan {

namespace {

constexpr std::string_view kMagic = "TACITPKG";
constexpr std::uint32_t kVersion = 4;

enum class PieceTag : std::uint8_t { kConvolution = 1, kAveragePooling, kMatrix, kScaling };
enum class OperationTag : std::uint8_t {
  kLinear = 1,
  kSquare,
  kPolynomial,
  kAdd,
  kRescaling,
  kClientStep,
  kProduct
};

// --- writing -------------------------------------------------------------------------------------------------------

void write(ByteWriter& out, int value) { out.u32(static_cast<std::uint32_t>(value)); }

template <class... Ints>
void write_ints(ByteWriter& out, Ints... values) {
  (write(out, values), ...);
}

void write(ByteWriter& out, const std::vector<float>& values) {
  out.u64(values.size());
  for (float value : values) out.u32(std::bit_cast<std::uint32_t>(value));
}

void write(ByteWriter& out, const std::vector<double>& values) {
  out.u64(values.size());
  for (double value : values) out.f64(value);
}

void write(ByteWriter& out, const Shape& shape) {
  write_ints(out, shape.channels, shape.height, shape.width);
}

void write(ByteWriter& out, const Value& value) {
  out.string(value.name);
  write(out, value.layout.shape);
  write_ints(out, value.layout.gap, value.layout.grid_height, value.layout.grid_width);
  out.u64(value.period);
  out.u32(static_cast<std::uint32_t>(value.level - kClear));
  out.f64(value.scale);
  out.f64(value.bound);
  out.f64(value.range);
  out.f64(value.noise);
}

void write(ByteWriter& out, const Convolution& c) {
  out.u8(static_cast<std::uint8_t>(PieceTag::kConvolution));
  write_ints(out, c.out_channels, c.in_channels, c.groups, c.kernel_height, c.kernel_width, c.stride_height,
             c.stride_width, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right, c.dilation_height,
             c.dilation_width);
  write(out, c.weights);
}

void write(ByteWriter& out, const AveragePooling& p) {
  out.u8(static_cast<std::uint8_t>(PieceTag::kAveragePooling));
  write_ints(out, p.kernel_height, p.kernel_width, p.stride_height, p.stride_width, p.pad_top, p.pad_left,
             p.pad_bottom, p.pad_right);
  out.u8(p.exclude_padding ? 1 : 0);
}

void write(ByteWriter& out, const Matrix& m) {
  out.u8(static_cast<std::uint8_t>(PieceTag::kMatrix));
  write_ints(out, m.outputs, m.inputs);
  write(out, m.weights);
}

void write(ByteWriter& out, const Scaling& s) {
  out.u8(static_cast<std::uint8_t>(PieceTag::kScaling));
  write(out, s.factor);
}

void write(ByteWriter& out, const LinearMap& map) {
  write(out, map.in);
  write(out, map.out);
  out.f64(map.scale);
  out.u32(static_cast<std::uint32_t>(map.pieces.size()));
  for (const LinearPiece& piece : map.pieces) std::visit([&](const auto& p) { write(out, p); }, piece);
  write(out, map.bias);
}

void write_head(ByteWriter& out, OperationTag tag, ValueId input, ValueId output) {
  out.u8(static_cast<std::uint8_t>(tag));
  out.u32(input);
  out.u32(output);
}

void write(ByteWriter& out, const Linear& o) {
  write_head(out, OperationTag::kLinear, o.input, o.output);
  out.u32(o.map);
  out.u64(o.split.width);
  out.u64(o.split.shift);
  out.u8(o.split.chained ? 1 : 0);
}

void write(ByteWriter& out, const Square& o) { write_head(out, OperationTag::kSquare, o.input, o.output); }

void write(ByteWriter& out, const Polynomial& o) {
  write_head(out, OperationTag::kPolynomial, o.input, o.output);
  write(out, o.coefficients);
}

void write(ByteWriter& out, const Add& o) {
  write_head(out, OperationTag::kAdd, o.left, o.output);
  out.u32(o.right);
}

void write(ByteWriter& out, const Product& o) {
  write_head(out, OperationTag::kProduct, o.left, o.output);
  out.u32(o.right);
}

void write(ByteWriter& out, const Rescaling& o) {
  write_head(out, OperationTag::kRescaling, o.input, o.output);
  out.f64(o.factor);
}

// What the client computes stands in its half.
void write(ByteWriter& out, const ClientStep& o) {
  write_head(out, OperationTag::kClientStep, o.inputs[0], o.output);
  out.u32(static_cast<std::uint32_t>(o.inputs.size()));
  for (std::size_t i = 1; i < o.inputs.size(); ++i) out.u32(o.inputs[i]);
}

// --- reading -------------------------------------------------------------------------------------------------------

// The sequence of fields of one list element; after the first failure the rest reads as zero and `status` tells.
class FieldReader {
 public:
  explicit FieldReader(ByteReader& in) : in_(in) {}

  std::uint8_t u8() { return take(in_.u8()); }
  std::uint32_t u32() { return take(in_.u32()); }
  std::uint64_t u64() { return take(in_.u64()); }
  double f64() { return take(in_.f64()); }
  std::string string() { return take(in_.string(detail::kMaxNameBytes)); }
  int integer() {
    const std::uint32_t value = u32();
    if (value > static_cast<std::uint32_t>(std::numeric_limits<int>::max()))
      fail("has a dimension out of range");
    return status.ok() ? static_cast<int>(value) : 0;
  }
  Shape shape() {
    const int channels = integer(), height = integer(), width = integer();
    return {channels, height, width};
  }
  std::vector<float> floats() {
    const ByteView bytes = array(4);
    std::vector<float> values(bytes.size() / 4);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint32_t word = 0;
      for (std::size_t b = 0; b < 4; ++b) word |= std::uint32_t{bytes[4 * i + b]} << (8 * b);
      values[i] = std::bit_cast<float>(word);
    }
    return values;
  }
  std::vector<double> doubles() {
    const ByteView bytes = array(8);
    std::vector<double> values(bytes.size() / 8);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint64_t word = 0;
      for (std::size_t b = 0; b < 8; ++b) word |= std::uint64_t{bytes[8 * i + b]} << (8 * b);
      values[i] = std::bit_cast<double>(word);
    }
    return values;
  }
  void fail(const std::string& trouble) {
    if (status.ok()) status = Error{ErrorCode::kDataMalformed, in_.what() + " " + trouble};
  }

  Status status;

 private:
  template <class T>
  T take(Result<T> result) {
    if (!status.ok()) return T{};
    if (result.ok()) return std::move(result).value();
    status = std::move(result).error();
    return T{};
  }
  // u64 count, then that many elements, of which the reader has checked that they are there.
  ByteView array(std::uint64_t width) {
    const std::uint64_t count = u64();
    if (!status.ok()) return {};
    const auto bytes = checked_multiply(count, width);
    return take(in_.raw(bytes.value_or(std::numeric_limits<std::uint64_t>::max())));
  }

  ByteReader& in_;
};

Value read_value(FieldReader& in) {
  Value value;
  value.name = in.string();
  value.layout.shape = in.shape();
  value.layout.gap = in.integer();
  value.layout.grid_height = in.integer();
  value.layout.grid_width = in.integer();
  value.period = in.u64();
  value.level = in.integer() + kClear;
  value.scale = in.f64();
  value.bound = in.f64();
  value.range = in.f64();
  value.noise = in.f64();
  return value;
}

template <class... Ints>
void read_ints(FieldReader& in, Ints&... values) {
  ((values = in.integer()), ...);
}

LinearPiece read_piece(FieldReader& in) {
  switch (static_cast<PieceTag>(in.u8())) {
    case PieceTag::kConvolution: {
      Convolution c;
      read_ints(in, c.out_channels, c.in_channels, c.groups, c.kernel_height, c.kernel_width, c.stride_height,
                c.stride_width, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right, c.dilation_height,
                c.dilation_width);
      c.weights = in.floats();
      return c;
    }
    case PieceTag::kAveragePooling: {
      AveragePooling p;
      read_ints(in, p.kernel_height, p.kernel_width, p.stride_height, p.stride_width, p.pad_top, p.pad_left,
                p.pad_bottom, p.pad_right);
      const std::uint8_t flag = in.u8();
      if (flag > 1) in.fail("has a pooling flag that is neither 0 nor 1");
      p.exclude_padding = flag == 1;
      return p;
    }
    case PieceTag::kMatrix: {
      Matrix m;
      read_ints(in, m.outputs, m.inputs);
      m.weights = in.floats();
      return m;
    }
    case PieceTag::kScaling:
      return Scaling{in.floats()};
  }
  in.fail("has a linear operator of an unknown kind");
  return Scaling{};
}

// A u32 count, then that many elements of at least `least` bytes each.
template <class T, class F>
Status read_list(ByteReader& in, std::size_t least, std::vector<T>& list, const F& read) {
  TACIT_TRY(const std::uint32_t count, in.u32());
  if (count > in.remaining() / least)
    return Error{ErrorCode::kDataTruncated, in.what() + " announces " + std::to_string(count) +
                                                " elements, more than the bytes that are left"};
  for (std::uint32_t i = 0; i < count; ++i) {
    FieldReader fields(in);
    list.push_back(read(fields));
    TACIT_CHECK(fields.status);
  }
  return {};
}

Operation read_operation(FieldReader& in) {
  const auto tag = static_cast<OperationTag>(in.u8());
  const ValueId input = in.u32(), output = in.u32();
  switch (tag) {
    case OperationTag::kLinear: {
      const std::uint32_t map = in.u32();
      const std::uint64_t width = in.u64(), shift = in.u64();
      const std::uint8_t chained = in.u8();
      if (chained > 1) in.fail("has a layer that is neither chained nor not");
      return Linear{input, output, map, {width, shift, chained == 1}};
    }
    case OperationTag::kSquare:
      return Square{input, output};
    case OperationTag::kPolynomial:
      return Polynomial{input, output, in.doubles()};
    case OperationTag::kAdd:
      return Add{input, in.u32(), output};
    case OperationTag::kProduct:
      return Product{input, in.u32(), output};
    case OperationTag::kRescaling:
      return Rescaling{input, output, in.f64()};
    case OperationTag::kClientStep: {
      ClientStep step{{input}, output, {}};
      const std::uint32_t count = in.u32();
      if (count < 1 || count > 2) in.fail("has a client step of neither one nor two inputs");
      if (count == 2) step.inputs.push_back(in.u32());
      return step;
    }
  }
  in.fail("has an operation of an unknown kind");
  return Square{};
}

Result<LinearMap> read_map(ByteReader& in) {
  FieldReader fields(in);
  LinearMap map;
  map.in = fields.shape();
  map.out = fields.shape();
  map.scale = fields.f64();
  TACIT_CHECK(fields.status);
  TACIT_CHECK(read_list(in, 9, map.pieces, read_piece));
  map.bias = fields.doubles();
  TACIT_CHECK(fields.status);
  return map;
}

Bytes write_server_half(const Plan& plan) {
  ByteWriter out;
  out.u64(plan.slots);
  out.u32(plan.input);
  out.u32(plan.output);
  out.u32(static_cast<std::uint32_t>(plan.values.size()));
  for (const Value& value : plan.values) write(out, value);
  out.u32(static_cast<std::uint32_t>(plan.maps.size()));
  for (const LinearMap& map : plan.maps) write(out, map);
  out.u32(static_cast<std::uint32_t>(plan.operations.size()));
  for (const Operation& operation : plan.operations)
    std::visit([&](const auto& o) { write(out, o); }, operation);
  return std::move(out).take();
}

Result<Plan> read_server_half(ByteView bytes, const ClientHalf& client) {
  ByteReader in(bytes, "the package's server half");
  Plan plan;
  plan.parameters = client.parameters;
  plan.keys = client.keys;
  TACIT_TRY(plan.slots, in.u64());
  TACIT_TRY(plan.input, in.u32());
  TACIT_TRY(plan.output, in.u32());
  TACIT_CHECK(read_list(in, 72, plan.values, read_value));
  TACIT_TRY(const std::uint32_t maps, in.u32());
  for (std::uint32_t i = 0; i < maps; ++i) {
    TACIT_TRY(LinearMap map, read_map(in));
    plan.maps.push_back(std::move(map));
  }
  TACIT_CHECK(read_list(in, 9, plan.operations, read_operation));
  TACIT_CHECK(in.finish());
  return plan;
}

// Gives the plan's client steps their functions, which stand in the client half in the order of the stages.
Status attach_functions(const ClientHalf& client, Plan& plan) {
  std::vector<const ClientFunction*> functions;
  for (const Step& step : client.steps)
    if (const auto* computation = std::get_if<Computation>(&step))
      functions.push_back(&computation->function);
  std::vector<std::pair<std::size_t, ClientStep*>> steps;
  const std::vector<std::size_t> numbers = stage_numbers(plan);
  for (std::size_t i = 0; i < plan.operations.size(); ++i)
    if (auto* step = std::get_if<ClientStep>(&plan.operations[i])) steps.emplace_back(numbers[i], step);
  std::ranges::stable_sort(steps, {}, &std::pair<std::size_t, ClientStep*>::first);
  if (steps.size() != functions.size())
    return Error{ErrorCode::kDataMalformed, "the package's two halves have different steps"};
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i].second->function = *functions[i];
  return {};
}

// Whether every operation reads and makes values that exist, so that stages can be told.
Status check_indices(const Plan& plan) {
  const auto exists = [&](ValueId id) { return id < plan.values.size(); };
  bool all = exists(plan.input) && exists(plan.output);
  for (const Operation& operation : plan.operations) {
    all = all && exists(output_of(operation));
    for (ValueId id : inputs_of(operation)) all = all && exists(id);
  }
  if (all) return {};
  return Error{ErrorCode::kDataMalformed, "the package's plan names values that it does not have"};
}

}  // namespace

Bytes write_package(const Package& package) {
  const std::string client = to_json(package.client);
  const Bytes server = write_server_half(package.plan);
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  out.u32(kVersion);
  out.u64(client.size());
  out.raw(as_bytes(client));
  out.u64(server.size());
  out.raw(server);
  out.u64(package.record.size());
  out.raw(as_bytes(package.record));
  Bytes bytes = std::move(out).take();
  const Digest digest = blake2b(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

Result<Package> read_package(ByteView bytes) {
  if (bytes.size() > kMaxPackageBytes)
    return Error{ErrorCode::kDataTooLarge, "the package is larger than this release reads"};
  ByteReader in(bytes, "the package");
  TACIT_TRY(const ByteView magic, in.raw(kMagic.size()));
  if (as_text(magic) != kMagic)
    return Error{ErrorCode::kDataMalformed, "the file is not a Tacit package; make one with tacit compile"};
  TACIT_TRY(const std::uint32_t version, in.u32());
  if (version != kVersion)
    return Error{ErrorCode::kDataVersion, "the package has format version " + std::to_string(version) +
                                              ", this release reads version " + std::to_string(kVersion)};
  TACIT_TRY(const std::uint64_t client_size, in.u64());
  TACIT_TRY(const ByteView client_bytes, in.raw(client_size));
  TACIT_TRY(const std::uint64_t server_size, in.u64());
  TACIT_TRY(const ByteView server_bytes, in.raw(server_size));
  TACIT_TRY(const std::uint64_t record_size, in.u64());
  if (record_size > kMaxRecordBytes)
    return Error{ErrorCode::kDataTooLarge, "the package's record is larger than this release reads"};
  TACIT_TRY(const ByteView record_bytes, in.raw(record_size));
  const std::size_t digested = bytes.size() - in.remaining();
  TACIT_TRY(const ByteView digest, in.raw(sizeof(Digest)));
  TACIT_CHECK(in.finish());
  const Digest expected = blake2b(bytes.first(digested));
  if (std::memcmp(expected.data(), digest.data(), expected.size()) != 0)
    return Error{ErrorCode::kDataMalformed, "the package is damaged: its digest is not that of its contents"};

  Package package;
  package.record = as_text(record_bytes);
  TACIT_TRY(package.client, client_half_from_json(as_text(client_bytes)));
  TACIT_TRY(package.plan, read_server_half(server_bytes, package.client));
  TACIT_CHECK(check_indices(package.plan));
  TACIT_CHECK(attach_functions(package.client, package.plan));
  if (Status status = package.plan.validate(); !status.ok())
    return std::move(status).error().within("the package's plan");
  // What the compiler alone knows cannot differ; everything else must be the plan's.
  const ClientHalf& client = package.client;
  ClientHalf derived = client_half_of(package.plan);
  derived.name = client.name;
  derived.preprocessing = client.preprocessing;
  derived.labels = client.labels;
  derived.softmax = client.softmax;
  derived.estimated_ms = client.estimated_ms;
  derived.upload_bytes = client.upload_bytes, derived.download_bytes = client.download_bytes;
  derived.key_bytes = client.key_bytes;
  derived.rotations = client.rotations, derived.products = client.products;
  if (to_json(derived) != to_json(client))
    return Error{ErrorCode::kDataMalformed, "the package's two halves describe different inputs or outputs"};
  return package;
}

}  // namespace tacit::plan
