// SPDX-License-Identifier: Apache-2.0
// Everything that an operator can set, from three places, the later ones first: the command line, the environment, a TOML
// file. One table (settings()) drives reading, checking and the documentation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tacit::server {

struct Config {
  std::string models, state;
  std::string listen = "127.0.0.1:8080";
  std::uint64_t threads = 0;
  std::string log_level = "info", log_format = "text";

  bool audit = true;
  std::uint64_t audit_keep_bytes = std::uint64_t{256} << 20;

  std::string certificate, private_key;

  std::uint64_t max_connections = 256;
  std::uint64_t connections_per_address = 32;
  std::uint64_t max_body_bytes = std::uint64_t{1} << 30;
  std::uint64_t body_bytes_in_flight = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t key_cache_bytes = 0;
  std::uint64_t queue_length = 64;
  std::uint64_t max_jobs = 1024;

  std::uint64_t quota_key_bytes = std::uint64_t{8} << 30;
  std::uint64_t quota_key_sets = 64;
  std::uint64_t quota_jobs = 64;
  std::uint64_t quota_results = 256;
  double quota_requests_per_second = 50;
  std::uint64_t quota_burst = 200;
  std::uint64_t quota_inferences_per_day = 0;

  std::uint64_t flooding_bits = 20;
  std::uint64_t precision_bits = 10;

  std::uint64_t keep_results_seconds = 3600;
  std::uint64_t keep_idle_keys_seconds = std::uint64_t{90} * 24 * 3600;
};

// One key of the file: "quota.burst", which the environment calls TACITD_QUOTA_BURST.
struct Setting {
  // Of a field: what kind of value, and within which bounds.
  struct Text {
    std::string Config::*field;
    std::span<const std::string_view> allowed = {};  // or anything
  };
  struct Number {
    std::uint64_t Config::*field;
    std::uint64_t least = 0, most = ~std::uint64_t{0};
    bool bytes = false;  // may be written as "4 GiB"
  };
  struct Real {
    double Config::*field;
    double least = 0, most = 0;
  };
  struct Flag {
    bool Config::*field;
  };
  std::string_view name;
  std::string_view meaning;
  std::variant<Text, Number, Real, Flag> value;
};
std::span<const Setting> settings();
// BLAKE2b-256 of all values, in hexadecimal: two servers with the same are set alike.
std::string config_digest(const Config& config);
// "TACITD_QUOTA_BURST"
std::string environment_name(const Setting& setting);
// The value as the file would have it.
std::string value_text(const Config& config, const Setting& setting);

// Puts the file's keys into `config`. kConfigInvalid, naming file, line and key: what is no TOML, a key that there is not (with
// the one that is meant, where one is near), a value of another type or out of its bounds. kFileNotFound, kFileUnreadable.
Status read_config(const std::filesystem::path& file, Config& config);
// The same from text; `name` stands for the file's.
Status parse_config(std::string_view text, std::string_view name, Config& config);
// `lookup` answers a variable of the environment, or nothing.
using Lookup = std::function<std::optional<std::string>(const std::string&)>;
Status read_environment(const Lookup& lookup, Config& config);
// What is probably meant to be a setting, and is none: a line for each of these names that begins with TACITD_.
std::vector<std::string> strange_variables(std::span<const std::string> names);
// One value, as the command line has it. `name` must be a setting's. kConfigInvalid.
Status set_value(std::string_view name, const std::string& text, Config& config);
// What keys mean together: a certificate needs its key, and so on. kConfigInvalid.
Status check(const Config& config);

}  // namespace tacit::server
