// SPDX-License-Identifier: Apache-2.0
// The client half and its JSON page (protocol/client-half.md).
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "plan/checks.h"
#include "plan/plan.h"

namespace tacit::plan {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "tacit.client-half";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxLabelBytes = 256;
// Above this, JSON's numbers are no longer exact in every language.
constexpr std::uint64_t kMaxInteger = std::uint64_t{1} << 53;

// Reads the fields of one JSON object; its errors name the field with its path.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {}

  static Error error(const std::string& field, std::string_view trouble) {
    return Error{ErrorCode::kJsonMalformed, "client half: field \"" + field + "\" " + std::string(trouble)};
  }

  Result<const json*> find(const std::string& name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) return error(path_ + name, "is missing");
    return &*found;
  }
  Result<Fields> object(const std::string& name) const {
    TACIT_TRY(const json* value, find(name));
    if (!value->is_object()) return error(path_ + name, "must be an object");
    return Fields(*value, path_ + name + ".");
  }
  // Calls read(element, path) for each element of an array of at most `limit`.
  template <class F>
  Status array(const std::string& name, std::size_t limit, const F& read) const {
    TACIT_TRY(const json* value, find(name));
    if (!value->is_array()) return error(path_ + name, "must be an array");
    if (value->size() > limit)
      return error(path_ + name, "has more than " + std::to_string(limit) + " elements");
    std::size_t i = 0;
    for (const json& element : *value)
      TACIT_CHECK(read(element, path_ + name + "[" + std::to_string(i++) + "]"));
    return {};
  }
  template <class T>
  Status integer(const std::string& name, T& out, std::uint64_t limit) const {
    TACIT_TRY(const json* value, find(name));
    return integer(*value, path_ + name, out, limit);
  }
  template <class T>
  static Status integer(const json& value, const std::string& path, T& out, std::uint64_t limit) {
    const auto* number = value.get_ptr<const json::number_unsigned_t*>();
    if (number == nullptr || *number > limit)
      return error(path, "must be an integer from 0 to " + std::to_string(limit));
    out = static_cast<T>(*number);
    return {};
  }
  Status number(const std::string& name, double& out) const {
    TACIT_TRY(const json* value, find(name));
    return number(*value, path_ + name, out);
  }
  static Status number(const json& value, const std::string& path, double& out) {
    if (!value.is_number()) return error(path, "must be a number");
    out = value.get<double>();
    return {};
  }
  Status string(const std::string& name, std::string& out) const {
    TACIT_TRY(const json* value, find(name));
    return string(*value, path_ + name, out);
  }
  static Status string(const json& value, const std::string& path, std::string& out) {
    const auto* text = value.get_ptr<const json::string_t*>();
    if (text == nullptr) return error(path, "must be a string");
    if (text->size() > kMaxLabelBytes)
      return error(path, "must have at most " + std::to_string(kMaxLabelBytes) + " bytes");
    out = *text;
    return {};
  }
  Status boolean(const std::string& name, bool& out) const {
    TACIT_TRY(const json* value, find(name));
    const auto* flag = value->get_ptr<const json::boolean_t*>();
    if (flag == nullptr) return error(path_ + name, "must be true or false");
    out = *flag;
    return {};
  }

 private:
  const json& object_;
  std::string path_;
};

Status read_layout(const Fields& parent, Layout& out) {
  TACIT_TRY(const Fields fields, parent.object("layout"));
  TACIT_CHECK(fields.integer("channels", out.shape.channels, kMaxExtent));
  TACIT_CHECK(fields.integer("height", out.shape.height, kMaxExtent));
  TACIT_CHECK(fields.integer("width", out.shape.width, kMaxExtent));
  TACIT_CHECK(fields.integer("gap", out.gap, kMaxSlots));
  TACIT_CHECK(fields.integer("grid_height", out.grid_height, kMaxExtent));
  return fields.integer("grid_width", out.grid_width, kMaxExtent);
}

ordered_json layout_json(const Layout& layout) {
  return {{"channels", layout.shape.channels}, {"height", layout.shape.height},
          {"width", layout.shape.width},       {"gap", layout.gap},
          {"grid_height", layout.grid_height}, {"grid_width", layout.grid_width}};
}

