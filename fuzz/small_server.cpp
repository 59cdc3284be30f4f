// SPDX-License-Identifier: Apache-2.0
#include "small_server.h"

#include <cstdlib>
#include <future>

#include "server/json.h"
#include "target.h"

namespace tacit::fuzz {

using namespace server;

namespace {

// Where there is a file system in memory nothing waits for a disk.
const bool kInMemory = std::filesystem::is_directory("/dev/shm") && ::setenv("TMPDIR", "/dev/shm", 0) == 0;

std::unique_ptr<Application> open(const std::filesystem::path& folder) {
  static const auto model = test::unwrap(runtime::Model::create(small_package()));
  ApplicationOptions options;
  options.state = folder / "state";
  options.quota.requests_per_second = 0;
  options.cores = 1;
  options.memory_bytes = std::uint64_t{1} << 30;
  options.quota.jobs = 4;
  options.quota.key_sets = 2;
  return test::unwrap(Application::create(ModelRegistry(std::vector{model}), options));
}

void require_answer(const Response& response) {
  const int status = response.status;
  require(status / 100 == 2 || status / 100 == 4 || status == 503,
          "the status " + std::to_string(status) + " of " + std::string(as_text(response.body)));
  require(reason_phrase(status) != "Unknown", "a status has a phrase");
  if (status / 100 == 2) return;
  const auto page = Json::parse(response.body.begin(), response.body.end(), nullptr, false);
  require(page.is_object() && page.contains("code") && page.contains("detail") && page["status"] == status,
          "a refusal is a problem document");
  const std::string code = page["code"], detail = page["detail"];
  require_sound({error_code_from(code), detail});
}

}  // namespace

const plan::Package& small_package() {
  static const plan::Package package = make_package("lenet");
  return package;
}

SmallServer::SmallServer() : application_(open(folder_.path())) { static_cast<void>(kInMemory); }

void SmallServer::end() {
  application_.reset();
  const auto state = test::unwrap(State::open(folder_.path() / "state"));
  const auto troubles = test::unwrap(state->check());
  require(troubles.empty(), troubles.empty() ? "" : "the state is in order: " + troubles.front());
}

Response SmallServer::ask(RequestHead head, Bytes body) {
  if (head.method != Method::kGet || !body.empty()) head.content_length = body.size();
  auto opened = application_->open(std::move(head));
  if (const auto* response = std::get_if<Response>(&opened)) {
    require_answer(*response);
    return *response;
  }
  const auto exchange = std::get<std::shared_ptr<Exchange>>(opened);
  require(exchange->body_bytes() == body.size() && exchange->prefix_bytes() <= body.size(),
          "the body is as announced");
  if (const std::size_t prefix = exchange->prefix_bytes(); prefix > 0) {
    if (const auto refusal = exchange->inspect(ByteView(body).first(prefix))) {
      require_answer(*refusal);
      return *refusal;
    }
  }
  std::promise<Response> promise;
  exchange->run(std::move(body), [&promise](Response response) { promise.set_value(std::move(response)); });
  const Response response = promise.get_future().get();
  require_answer(response);
  if (response.stream != nullptr) response.stream->cancel();
  return response;
}

}  // namespace tacit::fuzz
