// SPDX-License-Identifier: Apache-2.0
// What is counted, as the metrics and the statistics of the protocol show it. monitoring_test.py reads the page with Prometheus' own
// parser.
#include "server/metrics.h"

#include <thread>

#include "server/application_fixture.h"

namespace tacit::server {
namespace {

class MetricsTest : public PredictionTest {
 protected:
  std::string page() {
    const Response response = get("/metrics");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.fields.find("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    return text_of(response);
  }
  // Of the series written so; nothing where there is none.
  std::optional<double> value(const std::string& series) {
    const std::string text = "\n" + page();
    const std::size_t at = text.find("\n" + series + " ");
    if (at == std::string::npos) return std::nullopt;
    return std::stod(text.substr(at + series.size() + 2));
  }
};

TEST_F(MetricsTest, APredictionIsCountedInEveryPlace) {
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  EXPECT_EQ(value(R"(tacit_inference_requests_total{model="lenet",outcome="success"})"), 2);
  EXPECT_EQ(value(R"(tacit_inference_compute_duration_seconds_count{model="lenet"})"), 2);
  EXPECT_EQ(value(R"(tacit_inference_queue_duration_seconds_count{model="lenet"})"), 2);
  EXPECT_EQ(value(R"(tacit_inference_keys_duration_seconds_count{model="lenet"})"), 1);
  EXPECT_EQ(value(R"(tacit_key_cache_requests_total{outcome="miss"})"), 1);
  EXPECT_EQ(value(R"(tacit_key_cache_requests_total{outcome="hit"})"), 1);
  EXPECT_GT(value("tacit_key_cache_resident_bytes").value_or(0), 0);
  const std::string text = page();
  EXPECT_NE(text.find("tacit_layer_duration_seconds_bucket{"), std::string::npos) << text;
}

TEST_F(MetricsTest, FailuresAndCancelledRunsAreTellable) {
  ciphertext_[60] ^= 0xff;  // inside of the header: other parameters
  ciphertext_[40] ^= 0xff;
  const int status = infer(key_id_, ciphertext_).status;
  ASSERT_NE(status, 200);
  const double failures =
      value(R"(tacit_inference_requests_total{model="lenet",outcome="failure"})").value_or(0);
  const Json stats = json_of(get("/v2/models/lenet/stats"))["model_stats"][0]["inference_stats"];
  EXPECT_EQ(stats["fail"]["count"], static_cast<std::uint64_t>(failures));
  EXPECT_EQ(stats["success"]["count"], 0);
}

TEST_F(MetricsTest, JobsAreCountedByState) {
  const Response accepted = infer(key_id_, ciphertext_, "lenet", {{"Prefer", "respond-async"}});
  ASSERT_EQ(accepted.status, 202);
  const std::string id = json_of(accepted)["job_id"];
  for (int i = 0; i < 3000 && json_of(get("/v2/jobs/" + id))["state"] != "succeeded"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(value(R"(tacit_jobs{state="finished"})"), 1);
  EXPECT_EQ(value(R"(tacit_jobs{state="queued"})"), 0);
  EXPECT_EQ(value(R"(tacit_inference_requests_total{model="lenet",outcome="success"})"), 1);
  // Nothing of the page tells whose they are.
  const std::string text = page();
  for (const std::string& secret : {id, key_id_, std::string(kOpenTenant)})
    EXPECT_EQ(text.find(secret), std::string::npos) << secret;
}

TEST_F(MetricsTest, RefusalsAreCountedByKind) {
  options_.quota.key_sets = 1;
  options_.quota.inferences_per_day = 1;
  options_.quota.results = 1;
  restart();
  EXPECT_EQ(value(R"(tacit_quota_refusals_total{kind="keys"})"), 0);
  const TestClient other(load(lenet())->parameters());
  EXPECT_EQ(post("/v2/keys", {{"pieces", upload(other)}}).status, 429);
  EXPECT_EQ(value(R"(tacit_quota_refusals_total{kind="keys"})"), 1);
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 429);
  EXPECT_EQ(value(R"(tacit_quota_refusals_total{kind="predictions"})"), 1);
  EXPECT_EQ(value(R"(tacit_quota_refusals_total{kind="jobs"})"), 0);
}

TEST_F(MetricsTest, WithTokensTheyTakeAScope) {
  const auto state = folder_.path() / "state";
  const NewToken reader = make_token("watcher", kScopeMetrics, "", now(), std::nullopt),
                 user = make_token("zebra", kScopeInfer | kScopeKeys, "", now(), std::nullopt);
  {
    const auto ledger = unwrap(open_ledger(state));
    ASSERT_TRUE(ledger->add_token(reader.token).ok());
    ASSERT_TRUE(ledger->add_token(user.token).ok());
  }
  restart();
  const auto as = [&](const std::string& path, const NewToken& token) {
    return ask(Method::kGet, path, {}, {{"Authorization", "Bearer " + token.text}});
  };
  for (const std::string path : {"/metrics", "/v2/models/stats", "/v2/models/lenet/stats"}) {
    EXPECT_EQ(get(path).status, 401) << path;
    EXPECT_EQ(as(path, user).status, 403) << path;
    EXPECT_EQ(as(path, reader).status, 200) << path;
  }
  const std::string text = text_of(as("/metrics", reader));
  EXPECT_NE(text.find("tacit_authentication_failures_total{reason=\"token\"} 3\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("tacit_authentication_failures_total{reason=\"scope\"} 3\n"), std::string::npos)
      << text;
  for (const std::string& name :
       {std::string("watcher"), std::string("zebra"), reader.token.id, user.token.id})
    EXPECT_EQ(text.find(name), std::string::npos) << name;
}

// The members and their order are those of the protocol's extension.
TEST_F(MetricsTest, StatisticsAreThoseOfTheProtocol) {
  const Json before = json_of(get("/v2/models/stats"))["model_stats"][0];
  EXPECT_EQ(before["inference_count"], 0);
  EXPECT_EQ(before["batch_stats"], Json::array());
  const Time start = now();
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  const Response response = get("/v2/models/lenet/versions/1/stats");
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(json_of(get("/v2/models/lenet/stats")), json_of(response));
  EXPECT_EQ(json_of(get("/v2/models/stats")), json_of(response));
  const Json stats = json_of(response)["model_stats"][0];
  std::vector<std::string> names;
  for (const auto& [name, ignored] : stats.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"name", "version", "last_inference", "inference_count",
                                             "execution_count", "inference_stats", "batch_stats"}));
  names.clear();
  for (const auto& [name, duration] : stats["inference_stats"].items()) {
    names.push_back(name);
    EXPECT_TRUE(duration["count"].is_number_unsigned() && duration["ns"].is_number_unsigned()) << name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"success", "fail", "queue", "compute_input", "compute_infer",
                                             "compute_output", "cache_hit"}));
  EXPECT_EQ(stats["name"], "lenet");
  EXPECT_EQ(stats["version"], "1");
  EXPECT_GE(stats["last_inference"].get<Time>(), start);
  EXPECT_EQ(stats["execution_count"], 2);
  EXPECT_EQ(stats["inference_count"], 2 * lenet().client.batch());
  EXPECT_EQ(stats["batch_stats"][0]["batch_size"], lenet().client.batch());
  const Json& times = stats["inference_stats"];
  EXPECT_EQ(times["success"]["count"], 2);
  EXPECT_EQ(times["fail"]["count"], 0);
  EXPECT_GT(times["compute_infer"]["ns"].get<std::uint64_t>(), 0u);
  const auto ns = [&](const char* name) { return times[name]["ns"].get<std::uint64_t>(); };
  // The parts are the whole, but for rounding to nanoseconds.
  EXPECT_NEAR(
      static_cast<double>(ns("success")),
      static_cast<double>(ns("queue") + ns("compute_input") + ns("compute_infer") + ns("compute_output")),
      10.0);
  EXPECT_EQ(code_of(get("/v2/models/resnet/stats")), "model.unknown");
  EXPECT_EQ(code_of(get("/v2/models/lenet/versions/2/stats")), "model.unknown");
}