Status read_parameters(const Fields& root, ClientHalf& half) {
  TACIT_TRY(const Fields fields, root.object("parameters"));
  TACIT_CHECK(fields.integer("log_degree", half.parameters.log_degree, 62));
  const auto read_primes = [&](const char* name, std::vector<ckks::u64>& primes) {
    return fields.array(name, ckks::kMaxPrimes, [&](const json& value, const std::string& path) -> Status {
      return Fields::integer(value, path, primes.emplace_back(), kMaxInteger);
    });
  };
  TACIT_CHECK(read_primes("primes", half.parameters.primes));
  TACIT_CHECK(read_primes("special_primes", half.parameters.special_primes));
  return root.array("keys", 2 * kMaxSlots, [&](const json& value, const std::string& path) -> Status {
    if (!value.is_object()) return Fields::error(path, "must be an object");
    const Fields key(value, path + ".");
    ckks::KeyRequest& request = half.keys.emplace_back();
    TACIT_CHECK(key.integer("element", request.element, std::numeric_limits<std::uint32_t>::max()));
    TACIT_CHECK(key.integer("level", request.shape.level, ckks::kMaxPrimes));
    TACIT_CHECK(key.integer("digit_size", request.shape.digit_size, ckks::kMaxPrimes));
    return key.integer("special_count", request.shape.special_count, ckks::kMaxPrimes);
  });
}

Status read_input(const Fields& root, ClientHalf& half) {
  TACIT_TRY(const Fields fields, root.object("input"));
  TACIT_CHECK(read_layout(fields, half.input));
  TACIT_CHECK(fields.integer("period", half.input_period, kMaxExtent));
  TACIT_CHECK(fields.integer("level", half.input_level, ckks::kMaxPrimes));
  TACIT_CHECK(fields.number("scale", half.input_scale));
  TACIT_CHECK(fields.number("range", half.input_range));
  TACIT_TRY(const Fields preprocessing, fields.object("preprocessing"));
  TACIT_CHECK(preprocessing.number("scale", half.preprocessing.scale));
  const auto read_numbers = [&](const char* name, std::vector<double>& numbers) {
    return preprocessing.array(name, kMaxSlots, [&](const json& value, const std::string& path) -> Status {
      return Fields::number(value, path, numbers.emplace_back());
    });
  };
  TACIT_CHECK(read_numbers("mean", half.preprocessing.mean));
  return read_numbers("deviation", half.preprocessing.deviation);
}

Status read_output(const Fields& root, ClientHalf& half) {
  TACIT_TRY(const Fields fields, root.object("output"));
  TACIT_CHECK(read_layout(fields, half.output));
  TACIT_CHECK(fields.integer("level", half.output_level, ckks::kMaxPrimes));
  TACIT_CHECK(fields.number("scale", half.output_scale));
  TACIT_CHECK(fields.number("range", half.output_range));
  TACIT_CHECK(fields.array("labels", kMaxSlots, [&](const json& value, const std::string& path) -> Status {
    return Fields::string(value, path, half.labels.emplace_back());
  }));
  return fields.boolean("softmax", half.softmax);
}

Status read_cost(const Fields& root, ClientHalf& half) {
  TACIT_TRY(const Fields fields, root.object("cost"));
  TACIT_CHECK(fields.number("estimated_ms", half.estimated_ms));
  TACIT_CHECK(fields.integer("upload_bytes", half.upload_bytes, kMaxInteger));
  TACIT_CHECK(fields.integer("download_bytes", half.download_bytes, kMaxInteger));
  TACIT_CHECK(fields.integer("key_bytes", half.key_bytes, kMaxInteger));
  TACIT_CHECK(fields.integer("rotations", half.rotations, std::numeric_limits<std::uint32_t>::max()));
  return fields.integer("products", half.products, std::numeric_limits<std::uint32_t>::max());
}

Error malformed(std::string message) { return Error{ErrorCode::kDataMalformed, std::move(message)}; }

bool is_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 64 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

Status check_preprocessing(const Preprocessing& preprocessing, int channels) {
  const auto usable = [](double x) { return std::isfinite(x) && std::abs(x) <= 0x1p40; };
  const auto divisor = [&](double x) { return usable(x) && x >= 0x1p-40; };
  if (!divisor(preprocessing.scale)) return malformed("preprocessing: the scale is not a positive number");
  if (preprocessing.mean.size() != static_cast<std::size_t>(channels) ||
      preprocessing.deviation.size() != static_cast<std::size_t>(channels))
    return malformed("preprocessing: mean and deviation need one number for each of the " +
                     std::to_string(channels) + " channels");
  if (!std::all_of(preprocessing.mean.begin(), preprocessing.mean.end(), usable) ||
      !std::all_of(preprocessing.deviation.begin(), preprocessing.deviation.end(), divisor))
    return malformed("preprocessing: a mean is not a number or a deviation is not positive");
  return {};
}

Status check_range(double range, std::string_view what) {
  if (range >= 0x1p-40 && range <= 0x1p40) return {};
  return malformed("the range of the " + std::string(what) + " is not between 2^-40 and 2^40");
}

}  // namespace

