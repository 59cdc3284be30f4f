// SPDX-License-Identifier: Apache-2.0
#include "server/router.h"

#include <gtest/gtest.h>

namespace tacit::server {
namespace {

Router make_router() {
  Router router;
  for (const char* pattern :
       {"/v2", "/v2/models", "/v2/models/{model}", "/v2/models/{model}/versions/{version}/ready"}) {
    router.add({Method::kGet, pattern, {}, {}, {}, {}});
  }
  router.add({Method::kPost, "/v2/models/{model}/infer", {}, {}, {}, {}});
  router.add({Method::kPost, "/v2/keys", {}, {}, {}, {}});
  router.add({Method::kPut, "/v2/keys/pieces/{digest}", {}, {}, {}, {}});
  router.add({Method::kGet, "/v2/jobs/{job}", {}, {}, {}, {}});
  router.add({Method::kDelete, "/v2/jobs/{job}", {}, {}, {}, {}});
  return router;
}

// The pattern that is matched, or the error's code.
std::string matched(Method method, std::string_view target) {
  static const Router router = make_router();
  const auto result = router.match(method, target);
  if (const auto* match = std::get_if<RouteMatch>(&result)) return match->endpoint->pattern;
  return std::string(to_string(std::get<RouteRefusal>(result).error.code));
}

TEST(Router, FindsEndpointsAndTheirArguments) {
  EXPECT_EQ(matched(Method::kGet, "/v2"), "/v2");
  EXPECT_EQ(matched(Method::kGet, "/v2/models/lenet"), "/v2/models/{model}");
  EXPECT_EQ(matched(Method::kPost, "/v2/models/lenet/infer"), "/v2/models/{model}/infer");
  const Router router = make_router();
  const auto result = router.match(Method::kGet, "/v2/models/le.net/versions/7/ready");
  const auto* match = std::get_if<RouteMatch>(&result);
  ASSERT_NE(match, nullptr);
  EXPECT_EQ(match->path.get("model"), "le.net");
  EXPECT_EQ(match->path.get("version"), "7");
  EXPECT_FALSE(match->path.has("digest"));
}

TEST(Router, AcceptsQueriesAndTheAbsoluteForm) {
  EXPECT_EQ(matched(Method::kGet, "/v2/models?x=/../y"), "/v2/models");
  EXPECT_EQ(matched(Method::kGet, "http://example.org:80/v2/models/lenet?x"), "/v2/models/{model}");
  EXPECT_EQ(matched(Method::kGet, "http://example.org"), "route.unknown");
}

TEST(Router, RefusesWhatIsNoPathOfItsTable) {
  for (const char* target : {"", "/", "v2", "*", "/v2/", "//v2", "/v2//models", "/v3", "/V2", "/v2/models/",
                             "/v2/models/a/b", "/v2/../v2/x/y", "/v2/models/a/infer/", "/v2/models//infer",
                             "/v2/models/a%2Finfer/b", "/v2/keys/pieces", "/v2/keys/pieces/"}) {
    EXPECT_EQ(matched(Method::kPost, target), "route.unknown") << target;
  }
}

TEST(Router, PathsAreNotDecodedAndDotsMeanNothing) {
  const Router router = make_router();
  for (const char* name : {"..", ".", "%2e%2e", "a%2Fb", "..%2f..%2fetc%2fpasswd", "\\..\\x"}) {
    const auto result = router.match(Method::kGet, "/v2/models/" + std::string(name));
    const auto* match = std::get_if<RouteMatch>(&result);
    ASSERT_NE(match, nullptr) << name;
    EXPECT_EQ(match->path.get("model"), name);
  }
}

TEST(Router, NamesTheMethodsOfAPath) {
  const Router router = make_router();
  auto allow = [&](Method method, const char* target) {
    const auto result = router.match(method, target);
    const auto* refusal = std::get_if<RouteRefusal>(&result);
    return refusal == nullptr ? "none" : refusal->allow;
  };
  EXPECT_EQ(allow(Method::kPut, "/v2"), "GET, HEAD");
  EXPECT_EQ(allow(Method::kGet, "/v2/keys"), "POST");
  EXPECT_EQ(allow(Method::kOther, "/v2/keys/pieces/ab"), "PUT");
  EXPECT_EQ(matched(Method::kGet, "/v2/keys"), "request.method");
  EXPECT_EQ(allow(Method::kDelete, "/v2/keys"), "POST");
  EXPECT_EQ(allow(Method::kPost, "/v2/jobs/7"), "GET, HEAD, DELETE");
  EXPECT_EQ(matched(Method::kDelete, "/v2/jobs/7"), "/v2/jobs/{job}");
}

TEST(Router, PrintablePathsAreShortVisibleAscii) {
  EXPECT_EQ(printable_path("/v2/models?key=secret"), "/v2/models");
  EXPECT_EQ(printable_path("/a\tb\x80\xFF\x7F"), "/a?b???");
  EXPECT_EQ(printable_path("/" + std::string(1000, 'x')).size(), 200u);
}

}  // namespace
}  // namespace tacit::server
