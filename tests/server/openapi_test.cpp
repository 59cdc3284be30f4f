// SPDX-License-Identifier: Apache-2.0
// The routes and their description against each other.
#include <algorithm>
#include <set>

#include "server/application_fixture.h"

namespace tacit::server {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

class OpenApiTest : public ApplicationTest {
 protected:
  Json specification() { return json_of(get("/openapi.json")); }
  // Follows "$ref" within the document.
  static const Json& resolved(const Json& document, const Json& value) {
    if (!value.contains("$ref")) return value;
    return document.at(Json::json_pointer(value["$ref"].get<std::string>().substr(1)));
  }
};

TEST_F(OpenApiTest, DescribesEveryRouteAndNoOther) {
  const Json document = specification();
  EXPECT_EQ(document["openapi"], "3.1.0");
  std::set<std::string> described, routes;
  for (const auto& [path, item] : document["paths"].items())
    for (const auto& [method, operation] : item.items())
      if (method != "parameters") described.insert(method + " " + path);
  for (const Endpoint& endpoint : application_->router().endpoints())
    routes.insert(lower(to_string(endpoint.method)) + " " + endpoint.pattern);
  EXPECT_EQ(described, routes);
}

TEST_F(OpenApiTest, EveryOperationIsComplete) {
  const Json document = specification();
  std::set<std::string> names;
  std::map<std::string, const Endpoint*> endpoints;
  for (const Endpoint& endpoint : application_->router().endpoints())
    endpoints[lower(to_string(endpoint.method)) + " " + endpoint.pattern] = &endpoint;
  for (const auto& [path, item] : document["paths"].items()) {
    // Each segment in braces is a parameter.
    std::set<std::string> in_path, declared;
    for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1))
      in_path.insert(path.substr(at + 1, path.find('}', at) - at - 1));
    if (item.contains("parameters"))
      for (const Json& parameter : item["parameters"]) declared.insert(resolved(document, parameter)["name"]);
    EXPECT_EQ(in_path, declared) << path;
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      SCOPED_TRACE(method + " " + path);
      EXPECT_TRUE(names.insert(operation["operationId"]).second) << "an operationId is used twice";
      EXPECT_TRUE(operation["responses"].contains("default"));
      const Endpoint& endpoint = *endpoints.at(method + " " + path);
      EXPECT_EQ(operation.contains("requestBody"), static_cast<bool>(endpoint.plan_body));
      EXPECT_EQ(operation.contains("security") && operation["security"].empty(), endpoint.scope == 0);
    }
  }
}

TEST_F(OpenApiTest, EveryReferenceLeadsSomewhere) {
  const Json document = specification();
  const std::function<void(const Json&)> follow = [&](const Json& value) {
    if (value.is_object() && value.contains("$ref")) {
      const std::string target = value["$ref"];
      ASSERT_TRUE(target.starts_with("#/")) << target;
      EXPECT_TRUE(document.contains(Json::json_pointer(target.substr(1)))) << target;
    }
    if (value.is_structured())
      for (const Json& inner : value) follow(inner);
  };
  follow(document);
}

}  // namespace
}  // namespace tacit::server