Status validate(const ClientHalf& half) {
  if (!is_name(half.name))
    return malformed(
        "a model's name must have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter "
        "or digit");
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(half.parameters));
  TACIT_CHECK(detail::check_key_requests(parameters, half.keys));
  TACIT_CHECK(half.input.validate("the input"));
  TACIT_CHECK(detail::check_period(half.input, half.input_period, "the input"));
  TACIT_CHECK(detail::check_level_and_scale(parameters, half.input_level, half.input_scale, 1, "the input"));
  TACIT_CHECK(check_range(half.input_range, "input"));
  TACIT_CHECK(check_preprocessing(half.preprocessing, half.input.shape.channels));
  TACIT_CHECK(half.output.validate("the output"));
  TACIT_CHECK(
      detail::check_level_and_scale(parameters, half.output_level, half.output_scale, 1, "the output"));
  TACIT_CHECK(check_range(half.output_range, "output"));
  if (!half.labels.empty() && half.labels.size() != half.output.shape.elements())
    return malformed("there are " + std::to_string(half.labels.size()) + " labels for " +
                     std::to_string(half.output.shape.elements()) + " outputs");
  for (const std::string& label : half.labels)
    if (label.size() > kMaxLabelBytes) return malformed("a label has more than 256 bytes");
  if (!(half.estimated_ms >= 0 && half.estimated_ms <= 1e12))
    return malformed("the estimated time is not a time");
  return {};
}

std::string to_json(const ClientHalf& half) {
  ordered_json keys = ordered_json::array();
  for (const ckks::KeyRequest& key : half.keys)
    keys.push_back({{"element", key.element},
                    {"level", key.shape.level},
                    {"digit_size", key.shape.digit_size},
                    {"special_count", key.shape.special_count}});
  const ordered_json page = {{"format", kFormat},
                             {"version", kVersion},
                             {"name", half.name},
                             {"parameters",
                              {{"log_degree", half.parameters.log_degree},
                               {"primes", half.parameters.primes},
                               {"special_primes", half.parameters.special_primes}}},
                             {"input",
                              {{"layout", layout_json(half.input)},
                               {"period", half.input_period},
                               {"level", half.input_level},
                               {"scale", half.input_scale},
                               {"range", half.input_range},
                               {"preprocessing",
                                {{"scale", half.preprocessing.scale},
                                 {"mean", half.preprocessing.mean},
                                 {"deviation", half.preprocessing.deviation}}}}},
                             {"output",
                              {{"layout", layout_json(half.output)},
                               {"level", half.output_level},
                               {"scale", half.output_scale},
                               {"range", half.output_range},
                               {"labels", half.labels},
                               {"softmax", half.softmax}}},
                             {"cost",
                              {{"estimated_ms", half.estimated_ms},
                               {"upload_bytes", half.upload_bytes},
                               {"download_bytes", half.download_bytes},
                               {"key_bytes", half.key_bytes},
                               {"rotations", half.rotations},
                               {"products", half.products}}},
                             {"keys", keys}};
  return page.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Result<ClientHalf> client_half_from_json(std::string_view text) {
  if (text.size() > kMaxClientHalfBytes)
    return Error{ErrorCode::kDataTooLarge,
                 "the client half has more than " + std::to_string(kMaxClientHalfBytes) + " bytes"};
  const json page = json::parse(text.begin(), text.end(), nullptr, false);
  if (page.is_discarded()) return Error{ErrorCode::kJsonMalformed, "the client half is not valid JSON"};
  if (!page.is_object()) return Error{ErrorCode::kJsonMalformed, "the client half is not a JSON object"};
  const Fields root(page, "");
  std::string format;
  std::uint64_t version = 0;
  TACIT_CHECK(root.string("format", format));
  if (format != kFormat) return Fields::error("format", "must be \"" + std::string(kFormat) + "\"");
  TACIT_CHECK(root.integer("version", version, kMaxInteger));
  if (version != kVersion)
    return Error{ErrorCode::kDataVersion, "the client half has version " + std::to_string(version) +
                                              ", this release reads version " + std::to_string(kVersion)};
  ClientHalf half;
  TACIT_CHECK(root.string("name", half.name));
  TACIT_CHECK(read_parameters(root, half));
  TACIT_CHECK(read_input(root, half));
  TACIT_CHECK(read_output(root, half));
  TACIT_CHECK(read_cost(root, half));
  if (Status status = validate(half); !status.ok()) return std::move(status).error().within("client half");
  return half;
}

ClientHalf client_half_of(const Plan& plan) {
  const Value& input = plan.values[plan.input];
  const Value& output = plan.values[plan.output];
  ClientHalf half;
  half.parameters = plan.parameters;
  half.keys = plan.keys;
  half.input = input.layout;
  half.input_period = input.period;
  half.input_level = input.level;
  half.input_scale = input.scale;
  half.output = output.layout;
  half.output_level = output.level;
  half.output_scale = output.scale;
  return half;
}

}  // namespace tacit::plan
