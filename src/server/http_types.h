// SPDX-License-Identifier: Apache-2.0
// Requests and responses as the routes see them: no sockets, no HTTP library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace tacit::server {

enum class Method { kGet, kPut, kPost, kDelete, kOther };

std::string_view to_string(Method method);

// Header fields in the order they came. Names compare without regard to case.
class Fields {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // The first field of this name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t size() const { return fields_.size(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);

struct RequestHead {
  Method method = Method::kGet;
  bool head_only = false;  // HEAD: treated as GET, answered without the body
  std::string target;      // as it stands in the request line
  int version = 11;        // HTTP version times 10
  Fields fields;
  std::optional<std::uint64_t> content_length;
  bool transfer_encoding = false;  // the field is there
  std::string id;                  // X-Request-Id of the answer
};

struct Response {
  int status = 200;
  Fields fields;  // without Content-Length, Connection, Date and X-Request-Id, which every answer gets
  Bytes body;
};

// The standard's phrase for a status; "Unknown" for one that this server never answers with.
std::string_view reason_phrase(int status);

// The bytes in front of the body. `date` is an IMF-fixdate (RFC 9110, section 5.6.7).
std::string serialise_head(const Response& response, std::string_view request_id, std::string_view date,
                           bool keep_alive);

// 1 to kMaxRequestIdBytes characters of A-Z, a-z, 0-9, '.', '_' and '-'.
bool is_request_id(std::string_view text);
// 16 random hexadecimal digits.
std::string make_request_id();

// A decimal number without sign, blank or leading "+"; nothing where it is none or does not fit.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace tacit::server
