// SPDX-License-Identifier: Apache-2.0
// What the verbs that talk to a server have in common: where it is, and where the keys are.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "client/session.h"

namespace tacit::app {

// --keys and --passphrase-file.
struct KeyOptions {
  std::filesystem::path folder;  // empty: the default one
  std::filesystem::path passphrase_file;

  void declare(CLI::App& verb);
  // The folder named, or the default one.
  Result<client::KeyFolder> open_folder() const;
  secret::PassphraseSource passphrase() const { return {passphrase_file, "/dev/tty"}; }
};

// --server, --ca-file, --token-file and --timeout.
struct ServerOptions {
  std::string url;
  std::filesystem::path ca_file;     // empty: the system's authorities
  std::filesystem::path token_file;  // empty: $TACIT_TOKEN, or no token
  double timeout_seconds = 1800;

  // `required`: whether the verb makes no sense without a server.
  void declare(CLI::App& verb, bool required = true);
  // argument.invalid for what cannot be a token; errors of read_file and HttpClient::create.
  Result<client::Api> connect() const;

 private:
  Result<std::string> token() const;
};

// --server, --model and the rest.
struct SessionFlags {
  ServerOptions server;
  KeyOptions keys;
  std::string model;

  void declare(CLI::App& verb, bool required = true);
  // Forbids core dumps and asks the server for the model's client half, so that images can be looked at
  // before keys are made.
  struct Service {
    client::Api api;
    plan::ClientHalf half;
  };
  Result<Service> find() const;
  // Opens a session, telling on standard error what takes long. Where no passphrase can be had at all, no
  // --keys folder was named and the default one has no key, a key for this run only is used, and that is
  // said.
  Result<client::Session> open(Service service) const;
};

}  // namespace tacit::app
