// SPDX-License-Identifier: Apache-2.0
// A request's header from bytes. Private to http_server, as it is slow to compile.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

#include "base/result.h"
#include "server/http_types.h"

namespace tacit::server {

class HeadReader {
 public:
  HeadReader();

  enum class State { kMore, kDone, kRefused };
  // Takes from the front of `buffer` what belongs to the header. kMore: more bytes are needed; kRefused: error() says why.
  State read(boost::beast::flat_buffer& buffer);
  const Error& error() const { return *error_; }

  // After kDone.
  RequestHead head() const;
  bool client_keeps_connection() const { return parser_.keep_alive(); }
  bool expects_continue() const;

 private:
  boost::beast::http::request_parser<boost::beast::http::empty_body> parser_;
  std::optional<Error> error_;
};

}  // namespace tacit::server
