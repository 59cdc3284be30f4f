// SPDX-License-Identifier: Apache-2.0
// The server's configuration from a file, the environment and the command line: what is taken is written as a file that says
// the same.
//
// Input: a byte, then the file (below 128), or the number of a setting and the text that it is set to.
#include <algorithm>

#include "server/config.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

// Texts that stand between plain quotes as they are.
bool is_plain(const std::string& value) {
  return std::ranges::all_of(value.substr(1, value.size() - 2),
                             [](char c) { return c >= ' ' && c < 127 && c != '"' && c != '\\'; });
}

void write_and_read(const Config& config) {
  std::string file;
  for (const Setting& setting : settings()) {
    const std::string value = value_text(config, setting);
    if (value.front() != '"' || is_plain(value)) file += std::string(setting.name) + " = " + value + "\n";
  }
  Config again;
  require(accepted(parse_config(file, "written", again)), "a configuration that was written can be read");
  for (const Setting& setting : settings()) {
    const std::string value = value_text(config, setting);
    require((value.front() == '"' && !is_plain(value)) || value_text(again, setting) == value,
            "it says the same");
  }
}

void set_one(const Setting& setting, const std::string& text) {
  Config by_name, by_environment;
  const Status named = set_value(setting.name, text, by_name);
  const Status found = read_environment(
      [&](const std::string& name) {
        return name == environment_name(setting) ? std::optional(text) : std::nullopt;
      },
      by_environment);
  require(accepted(named) == accepted(found), "the command line and the environment mean the same");
  require(value_text(by_name, setting) == value_text(by_environment, setting), "and set the same");
  accepted(check(by_name));
  write_and_read(by_name);
}

TACIT_FUZZ_TARGET(config) {
  Input in(input);
  const std::uint8_t choice = in.byte();
  const std::string text(as_text(in.rest()));
  if (choice >= 128) return set_one(settings()[choice % settings().size()], text);
  Config config;
  config.models = "models";
  config.state = "state";
  const Status read = parse_config(text, "tacitd.toml", config);
  if (!accepted(read)) return;
  accepted(check(config));
  write_and_read(config);
}

}  // namespace
}  // namespace tacit::fuzz
