// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace tacit::server {
namespace {

Result<Config> parse(std::string_view text) {
  Config config;
  TACIT_CHECK(parse_config(text, "tacitd.toml", config));
  return config;
}

std::string trouble(std::string_view text) {
  const auto config = parse(text);
  EXPECT_FALSE(config.ok()) << text;
  if (config.ok()) return {};
  EXPECT_EQ(config.error().code, ErrorCode::kConfigInvalid);
  EXPECT_EQ(config.error().message.find('\n'), std::string::npos);
  return config.error().message;
}

TEST(Config, ReadsEveryKindOfValue) {
  const auto config = parse(R"(
[server]
models = "/srv/models"
threads = 2
[limits]
memory = "12 GiB"
key_cache = 1048576
[quota]
requests_per_second = 0.5
burst = 7
)");
  ASSERT_TRUE(config.ok()) << config.error().to_line();
  EXPECT_EQ(config->models, "/srv/models");
  EXPECT_EQ(config->threads, 2u);
  EXPECT_EQ(config->memory_bytes, std::uint64_t{12} << 30);
  EXPECT_EQ(config->key_cache_bytes, 1048576u);
  EXPECT_EQ(config->quota_requests_per_second, 0.5);
  EXPECT_EQ(config->quota_burst, 7u);
  EXPECT_EQ(config->listen, Config{}.listen) << "what the file leaves out stays";
}

TEST(Config, MistakesAreNamedByLineAndKey) {
  EXPECT_EQ(trouble("[quota]\nburts = 3\n"),
            "tacitd.toml:2: there is no key quota.burts; is quota.burst meant?");
  EXPECT_EQ(trouble("[server]\n\nthreads = \"two\"\n"),
            "tacitd.toml:3: server.threads must be an integer, not below 0");
  EXPECT_EQ(trouble("[log]\nlevel = \"loud\""),
            "tacitd.toml:2: log.level must be one of debug, info, warning, error, off");
  EXPECT_EQ(trouble("[quota]\nburst = 0"), "tacitd.toml:2: quota.burst must be between 1 and 1073741824");
  EXPECT_NE(trouble("[limits]\nmemory = \"12 GB\"").find("4 GiB"), std::string::npos);
  EXPECT_NE(trouble("[limits]\nmemory = -1").find("number of bytes"), std::string::npos);
  EXPECT_NE(trouble("[quota]\nrequests_per_second = nan").find("between 0 and"), std::string::npos);
  EXPECT_NE(trouble("threads = 3").find("outside of a section"), std::string::npos);
  EXPECT_NE(trouble("[server]\nmodels = 3").find("text in quotes"), std::string::npos);
  EXPECT_NE(trouble("[elsewhere]\nx = 3").find("--list-config"), std::string::npos);
  EXPECT_TRUE(trouble("[server\nx").starts_with("tacitd.toml:1: "));
  EXPECT_TRUE(trouble("[log]\nlevel = \"info\"\nlevel = \"info\"").starts_with("tacitd.toml:3: "));
}

// U+0280, which toml++ takes for a space and runs into undefined behaviour.
TEST(Config, OnlyStringsAndCommentsMayHaveMoreThanAscii) {
  for (const char* sound : {"# \xca\x80 it's\n[server]\nmodels = \"/\xca\x80\\\"\xca\x80\" # \xca\x80 \"\n",
                            "[server]\nmodels = '/#\xca\x80'\n"})
    EXPECT_TRUE(parse(sound).ok()) << sound;
  for (const char* wrong : {"\xca\x80 = 1", "[server]\nmodels = \xca\x80", "[server]\nmodels = \"a\"\xca\x80",
                            "[server]\nmodels = 'a\n\xca\x80"}) {
    const auto config = parse(wrong);
    ASSERT_FALSE(config.ok()) << wrong;
    EXPECT_NE(config.error().message.find("outside of ASCII"), std::string::npos) << config.error().message;
  }
  EXPECT_TRUE(trouble("\n\n\xca\x80").starts_with("tacitd.toml:3: "));
}

TEST(Config, TheEnvironmentGoesOverTheFile) {
  Config config;
  ASSERT_TRUE(parse_config("[quota]\nburst = 3\n[log]\nlevel = \"off\"", "x", config).ok());
  const std::map<std::string, std::string> variables = {{"TACITD_QUOTA_BURST", "9"},
                                                        {"TACITD_LIMITS_MEMORY", "2GiB"},
                                                        {"TACITD_QUOTA_REQUESTS_PER_SECOND", "1e2"},
                                                        {"TACITD_SERVER_STATE", "/var/lib/tacitd"}};
  const auto lookup = [&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  ASSERT_TRUE(read_environment(lookup, config).ok());
  EXPECT_EQ(config.quota_burst, 9u);
  EXPECT_EQ(config.memory_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(config.quota_requests_per_second, 100);
  EXPECT_EQ(config.state, "/var/lib/tacitd");
  EXPECT_EQ(config.log_level, "off");
  const auto wrong = read_environment(
      [](const std::string& name) -> std::optional<std::string> {
        return name == "TACITD_SERVER_THREADS" ? std::optional<std::string>("many") : std::nullopt;
      },
      config);
  ASSERT_FALSE(wrong.ok());
  EXPECT_TRUE(wrong.error().message.starts_with("TACITD_SERVER_THREADS: "));
}

TEST(Config, StrangeVariablesAreNamed) {
  const std::vector<std::string> names = {"PATH", "TACITD_QUOTA_BURST", "TACITD_LIMITS_QEUE",
                                          "TACITD_PORT_8080_TCP"};
  const std::vector<std::string> lines = strange_variables(names);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(
      lines[0],
      "TACITD_LIMITS_QEUE in the environment is no setting and is ignored; is TACITD_LIMITS_QUEUE meant?");
  EXPECT_TRUE(lines[1].ends_with("tacitd --list-config shows all of them")) << lines[1];
}

TEST(Config, WhatKeysMeanTogether) {
  Config config;
  config.models = "m";
  EXPECT_FALSE(check(config).ok());
  config.state = "s";
  EXPECT_TRUE(check(config).ok());
  config.certificate = "c.pem";
  EXPECT_FALSE(check(config).ok());
  config.private_key = "k.pem";
  EXPECT_TRUE(check(config).ok());
  config.body_bytes_in_flight = config.max_body_bytes - 1;
  EXPECT_FALSE(check(config).ok());
}

// A file of all defaults, as the documentation shows it, changes nothing.
TEST(Config, ItsOwnDefaultsCanBeRead) {
  const Config defaults;
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    SCOPED_TRACE(setting.name);
    EXPECT_TRUE(names.insert(environment_name(setting)).second);
    EXPECT_FALSE(setting.meaning.empty());
    const std::size_t dot = setting.name.find('.');
    const std::string text = "[" + std::string(setting.name.substr(0, dot)) + "]\n" +
                             std::string(setting.name.substr(dot + 1)) + " = " +
                             value_text(defaults, setting);
    const auto config = parse(text);
    ASSERT_TRUE(config.ok()) << config.error().to_line();
    EXPECT_EQ(value_text(*config, setting), value_text(defaults, setting));
  }
}

TEST(Config, SurvivesAnyText) {
  constexpr std::uint32_t kSeed = 20261126;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  std::string text;
  for (const Setting& setting : settings()) {
    const std::size_t dot = setting.name.find('.');
    text += std::string(setting.name.substr(0, dot)) + "." + std::string(setting.name.substr(dot + 1)) +
            " = " + value_text(Config{}, setting) + "\n";
  }
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string mutated = text;
    for (std::uint32_t changes = 1 + random() % 4; changes > 0; --changes)
      mutated[random() % mutated.size()] = static_cast<char>(random() % 256);
    Config config;
    refused += parse_config(mutated, "x", config).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tacit::server
