// SPDX-License-Identifier: Apache-2.0
#include "key_options.h"

#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "base/process.h"
#include "console.h"

namespace tacit::app {
namespace {

constexpr std::uint64_t kMaxAuthoritiesBytes = 4 << 20;
constexpr std::uint64_t kMaxTokenFileBytes = 4096;

// Whether the address is one of another machine, without TLS.
bool is_clear_text(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  if (url.starts_with("[::1]")) return false;
  const std::string_view host = url.substr(0, url.find_first_of(":/"));
  const bool loopback = host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
  return !loopback && host != "localhost";
}

// Progress of making and of uploading evaluation keys, each on a line of its own.
struct KeyProgress {
  std::optional<ProgressLine> making, uploading;

  static client::SessionEvents events(const std::shared_ptr<KeyProgress>& progress) {
    client::SessionEvents events;
    events.key_created = [](int log_degree, const std::filesystem::path& file) {
      say("made the secret key " + file.string() + " for rings of degree 2^" + std::to_string(log_degree) +
          "; keep it and its passphrase");
    };
    events.keys_made = [progress](std::size_t done, std::size_t total) {
      if (!progress->making) progress->making.emplace("making evaluation keys");
      done == total ? progress->making->finish() : progress->making->update(done, total);
    };
    events.keys_uploaded = [progress](std::uint64_t done, std::uint64_t total) {
      if (!progress->uploading)
        progress->uploading.emplace("uploading evaluation keys (" + format_bytes(total) + ")");
      done == total ? progress->uploading->finish() : progress->uploading->update_bytes(done, total);
    };
    return events;
  }
};

}  // namespace

void KeyOptions::declare(CLI::App& verb) {
  verb.add_option("--keys", folder, "Folder of your keys (default: $TACIT_HOME or ~/.local/share/tacit)");
  verb.add_option("--passphrase-file", passphrase_file,
                  "File with the passphrase of your key (default: $TACIT_PASSPHRASE, or asked)");
}

Result<client::KeyFolder> KeyOptions::open_folder() const {
  if (!folder.empty()) return client::KeyFolder(folder);
  return client::KeyFolder::default_folder();
}

void ServerOptions::declare(CLI::App& verb, bool required) {
  verb.add_option("--server", url, "The server, as https://HOST:PORT or http://HOST:PORT")
      ->required(required);
  verb.add_option("--ca-file", ca_file,
                  "PEM file of the authorities whose certificates are trusted, instead of the system's");
  verb.add_option("--token-file", token_file, "File with your token for the server (default: $TACIT_TOKEN)");
  verb.add_option("--timeout", timeout_seconds, "Seconds to wait for an answer")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
}

// Never on the command line, which every user of the machine can read.
Result<std::string> ServerOptions::token() const {
  std::string text;
  if (!token_file.empty()) {
    TACIT_TRY(const Bytes bytes, read_file(token_file, kMaxTokenFileBytes));
    text = as_text(bytes);
  } else if (const char* variable = std::getenv("TACIT_TOKEN"); variable != nullptr) {
    text = variable;
    if (text.empty()) return text;
  } else {
    return text;
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (Status status = client::check_token(text); !status.ok())
    return std::move(status).error().within(token_file.empty() ? "TACIT_TOKEN" : token_file.string());
  return text;
}

Result<client::Api> ServerOptions::connect() const {
  client::HttpOptions options;
  options.answer = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds * 1000));
  if (!ca_file.empty()) {
    TACIT_TRY(const Bytes pem, read_file(ca_file, kMaxAuthoritiesBytes));
    if (as_text(pem).find("-----BEGIN CERTIFICATE-----") == std::string_view::npos)
      return Error{ErrorCode::kInvalidArgument,
                   "--ca-file " + ca_file.string() + " has no certificate in PEM"};
    options.authorities = as_text(pem);
  }
  TACIT_TRY(options.token, token());
  if (!options.token.empty() && is_clear_text(url))
    say("warning: the token goes over the network in the clear; ask for an https:// address");
  TACIT_TRY(client::HttpClient http, client::HttpClient::create(url, options));
  return client::Api(std::move(http));
}

void SessionFlags::declare(CLI::App& verb, bool required) {
  server.declare(verb, required);
  verb.add_option("--model", model, "The model's name (see tacit models)")->required(required);
  keys.declare(verb);
}

Result<SessionFlags::Service> SessionFlags::find() const {
  TACIT_CHECK(forbid_dumps());
  TACIT_TRY(client::Api api, server.connect());
  TACIT_TRY(plan::ClientHalf half, client::fetch_client_half(api, model));
  return Service{std::move(api), std::move(half)};
}

Result<client::Session> SessionFlags::open(Service service) const {
  client::SessionOptions options;
  options.events = KeyProgress::events(std::make_shared<KeyProgress>());
  options.passphrase = keys.passphrase();
  if (keys.folder.empty() && !options.passphrase.available()) {
    auto folder = client::KeyFolder::default_folder();
    if (!folder || folder->ring_sizes().empty()) {
      say("no passphrase and no terminal to ask at: using a secret key for this run only, kept in memory; to "
          "keep one "
          "and save making and uploading evaluation keys, set TACIT_PASSPHRASE or give --passphrase-file");
      return client::Session::open(std::move(service.api), service.half, options);
    }
  }
  TACIT_TRY(options.folder, keys.open_folder());
  return client::Session::open(std::move(service.api), service.half, options);
}

}  // namespace tacit::app
