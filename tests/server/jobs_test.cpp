// SPDX-License-Identifier: Apache-2.0
// Jobs over the routes: asynchronous, idempotent, cancelled, over restarts.
#include "server/jobs.h"

#include <fstream>
#include <thread>

#include "server/application_fixture.h"

namespace tacit::server {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

class JobsTest : public PredictionTest {
 protected:
  Response submit(Fields fields = {{"Prefer", "respond-async"}}) {
    return infer(key_id_, ciphertext_, "lenet", std::move(fields));
  }
  // The job's page, once its state is one of those in which it rests.
  Json rest(const std::string& job) {
    for (int i = 0; i < 3000; ++i) {
      const Response response = get("/v2/jobs/" + job);
      EXPECT_EQ(response.status, 200) << text_of(response);
      const std::string state = json_of(response)["state"];
      if (state != "queued" && state != "running") return json_of(response);
      EXPECT_TRUE(response.fields.find("Retry-After").has_value());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "the job never rests";
    return {};
  }
  std::size_t files(const std::string& kind) {
    std::size_t count = 0;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(
             folder_.path() / "state/blobs" / std::string(kOpenTenant) / kind, none))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
};

TEST_F(JobsTest, AnAsynchronousRequestIsAJobWithAResult) {
  const Response accepted = submit();
  ASSERT_EQ(accepted.status, 202) << text_of(accepted);
  EXPECT_EQ(accepted.fields.find("Preference-Applied"), "respond-async");
  EXPECT_TRUE(accepted.fields.find("Retry-After").has_value());
  const std::string id = json_of(accepted)["job_id"];
  EXPECT_EQ(accepted.fields.find("Location"), "/v2/jobs/" + id);
  EXPECT_EQ(json_of(accepted)["model"], "lenet");
  EXPECT_EQ(json_of(accepted)["id"], "7");

  const Json page = rest(id);
  EXPECT_EQ(page["state"], "succeeded");
  EXPECT_EQ(page["progress"], 1.0);
  EXPECT_EQ(page["attempt"], 1);
  EXPECT_TRUE(page["error"].is_null());
  EXPECT_TRUE(page["ended"].is_string());
  EXPECT_EQ(page["result"], "/v2/jobs/" + id + "/result");
  const Response result = get("/v2/jobs/" + id + "/result");
  ASSERT_EQ(result.status, 200);
  expect_right(*client_, ciphertext_of(result), some_input());
  EXPECT_EQ(json_of(get("/v2/jobs"))["jobs"].size(), 1u);
  // Nothing stays of the input, which goes after the row was written; the result goes with the job.
  for (int i = 0; i < 500 && files("inputs") > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(files("inputs"), 0u);
  EXPECT_EQ(files("results"), 1u);
  EXPECT_EQ(ask(Method::kDelete, "/v2/jobs/" + id).status, 204);
  EXPECT_EQ(code_of(get("/v2/jobs/" + id)), "job.unknown");
  EXPECT_EQ(code_of(get("/v2/jobs/" + id + "/result")), "job.unknown");
  EXPECT_EQ(code_of(ask(Method::kDelete, "/v2/jobs/" + id)), "job.unknown");
  EXPECT_EQ(files("results"), 0u);
}

TEST_F(JobsTest, ResultsSurviveARestartAndUnfinishedJobsGoOn) {
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(json_of(submit())["job_id"]);
  rest(ids[0]);
  restart();  // most are queued or running
  for (const std::string& id : ids) {
    EXPECT_EQ(rest(id)["state"], "succeeded");
    expect_right(*client_, ciphertext_of(get("/v2/jobs/" + id + "/result")), some_input());
  }
  restart();
  expect_right(*client_, ciphertext_of(get("/v2/jobs/" + ids[3] + "/result")), some_input());
}

TEST_F(JobsTest, ARepeatedRequestIsAnsweredAsTheFirst) {
  const Fields key = {{"Idempotency-Key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""}};
  const Response first = submit(key);
  ASSERT_EQ(first.status, 200) << text_of(first);
  expect_right(*client_, ciphertext_of(first), some_input());
  const Response second = submit(key);
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.fields.find("Location"), first.fields.find("Location"));
  restart();
  EXPECT_EQ(submit(key).body, first.body);
  EXPECT_EQ(json_of(get("/v2/jobs"))["jobs"].size(), 1u);
  // Asked for as a job, it is the same one.
  Fields async = key;
  async.emplace_back("Prefer", "wait=5, respond-async");
  const Response job = submit(async);
  EXPECT_EQ(job.status, 202);
  EXPECT_EQ("/v2/jobs/" + json_of(job)["job_id"].get<std::string>(), first.fields.find("Location"));
  // Another body under the same key.
  ciphertext_ = client_->encrypt(some_input(), lenet().client);
  const Response other = submit(key);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(code_of(other), "idempotency.mismatch");
  EXPECT_EQ(files("inputs"), 0u);
}

TEST_F(JobsTest, ManyAtOnceUnderOneKeyAreOneJob) {
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0, in_progress = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const Response response = submit({{"Idempotency-Key", "same"}});
      if (response.status == 200) ++answered;
      if (response.status == 409 && code_of(response) == "idempotency.in-progress") ++in_progress;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(answered, 1);
  EXPECT_EQ(answered + in_progress, 8);
  EXPECT_EQ(json_of(get("/v2/jobs"))["jobs"].size(), 1u);
}

TEST_F(JobsTest, BadKeysAndPreferencesAreRefusedOrIgnored) {
  for (const std::string& key : {std::string("\"\""), std::string("a b"), std::string(256, 'x')}) {
    const Response response = submit({{"Idempotency-Key", key}});
    EXPECT_EQ(code_of(response), "request.malformed") << key;
  }
  EXPECT_EQ(submit({{"Prefer", "respond-asynchronously, wait=3"}}).status, 200);
  EXPECT_EQ(submit({{"Prefer", "RESPOND-ASYNC; x=1"}}).status, 202);
}

TEST_F(JobsTest, ACancelledJobHasNoResult) {
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(json_of(submit())["job_id"]);
  const Response response = ask(Method::kDelete, "/v2/jobs/" + ids.back());
  ASSERT_TRUE(response.status == 200 || response.status == 204);
  if (response.status == 200 && json_of(response)["state"] == "cancelled") {
    const Response result = get("/v2/jobs/" + ids.back() + "/result");
    EXPECT_EQ(result.status, 409);
    EXPECT_EQ(code_of(result), "job.cancelled");
    EXPECT_EQ(ask(Method::kDelete, "/v2/jobs/" + ids.back()).status, 204);
  }
  ids.pop_back();
  for (const std::string& id : ids) EXPECT_EQ(rest(id)["state"], "succeeded");
  for (int i = 0; i < 500 && files("inputs") > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(files("inputs"), 0u);
}

TEST_F(JobsTest, ATenantHasSoManyJobsAndNoMore) {
  options_.quota.jobs = 1000;
  options_.quota.results = 3;
  restart();
  for (int i = 0; i < 3; ++i) rest(json_of(submit())["job_id"]);
  const Response refused = submit();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code_of(refused), "quota.exceeded");
  EXPECT_EQ(files("inputs"), 0u);
  const std::string id = json_of(get("/v2/jobs"))["jobs"][0]["job_id"];
  EXPECT_EQ(ask(Method::kDelete, "/v2/jobs/" + id).status, 204);
  EXPECT_EQ(submit().status, 202);
}

TEST_F(JobsTest, AnAlteredInputFailsTheJobAndAnAlteredResultIsNotServed) {
  const std::string id = json_of(submit())["job_id"];
  rest(id);
  const auto folder = folder_.path() / "state/blobs" / std::string(kOpenTenant) / "results";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(400);
    file.put('x');
    file.put('y');
  }
  const Response result = get("/v2/jobs/" + id + "/result");
  EXPECT_EQ(result.status, 500);
  EXPECT_EQ(code_of(result), "state.corrupt");
}

TEST_F(JobsTest, AFailedJobAnswersItsError) {
  ciphertext_[ciphertext_.size() - 1] ^= 0x80;  // a residue beyond its prime, or another value
  ciphertext_[60] ^= 0xff;
  const std::string id = json_of(submit())["job_id"];
  const Json page = rest(id);
  if (page["state"] == "failed") {
    const Response result = get("/v2/jobs/" + id + "/result");
    EXPECT_EQ(page["error"]["code"], code_of(result));
    EXPECT_GE(result.status, 400);
  }
}

TEST_F(JobsTest, EventsTellOfEachStepAndEnd) {
  // Somebody else's work is before it, so that it is still queued when the stream opens.
  for (int i = 0; i < 3; ++i) submit();
  const std::string id = json_of(submit())["job_id"];
  const Response response = get("/v2/jobs/" + id + "/events");
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.fields.find("Content-Type"), "text/event-stream");
  ASSERT_NE(response.stream, nullptr);
  std::vector<std::string> events;
  while (true) {
    std::promise<std::optional<Bytes>> promise;
    response.stream->next([&](std::optional<Bytes> bytes) { promise.set_value(std::move(bytes)); });
    const auto bytes = promise.get_future().get();
    if (!bytes) break;
    events.emplace_back(as_text(*bytes));
  }
  ASSERT_GE(events.size(), 1u);
  EXPECT_TRUE(events.front().starts_with("retry: 3000\n\nid: 1\n")) << events.front();
  EXPECT_NE(
      events.back().find("event: state\ndata: {\"state\":\"succeeded\",\"layer\":null,\"progress\":1.0}\n\n"),
      std::string::npos)
      << events.back();
  // A job that has ended has one event; who has heard it already is told to stop.
  const Response late = get("/v2/jobs/" + id + "/events");
  std::size_t count = 0;
  for (bool over = false; !over; count += over ? 0 : 1)
    late.stream->next([&](const std::optional<Bytes>& bytes) { over = !bytes; });
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(ask(Method::kGet, "/v2/jobs/" + id + "/events", {}, {{"Last-Event-ID", "4"}}).status, 204);
  EXPECT_EQ(code_of(get("/v2/jobs/absent/events")), "job.unknown");
}

TEST_F(JobsTest, AStreamThatNobodyReadsAnyMoreEnds) {
  const std::string id = json_of(submit())["job_id"];
  const Response response = get("/v2/jobs/" + id + "/events");
  int ends = 0;
  response.stream->cancel();
  for (int i = 0; i < 2; ++i)
    response.stream->next([&](const std::optional<Bytes>& bytes) { ends += bytes ? 0 : 1; });
  EXPECT_EQ(ends, 2);
  rest(id);
}

TEST_F(JobsTest, InputsAreTakenOnlyWhereTheyAreAwaited) {
  const std::string id = json_of(submit())["job_id"];
  rest(id);
  const Response response = ask(Method::kPost, "/v2/jobs/" + id + "/input", ciphertext_,
                                {{"Inference-Header-Content-Length", "0"}, {"Tacit-Key-Id", key_id_}});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(code_of(response), "job.not-awaiting");
  EXPECT_EQ(code_of(ask(Method::kPost, "/v2/jobs/absent/input", ciphertext_,
                        {{"Inference-Header-Content-Length", "0"}, {"Tacit-Key-Id", key_id_}})),
            "job.unknown");
}

}  // namespace
}  // namespace tacit::server
