// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#define TOML_EXCEPTIONS 0
// What it asserts of a file's text, it looks at again, and reports.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "base/printable.h"

namespace tacit::server {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 48;
constexpr std::uint64_t kMaxSeconds = std::uint64_t{100} * 366 * 24 * 3600;

constexpr std::array<std::string_view, 5> kLevels = {"debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 2> kFormats = {"text", "json"};

using Text = Setting::Text;
using Number = Setting::Number;
using Real = Setting::Real;
using Flag = Setting::Flag;

const std::array kSettings = {
    Setting{"server.models", "Folder of compiled models (.tacit)", Text{&Config::models}},
    Setting{"server.state", "Folder that keys, jobs and tokens are kept in; made if missing",
            Text{&Config::state}},
    Setting{"server.listen",
            "HOST:PORT; port 0 takes any that is free. Without tokens only the loopback interface",
            Text{&Config::listen}},
    Setting{"server.threads", "Cores that inference may use; 0 means all", Number{&Config::threads, 0, 4096}},
    Setting{"log.level", "Least important lines that are written", Text{&Config::log_level, kLevels}},
    Setting{"log.format", "text for people, json for machines", Text{&Config::log_format, kFormats}},
    Setting{"audit.enabled", "Whether the state folder has an audit log", Flag{&Config::audit}},
    Setting{"audit.keep_bytes", "Its oldest files go where all have more; 0: none goes",
            Number{&Config::audit_keep_bytes, 0, kMaxBytes, true}},
    Setting{"tls.certificate",
            "PEM file of the certificate and its chain; without it the server speaks plain HTTP",
            Text{&Config::certificate}},
    Setting{"tls.private_key", "PEM file of the certificate's private key", Text{&Config::private_key}},
    Setting{"limits.connections", "Open connections", Number{&Config::max_connections, 1, 1 << 20}},
    Setting{"limits.connections_per_address", "Open connections of one address",
            Number{&Config::connections_per_address, 1, 1 << 20}},
    Setting{"limits.body_bytes", "Longest request body",
            Number{&Config::max_body_bytes, 1 << 16, kMaxBytes, true}},
    Setting{"limits.body_bytes_in_flight",
            "All bodies that are being received or worked on; 0: an eighth of the memory that there is",
            Number{&Config::body_bytes_in_flight, 0, kMaxBytes, true}},
    Setting{"limits.memory",
            "Memory for what runs, keys included, beside the models; 0: half of what there is",
            Number{&Config::memory_bytes, 0, kMaxBytes, true}},
    Setting{"limits.key_cache", "Memory for expanded evaluation keys; 0: an eighth of what there is",
            Number{&Config::key_cache_bytes, 0, kMaxBytes, true}},
    Setting{"limits.queue",
            "Predictions that wait for their turn; a tenant may have as many of them as are still free",
            Number{&Config::queue_length, 1, 1 << 20}},
    Setting{"limits.jobs", "Jobs of all tenants that are not finished; 0: no limit",
            Number{&Config::max_jobs, 0, 1 << 30}},
    Setting{"quota.key_bytes", "Evaluation keys of one tenant; 0: no limit",
            Number{&Config::quota_key_bytes, 0, kMaxBytes, true}},
    Setting{"quota.key_sets", "Key sets of one tenant; 0: no limit",
            Number{&Config::quota_key_sets, 0, 1 << 30}},
    Setting{"quota.jobs", "Jobs of one tenant that are not finished; 0: no limit",
            Number{&Config::quota_jobs, 0, 1 << 30}},
    Setting{"quota.results", "Finished jobs of one tenant whose results are kept; 0: no limit",
            Number{&Config::quota_results, 0, 1 << 30}},
    Setting{"quota.requests_per_second", "Requests of one tenant on average; 0: no limit",
            Real{&Config::quota_requests_per_second, 0, 1e6}},
    Setting{"quota.burst", "Requests of one tenant at once", Number{&Config::quota_burst, 1, 1 << 30}},
    Setting{"quota.inferences_per_day", "Predictions of one tenant in 24 hours; 0: no limit",
            Number{&Config::quota_inferences_per_day, 0, 1 << 30}},
    Setting{
        "privacy.flooding_bits",
        "Noise added to results is 2^this times the noise that it hides, where the precision allows it; 0: "
        "none is added",
        Number{&Config::flooding_bits, 0, 40}},
    Setting{"privacy.precision_bits",
            "Bits between the largest output and the noise that its result may have at most",
            Number{&Config::precision_bits, 1, 40}},
    Setting{"retention.results_seconds", "How long results of jobs are kept",
            Number{&Config::keep_results_seconds, 1, kMaxSeconds}},
    Setting{"retention.idle_keys_seconds",
            "Evaluation keys that nobody has used for so long are deleted; 0: never",
            Number{&Config::keep_idle_keys_seconds, 0, kMaxSeconds}},
};

// Keys and texts of the file may have any character.
Error invalid(std::string_view message) {
  return Error{ErrorCode::kConfigInvalid, printable(message, std::string::npos)};
}

const Setting* find_setting(std::string_view name) {
  const auto found = std::ranges::find(kSettings, name, &Setting::name);
  return found == kSettings.end() ? nullptr : &*found;
}

// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// What may be meant by `name`, of the names that `name_of` gives the settings.
template <class NameOf>
std::string suggestion(std::string_view name, const NameOf& name_of) {
  constexpr std::size_t kNear = 4, kLongest = 64;
  const auto apart = [&](const Setting& setting) { return distance(name_of(setting), name); };
  const auto nearest = std::ranges::min_element(kSettings, {}, apart);
  if (name.size() > kLongest || apart(*nearest) > kNear) return "tacitd --list-config shows all of them";
  return "is " + std::string(name_of(*nearest)) + " meant?";
}

// "4 GiB", "512MiB", "1048576"; nothing where it is none of these or too large.
std::optional<std::uint64_t> bytes_from(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  constexpr std::array<std::pair<std::string_view, int>, 6> kUnits = {
      {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
  const auto found = std::ranges::find(kUnits, unit, [](const auto& entry) { return entry.first; });
  if (found == kUnits.end() || number > (kMaxBytes >> found->second)) return std::nullopt;
  return number << found->second;
}

std::string real_text(double value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

Status set_text(const Setting& setting, const Text& kind, std::string value, Config& config) {
  if (!kind.allowed.empty() && std::ranges::find(kind.allowed, value) == kind.allowed.end()) {
    std::string all;
    for (std::string_view one : kind.allowed) all.append(all.empty() ? "" : ", ").append(one);
    return invalid(std::string(setting.name) + " must be one of " + all);
  }
  if (value.find('\0') != std::string::npos)
    return invalid(std::string(setting.name) + " must not have a zero byte");
  config.*kind.field = std::move(value);
  return {};
}

Status set_number(const Setting& setting, const Number& kind, std::uint64_t value, Config& config) {
  if (value < kind.least || value > kind.most)
    return invalid(std::string(setting.name) + " must be between " + std::to_string(kind.least) + " and " +
                   std::to_string(kind.most));
  config.*kind.field = value;
  return {};
}

Status set_real(const Setting& setting, const Real& kind, double value, Config& config) {
  if (!(value >= kind.least && value <= kind.most))
    return invalid(std::string(setting.name) + " must be between " + real_text(kind.least) + " and " +
                   real_text(kind.most));
  config.*kind.field = value;
  return {};
}

Status wrong_type(const Setting& setting) {
  const std::string name(setting.name);
  if (std::holds_alternative<Text>(setting.value)) return invalid(name + " must be a text in quotes");
  if (std::holds_alternative<Real>(setting.value)) return invalid(name + " must be a number");
  if (std::holds_alternative<Flag>(setting.value)) return invalid(name + " must be true or false");
  return invalid(name + (std::get<Number>(setting.value).bytes
                             ? " must be a number of bytes, or a text like \"4 GiB\""
                             : " must be an integer, not below 0"));
}

// From the environment: a text whatever the type.
Status set_from_text(const Setting& setting, const std::string& text, Config& config) {
  if (const auto* kind = std::get_if<Text>(&setting.value)) return set_text(setting, *kind, text, config);
  if (const auto* kind = std::get_if<Number>(&setting.value)) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool plain = error == std::errc() && end == text.data() + text.size();
    const auto bytes = kind->bytes ? bytes_from(text) : std::nullopt;
    if (!plain && !bytes) return wrong_type(setting);
    return set_number(setting, *kind, plain ? number : *bytes, config);
  }
  if (const auto* flag = std::get_if<Flag>(&setting.value)) {
    if (text != "true" && text != "false") return wrong_type(setting);
    config.*flag->field = text == "true";
    return {};
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return wrong_type(setting);
  return set_real(setting, std::get<Real>(setting.value), number, config);
}

Status set_from_node(const Setting& setting, const toml::node& node, Config& config) {
  if (const auto* kind = std::get_if<Text>(&setting.value)) {
    if (const auto* text = node.as_string()) return set_text(setting, *kind, text->get(), config);
  } else if (const auto* real = std::get_if<Real>(&setting.value)) {
    if (const auto* number = node.as_floating_point()) return set_real(setting, *real, number->get(), config);
    if (const auto* number = node.as_integer())
      return set_real(setting, *real, static_cast<double>(number->get()), config);
  } else if (const auto* flag = std::get_if<Flag>(&setting.value)) {
    if (const auto* truth = node.as_boolean()) {
      config.*flag->field = truth->get();
      return {};
    }
  } else {
    const Number& wanted = std::get<Number>(setting.value);
    if (const auto* number = node.as_integer(); number != nullptr && number->get() >= 0)
      return set_number(setting, wanted, static_cast<std::uint64_t>(number->get()), config);
    if (const auto* text = node.as_string(); text != nullptr && wanted.bytes)
      if (const auto bytes = bytes_from(text->get())) return set_number(setting, wanted, *bytes, config);
  }
  return wrong_type(setting);
}

std::string place(std::string_view file, const toml::source_region& source) {
  return std::string(file) + ":" + std::to_string(source.begin.line);
}

// The line, from 1, of the first character outside of ASCII that is in no string and no comment; 0 where there is none. toml++ 3.3
// asks of each whether it is a space, and for some of them that is undefined behaviour. Strings of several lines are not looked for:
// no setting has one.
std::size_t line_of_stray_character(std::string_view text) {
  std::size_t line = 1;
  char inside = 0;  // '#', or the quote that ends the string
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      inside = 0;
      ++line;
    } else if (inside == 0) {
      if (static_cast<unsigned char>(c) >= 0x80) return line;
      // In the middle of a bare value a quote begins nothing.
      const bool fresh =
          i == 0 || std::string_view("\n\r\t =[{,.").find(text[i - 1]) != std::string_view::npos;
      if (c == '#' || ((c == '"' || c == '\'') && fresh)) inside = c;
    } else if (inside == '"' && c == '\\' && i + 1 < text.size() && text[i + 1] != '\n') {
      ++i;
    } else if (inside != '#' && c == inside) {
      inside = 0;
    }
  }
  return 0;
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::string config_digest(const Config& config) {
  std::string text;
  for (const Setting& setting : kSettings)
    text.append(setting.name).append("=").append(value_text(config, setting)).append("\n");
  return to_hex(blake2b(as_bytes(text)));
}

std::string environment_name(const Setting& setting) {
  std::string name = "TACITD_";
  for (char c : setting.name)
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

std::string value_text(const Config& config, const Setting& setting) {
  if (const auto* text = std::get_if<Text>(&setting.value)) return "\"" + config.*text->field + "\"";
  if (const auto* number = std::get_if<Number>(&setting.value)) {
    const std::uint64_t value = config.*number->field;
    if (number->bytes && value >= 1 << 20 && value % (1 << 20) == 0)
      return value % (1 << 30) == 0 ? "\"" + std::to_string(value >> 30) + " GiB\""
                                    : "\"" + std::to_string(value >> 20) + " MiB\"";
    return std::to_string(value);
  }
  if (const auto* flag = std::get_if<Flag>(&setting.value)) return config.*flag->field ? "true" : "false";
  return real_text(config.*std::get<Real>(setting.value).field);
}

Status parse_config(std::string_view text, std::string_view name, Config& config) {
  if (const std::size_t line = line_of_stray_character(text); line > 0)
    return invalid(std::string(name) + ":" + std::to_string(line) +
                   ": there is a character outside of ASCII that is in no string and no comment");
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed)
    return invalid(place(name, parsed.error().source()) + ": " + std::string(parsed.error().description()));
  for (const auto& [section, content] : parsed.table()) {
    const toml::table* keys = content.as_table();
    if (keys == nullptr)
      return invalid(place(name, content.source()) + ": \"" + std::string(section.str()) +
                     "\" stands outside of a section; keys are in [server], [log], [audit], [tls], [limits], "
                     "[quota], [privacy] "
                     "and [retention]");
    for (const auto& [key, node] : *keys) {
      const std::string full = std::string(section.str()) + "." + std::string(key.str());
      const Setting* setting = find_setting(full);
      if (setting == nullptr)
        return invalid(place(name, node.source()) + ": there is no key " + full + "; " +
                       suggestion(full, [](const Setting& one) { return one.name; }));
      if (Status status = set_from_node(*setting, node, config); !status.ok())
        return std::move(status).error().within(place(name, node.source()));
    }
  }
  return {};
}

Status read_config(const std::filesystem::path& file, Config& config) {
  TACIT_TRY(const Bytes bytes, read_file(file, kMaxConfigBytes));
  return parse_config(as_text(bytes), file.string(), config);
}

Status read_environment(const Lookup& lookup, Config& config) {
  for (const Setting& setting : kSettings) {
    const std::string name = environment_name(setting);
    const auto value = lookup(name);
    if (!value) continue;
    if (Status status = set_from_text(setting, *value, config); !status.ok())
      return std::move(status).error().within(name);
  }
  return {};
}

std::vector<std::string> strange_variables(std::span<const std::string> names) {
  std::vector<std::string> lines;
  for (const std::string& name : names)
    if (name.starts_with("TACITD_") &&
        std::ranges::find(kSettings, name, environment_name) == kSettings.end())
      lines.push_back(printable(name) + " in the environment is no setting and is ignored; " +
                      suggestion(name, environment_name));
  return lines;
}

Status set_value(std::string_view name, const std::string& text, Config& config) {
  const Setting* setting = find_setting(name);
  if (setting == nullptr) return invalid("there is no key " + std::string(name));
  return set_from_text(*setting, text, config);
}

Status check(const Config& config) {
  for (const auto& [name, value] :
       {std::pair("server.models", &config.models), std::pair("server.state", &config.state)})
    if (value->empty())
      return invalid(std::string(name) +
                     " is missing; set it in the file, in the environment or on the command line");
  if (config.certificate.empty() != config.private_key.empty())
    return invalid("tls.certificate and tls.private_key must be set both or neither");
  if (config.body_bytes_in_flight > 0 && config.max_body_bytes > config.body_bytes_in_flight)
    return invalid("limits.body_bytes must not exceed limits.body_bytes_in_flight");
  return {};
}

}  // namespace tacit::server
