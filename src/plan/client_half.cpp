// SPDX-License-Identifier: Apache-2.0
// The client half and its JSON page (protocol/client-half.md).
#include "plan/client_half.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "plan/checks.h"
#include "plan/client_steps.h"
#include "plan/json_fields.h"
#include "plan/results.h"

namespace tacit::plan {

using detail::Fields;
using detail::json;
using detail::kMaxInteger;
using detail::ordered_json;

namespace {

constexpr std::string_view kFormat = "tacit.client-half";
constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kMaxValues = 4096;

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

Status read_value(const Fields& fields, ClientValue& out) {
  TACIT_CHECK(read_layout(fields, out.layout));
  TACIT_CHECK(fields.integer("period", out.period, kMaxExtent));
  TACIT_CHECK(fields.number("range", out.range));
  bool encrypted = false;
  TACIT_CHECK(fields.boolean("encrypted", encrypted));
  out.level = kClear;
  if (!encrypted) return {};
  TACIT_CHECK(fields.integer("level", out.level, ckks::kMaxPrimes));
  return fields.number("scale", out.scale);
}

ordered_json value_json(const ClientValue& value) {
  ordered_json object = {{"layout", layout_json(value.layout)},
                         {"period", value.period},
                         {"range", value.range},
                         {"encrypted", value.level != kClear}};
  if (value.level == kClear) return object;
  object["level"] = value.level;
  object["scale"] = value.scale;
  return object;
}

Status read_values(const Fields& root, ClientHalf& half) {
  TACIT_CHECK(root.integer("slots", half.slots, kMaxSlots));
  TACIT_CHECK(root.array("values", kMaxValues, [&](const json& value, const std::string& path) -> Status {
    if (!value.is_object()) return Fields::error(path, "must be an object");
    return read_value(Fields(value, path + "."), half.values.emplace_back());
  }));
  if (half.values.empty()) return Fields::error("values", "must not be empty");
  return detail::read_steps(root, half.values.size(), half.steps);
}

Status read_input(const Fields& root, ClientHalf& half) {
  TACIT_TRY(const Fields fields, root.object("input"));
  TACIT_CHECK(fields.integer("value", half.input, half.values.size() - 1));
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
  TACIT_CHECK(fields.integer("value", half.output, half.values.size() - 1));
  TACIT_CHECK(fields.array("labels", kMaxExtent, [&](const json& value, const std::string& path) -> Status {
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

bool is_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 64 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

Status check_preprocessing(const Preprocessing& preprocessing, int channels) {
  const auto usable = [](double x) { return std::isfinite(x) && std::abs(x) <= 0x1p40; };
  const auto divisor = [&](double x) { return usable(x) && x >= 0x1p-40; };
  if (!divisor(preprocessing.scale))
    return malformed_data("preprocessing: the scale is not a positive number");
  if (preprocessing.mean.size() != static_cast<std::size_t>(channels) ||
      preprocessing.deviation.size() != static_cast<std::size_t>(channels))
    return malformed_data("preprocessing: mean and deviation need one number for each of the " +
                          std::to_string(channels) + " channels");
  if (!std::all_of(preprocessing.mean.begin(), preprocessing.mean.end(), usable) ||
      !std::all_of(preprocessing.deviation.begin(), preprocessing.deviation.end(), divisor))
    return malformed_data("preprocessing: a mean is not a number or a deviation is not positive");
  return {};
}

Status check_range(double range, std::string_view what) {
  if (range >= 0x1p-40 && range <= 0x1p40) return {};
  return malformed_data("the range of the " + std::string(what) + " is not between 2^-40 and 2^40");
}

Status check_value(const ckks::Parameters& parameters, std::size_t slots, const ClientValue& value,
                   const std::string& what) {
  TACIT_CHECK(value.layout.validate(what));
  TACIT_CHECK(detail::check_period(value.layout, value.period, slots, what));
  TACIT_CHECK(check_range(value.range, what));
  if (value.level == kClear) return {};
  return detail::check_level_and_scale(parameters, value.level, value.scale, 1, what);
}

// Every step finds its inputs, and the output is made.
Status check_steps(const ClientHalf& half) {
  std::vector<bool> known(half.values.size(), false);
  known[half.input] = true;
  const auto make = [&](std::uint32_t value) -> Status {
    if (known[value]) return malformed_data("a step makes a value that was there before");
    known[value] = true;
    return {};
  };
  for (std::size_t i = 0; i < half.steps.size(); ++i) {
    const std::string where = "step " + std::to_string(i);
    const auto* request = std::get_if<Request>(&half.steps[i]);
    const auto* computation = std::get_if<Computation>(&half.steps[i]);
    for (std::uint32_t input : request != nullptr ? request->inputs : computation->inputs)
      if (!known[input]) return malformed_data(where + " reads a value that nothing has made before it");
    if (request != nullptr) {
      if (request->inputs.empty() || request->outputs.empty())
        return malformed_data(where + " sends or receives nothing");
      for (const auto& list : {request->inputs, request->outputs})
        for (std::uint32_t value : list)
          if (half.values[value].level == kClear)
            return malformed_data(where + " sends or receives a value that is not encrypted");
      for (std::uint32_t output : request->outputs) TACIT_CHECK(make(output));
      continue;
    }
    if (computation->inputs.size() != arity(computation->function))
      return malformed_data(where + " has another number of inputs than its function");
    const Shape& in = half.values[computation->inputs[0]].layout.shape;
    for (std::uint32_t input : computation->inputs)
      if (half.values[input].layout.shape != in)
        return malformed_data(where + " takes tensors of different shapes");
    auto out = shape_after(computation->function, in);
    if (!out.ok()) return std::move(out).error().within(where);
    if (*out != half.values[computation->output].layout.shape)
      return malformed_data(where + " makes a tensor of another shape than its value");
    TACIT_CHECK(make(computation->output));
  }
  if (!known[half.output]) return malformed_data("no step makes the output");
  return {};
}

}  // namespace

std::vector<Request> ClientHalf::requests() const {
  std::vector<Request> result;
  for (const Step& step : steps)
    if (const auto* request = std::get_if<Request>(&step)) result.push_back(*request);
  return result;
}

Status validate(const ClientHalf& half) {
  if (!is_name(half.name))
    return malformed_data(
        "a model's name must have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter "
        "or digit");
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(half.parameters));
  TACIT_CHECK(detail::check_key_requests(parameters, half.keys));
  if (half.slots != 1 && half.slots != parameters.slots())
    return malformed_data("an image must have one slot of each ciphertext or all " +
                          std::to_string(parameters.slots()));
  if (half.input >= half.values.size() || half.output >= half.values.size())
    return malformed_data("the input or the output is not one of the values");
  for (std::size_t i = 0; i < half.values.size(); ++i) {
    const std::string what = i == half.input    ? "the input"
                             : i == half.output ? "the output"
                                                : "value " + std::to_string(i);
    TACIT_CHECK(check_value(parameters, half.slots, half.values[i], what));
  }
  TACIT_CHECK(check_preprocessing(half.preprocessing, half.input_shape().channels));
  TACIT_CHECK(check_steps(half));
  const std::size_t outputs = half.output_shape().elements();
  if (!half.labels.empty() && half.labels.size() != outputs)
    return malformed_data("there are " + std::to_string(half.labels.size()) + " labels for " +
                          std::to_string(outputs) + " outputs");
  for (const std::string& label : half.labels)
    if (label.size() > detail::kMaxStringBytes) return malformed_data("a label has more than 256 bytes");
  if (!(half.estimated_ms >= 0 && half.estimated_ms <= 1e12))
    return malformed_data("the estimated time is not a time");
  return {};
}

std::string to_json(const ClientHalf& half) {
  ordered_json keys = ordered_json::array();
  for (const ckks::KeyRequest& key : half.keys)
    keys.push_back({{"element", key.element},
                    {"level", key.shape.level},
                    {"digit_size", key.shape.digit_size},
                    {"special_count", key.shape.special_count}});
  ordered_json values = ordered_json::array();
  for (const ClientValue& value : half.values) values.push_back(value_json(value));
  const ordered_json page = {
      {"format", kFormat},
      {"version", kVersion},
      {"name", half.name},
      {"parameters",
       {{"log_degree", half.parameters.log_degree},
        {"primes", half.parameters.primes},
        {"special_primes", half.parameters.special_primes}}},
      {"slots", half.slots},
      {"values", values},
      {"input",
       {{"value", half.input},
        {"preprocessing",
         {{"scale", half.preprocessing.scale},
          {"mean", half.preprocessing.mean},
          {"deviation", half.preprocessing.deviation}}}}},
      {"output", {{"value", half.output}, {"labels", half.labels}, {"softmax", half.softmax}}},
      {"steps", detail::steps_json(half.steps)},
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
  TACIT_CHECK(read_values(root, half));
  TACIT_CHECK(read_input(root, half));
  TACIT_CHECK(read_output(root, half));
  TACIT_CHECK(read_cost(root, half));
  if (Status status = validate(half); !status.ok()) return std::move(status).error().within("client half");
  return half;
}

ClientHalf client_half_of(const Plan& plan) {
  const std::vector<Stage> stages = stages_of(plan);
  const std::vector<std::size_t> numbers = stage_numbers(plan);
  // What crosses, and what only the client has.
  std::map<ValueId, std::uint32_t> places = {{plan.input, 0}, {plan.output, 0}};
  std::set<ValueId> results;
  for (const Stage& stage : stages) results.insert(stage.outputs.begin(), stage.outputs.end());
  for (const Stage& stage : stages)
    for (const auto& list : {stage.inputs, stage.outputs})
      for (ValueId id : list) places.emplace(id, 0);
  for (const Operation& operation : plan.operations)
    if (const auto* step = std::get_if<ClientStep>(&operation)) places.emplace(step->output, 0);

  ClientHalf half;
  half.parameters = plan.parameters;
  half.keys = plan.keys;
  half.slots = plan.slots;
  for (auto& [id, place] : places) {
    place = static_cast<std::uint32_t>(half.values.size());
    const Value& value = plan.values[id];
    half.values.push_back({value.layout, value.period, value.level, value.scale, value.range});
    if (results.contains(id)) half.values.back().level = result_level(plan, id);
  }
  half.input = places.at(plan.input);
  half.output = places.at(plan.output);
  const auto placed = [&](const std::vector<ValueId>& ids) {
    std::vector<std::uint32_t> result;
    for (ValueId id : ids) result.push_back(places.at(id));
    return result;
  };
  // The client steps that wait for as many stages, then the next stage.
  for (std::size_t s = 0; s <= stages.size(); ++s) {
    for (std::size_t i = 0; i < plan.operations.size(); ++i)
      if (const auto* step = std::get_if<ClientStep>(&plan.operations[i]); step && numbers[i] == s)
        half.steps.push_back(Computation{placed(step->inputs), places.at(step->output), step->function});
    if (s < stages.size() && !stages[s].operations.empty())
      half.steps.push_back(Request{placed(stages[s].inputs), placed(stages[s].outputs)});
  }
  return half;
}

}  // namespace tacit::plan