TEST_F(MetricsTest, AStoredAnswerIsACacheHit) {
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "\"once\""}};
  EXPECT_EQ(infer(key_id_, ciphertext_, "lenet", key).status, 200);
  EXPECT_EQ(infer(key_id_, ciphertext_, "lenet", key).status, 200);
  const Json times = json_of(get("/v2/models/lenet/stats"))["model_stats"][0]["inference_stats"];
  EXPECT_EQ(times["success"]["count"], 1);
  EXPECT_EQ(times["cache_hit"]["count"], 1);
}

TEST_F(MetricsTest, RoutesAreNamedByTheirPatterns) {
  EXPECT_EQ(application_->route_of(Method::kGet, "/v2/models/lenet/ready?x=1"), "/v2/models/{model}/ready");
  EXPECT_EQ(application_->route_of(Method::kGet, "/v2/models/stats"), "/v2/models/stats");
  EXPECT_EQ(application_->route_of(Method::kGet, "/nowhere"), "");
  EXPECT_EQ(application_->route_of(Method::kDelete, "/metrics"), "");
  application_->answered(
      {application_->route_of(Method::kGet, "/v2/jobs/0123"), Method::kGet, 404, 3, 5, 0.02});
  application_->answered({"", Method::kOther, 0, 0, 0, 0.5});
  EXPECT_EQ(value(R"(tacit_http_requests_total{method="GET",route="/v2/jobs/{job}",status="404"})"), 1);
  EXPECT_EQ(value("tacit_http_response_body_bytes_total"), 5);
}

}  // namespace
}  // namespace tacit::server
