// SPDX-License-Identifier: Apache-2.0
// Headers of requests, from the bytes to what the application says: a header means the same however it arrives in pieces, and
// every route's plan for the body stands any field.
//
// Input: how long the pieces are, then the header.
#include <boost/asio/buffer.hpp>

#include "server/http_head.h"
#include "server/limits.h"
#include "small_server.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

struct Read {
  HeadReader::State state = HeadReader::State::kMore;
  RequestHead head;
};

Read read(ByteView bytes, std::size_t piece) {
  HeadReader reader;
  boost::beast::flat_buffer buffer(kMaxHeaderBytes + piece);
  Read result;
  while (result.state == HeadReader::State::kMore && !bytes.empty()) {
    const ByteView next = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(next.size());
    buffer.commit(
        boost::asio::buffer_copy(buffer.prepare(next.size()), boost::asio::buffer(next.data(), next.size())));
    result.state = reader.read(buffer);
    if (result.state == HeadReader::State::kMore && buffer.size() > kMaxHeaderBytes) break;
  }
  if (result.state == HeadReader::State::kRefused) require_sound(reader.error());
  if (result.state != HeadReader::State::kDone) return result;
  reader.client_keeps_connection();
  reader.expects_continue();
  result.head = reader.head();
  return result;
}

TACIT_FUZZ_TARGET(http_head) {
  static SmallServer server;
  Input in(input);
  const std::size_t piece = 1 + in.byte();
  const ByteView bytes = in.take(kMaxHeaderBytes);
  Read whole = read(bytes, kMaxHeaderBytes);
  const Read pieces = read(bytes, piece);
  require((whole.state == HeadReader::State::kDone) == (pieces.state == HeadReader::State::kDone),
          "a header is one however it arrives");
  if (whole.state != HeadReader::State::kDone) return;
  require(whole.head.target == pieces.head.target && whole.head.method == pieces.head.method &&
              whole.head.content_length == pieces.head.content_length &&
              whole.head.fields.size() == pieces.head.fields.size(),
          "it means the same");
  require(is_request_id(whole.head.id), "a request has an identifier that can be logged");

  const auto matched = server->router().match(whole.head.method, whole.head.target);
  if (const auto* refusal = std::get_if<RouteRefusal>(&matched)) require_sound(refusal->error);
  accepted(check_head(whole.head));
  const auto opened = server->open(whole.head);
  if (const auto* response = std::get_if<Response>(&opened)) {
    require(response->status / 100 == 4 || response->status == 503,
            "from the header alone nothing is answered but no");
    serialise_head(*response,
                   {whole.head.id, "Thu, 01 Jan 2026 00:00:00 GMT", true, Framing::kLength, false});
  } else {
    const auto& exchange = std::get<std::shared_ptr<Exchange>>(opened);
    require(exchange->body_bytes() == whole.head.content_length.value_or(0) &&
                exchange->body_bytes() <= kMaxBodyBytes,
            "the body is as announced");
  }
}

}  // namespace
}  // namespace tacit::fuzz
