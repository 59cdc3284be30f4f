// SPDX-License-Identifier: Apache-2.0
#include "server/http_head.h"

#include <boost/beast/http/error.hpp>

#include "server/limits.h"

namespace tacit::server {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
    case http::verb::head:
      return Method::kGet;
    case http::verb::put:
      return Method::kPut;
    case http::verb::post:
      return Method::kPost;
    case http::verb::delete_:
      return Method::kDelete;
    default:
      return Method::kOther;
  }
}

}  // namespace

HeadReader::HeadReader() {
  parser_.header_limit(kMaxHeaderBytes);
  parser_.body_limit(boost::none);  // the service decides, by the route
}

HeadReader::State HeadReader::read(boost::beast::flat_buffer& buffer) {
  error_code failure;
  std::size_t taken = 1;
  while (taken > 0 && buffer.size() > 0 && !parser_.is_header_done() && !failure) {
    taken = parser_.put(buffer.data(), failure);
    buffer.consume(taken);
  }
  if (parser_.is_header_done() && !failure) return State::kDone;
  if (!failure || failure == http::error::need_more) return State::kMore;
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
    error_ = Error{ErrorCode::kHeadersTooLarge,
                   "the header has more than " + std::to_string(kMaxHeaderBytes) + " bytes"};
  } else {
    error_ = Error{ErrorCode::kRequestMalformed, "the request is not valid HTTP/1.1: " + failure.message()};
  }
  return State::kRefused;
}

RequestHead HeadReader::head() const {
  const auto& message = parser_.get();
  RequestHead head;
  head.method = method_of(message.method());
  head.head_only = message.method() == http::verb::head;
  head.target = std::string(message.target());
  head.version = static_cast<int>(message.version());
  for (const auto& field : message)
    head.fields.add(std::string(field.name_string()), std::string(field.value()));
  if (const auto length = parser_.content_length()) head.content_length = *length;
  head.transfer_encoding = message.find(http::field::transfer_encoding) != message.end();
  const auto id = head.fields.find("X-Request-Id");
  head.id = id && is_request_id(*id) ? std::string(*id) : make_request_id();
  return head;
}

bool HeadReader::expects_continue() const {
  return parser_.get().find(http::field::expect) != parser_.get().end();
}

}  // namespace tacit::server
