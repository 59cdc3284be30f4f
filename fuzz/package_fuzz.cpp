// SPDX-License-Identifier: Apache-2.0
// Compiled models: what is read can be written and read again, keeps what the plan's own check says, and becomes a model.
//
// Input: a byte, then a whole file without its digest (byte 0), or the client half with a length of two bytes in front, the
// record likewise, and the server half, which are put into a file with the right lengths. The digest is always made anew.
#include "base/digest.h"
#include "runtime/model.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

constexpr std::string_view kMagic = "TACITPKG";
constexpr std::uint32_t kVersion = 4;

Bytes with_digest(Bytes file) {
  const Digest digest = blake2b(file);
  file.insert(file.end(), digest.begin(), digest.end());
  return file;
}

Bytes put_together(Input& in) {
  const ByteView client = in.blob(), record = in.blob(), server = in.rest();
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  out.u32(kVersion);
  for (const ByteView part : {client, server, record}) {
    out.u64(part.size());
    out.raw(part);
  }
  return std::move(out).take();
}

// Whether encoding all diagonals takes no more than a moment.
bool is_small(const plan::Plan& plan) {
  std::size_t work = plan.operations.size();
  for (const plan::LinearMap& map : plan.maps) {
    const auto size = [](const plan::Shape& shape) {
      return static_cast<std::size_t>(shape.channels) * static_cast<std::size_t>(shape.height) *
             static_cast<std::size_t>(shape.width);
    };
    work += size(map.in) * size(map.out);
  }
  return plan.parameters.log_degree <= 13 && work <= 1024;
}

TACIT_FUZZ_TARGET(package) {
  Input in(input);
  const bool whole = in.byte() == 0;
  const ByteView rest = whole ? in.rest() : ByteView();
  const Bytes file = with_digest(whole ? Bytes(rest.begin(), rest.end()) : put_together(in));

  auto read = plan::read_package(file);
  if (!accepted(read)) return;
  require(read->plan.validate().ok() && plan::validate(read->client).ok(), "a package has been checked");
  const Bytes written = plan::write_package(*read);
  const auto again = plan::read_package(written);
  require(again.ok() && plan::write_package(*again) == written, "a package that was written can be read");
  if (!is_small(read->plan)) return;
  const auto model = runtime::Model::create(std::move(*read));
  if (accepted(model))
    require((*model)->memory_bytes() > 0 || (*model)->plan().maps.empty(), "a model has its maps");
}

}  // namespace
}  // namespace tacit::fuzz
