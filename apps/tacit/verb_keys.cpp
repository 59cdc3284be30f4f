// SPDX-License-Identifier: Apache-2.0
// tacit keys create | show: the secret keys in a folder. Every other verb makes the keys that it needs by
// itself.
#include "base/bytes.h"
#include "base/process.h"
#include "key_options.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct KeysOptions {
  KeyOptions keys;
  int log_degree = 0;
  bool json = false;
};

nlohmann::ordered_json describe(const client::KeyFolder& folder, const secret::SecretKey& key) {
  return {{"file", folder.key_file(key.log_degree()).string()},
          {"ring_degree", std::uint64_t{1} << key.log_degree()},
          {"tag", to_hex(ByteView(key.tag()))}};
}

void say_key(const nlohmann::ordered_json& key) {
  say(key["file"].get<std::string>() + ": ring degree " +
      std::to_string(key["ring_degree"].get<std::uint64_t>()) + ", tag " + key["tag"].get<std::string>());
}

Status create(const KeysOptions& options) {
  TACIT_CHECK(forbid_dumps());
  TACIT_TRY(client::KeyFolder folder, options.keys.open_folder());
  TACIT_TRY(secret::SecretKey key, folder.create(options.log_degree, options.keys.passphrase()));
  nlohmann::ordered_json description = describe(folder, key);
  say_key(description);
  if (options.json) print_json(description);
  return {};
}

Status show(const KeysOptions& options) {
  TACIT_CHECK(forbid_dumps());
  TACIT_TRY(client::KeyFolder folder, options.keys.open_folder());
  auto keys = nlohmann::ordered_json::array();
  for (int log_degree : folder.ring_sizes()) {
    // The key's tag is derived from the seed, so that showing it also proves that the file opens.
    TACIT_TRY(secret::SecretKey key, folder.open(log_degree, options.keys.passphrase()));
    keys.push_back(describe(folder, key));
    say_key(keys.back());
  }
  if (keys.empty()) say("there are no keys in " + folder.path().string());
  if (options.json) print_json({{"folder", folder.path().string()}, {"keys", std::move(keys)}});
  return {};
}

}  // namespace

void add_keys(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("keys", "Make and look at your secret keys");
  verb->require_subcommand(1);
  auto options = std::make_shared<KeysOptions>();

  CLI::App* creating = verb->add_subcommand("create", "Make a secret key for one ring size");
  creating
      ->add_option("--log-degree", options->log_degree, "Logarithm to base 2 of the ring degree, 12 to 16")
      ->required()
      ->check(CLI::Range(ckks::kMinLogDegree, ckks::kMaxLogDegree));
  CLI::App* showing = verb->add_subcommand("show", "List the keys: file, ring degree, tag");
  for (CLI::App* one : {creating, showing}) {
    options->keys.declare(*one);
    one->add_flag("--json", options->json, "Print them as one JSON object");
  }
  when_chosen(*creating, context, options, create);
  when_chosen(*showing, context, options, show);
}

}  // namespace tacit::app
