// SPDX-License-Identifier: Apache-2.0
// Ciphertexts, fresh and computed: what is read is written to the same bytes again, and can be computed with.
//
// Input: two operations, how many bytes are missing at the end, a fill byte, then the object's first bytes.
#include <cmath>
#include <memory>

#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

const test::Scheme& scheme() {
  static const auto made = [] {
    auto s = std::make_unique<test::Scheme>(test::make_parameters(12, 26, 22, 2, 28, 1));
    s->add_rotation(1, {2, 1, 1});
    s->add_key(ckks::kRelinearisation, {2, 1, 1});
    return s;
  }();
  return *made;
}

// Where the kind and the level stand (protocol/bytes.md).
constexpr std::size_t kKindAt = 4, kLevelAt = 25;

// The size that an object with these first bytes should have; 0 where they are of none.
std::size_t whole_size(ByteView bytes) {
  const ckks::Parameters& parameters = scheme().parameters;
  if (bytes.size() <= kLevelAt || bytes[kLevelAt] > parameters.max_level()) return 0;
  return bytes[kKindAt] == 1 ? ckks::seeded_ciphertext_bytes(parameters, bytes[kLevelAt])
                             : ckks::ciphertext_bytes(parameters, bytes[kLevelAt]);
}

Result<ckks::Ciphertext> operate(const ckks::Ciphertext& a, std::uint8_t choice) {
  const ckks::Evaluator& evaluator = scheme().evaluator;
  const ckks::EvaluationKeys& keys = scheme().keys;
  switch (choice % 10) {
    case 0:
      return evaluator.add(a, a);
    case 1:
      return evaluator.subtract(a, a);
    case 2:
      return evaluator.negate(a);
    case 3: {
      TACIT_TRY(const ckks::Ciphertext square, evaluator.square(a));
      return evaluator.relinearise(square, keys);
    }
    case 4:
      return evaluator.rescale(a);
    case 5:
      return evaluator.drop(a, choice / 10 - 3);
    case 6:
      return evaluator.rotate(a, choice / 10 % 2, keys);
    case 7:
      return evaluator.add_scalar(a, choice - 100.5);
    case 8:
      return evaluator.multiply_scalar(a, choice - 100.5, 0x1p20);
    default:
      return evaluator.conjugate(a, keys);
  }
}

TACIT_FUZZ_TARGET(ciphertext) {
  const ckks::Parameters& parameters = scheme().parameters;
  Input in(input);
  const std::uint8_t choices[] = {in.byte(), in.byte()};
  const std::uint8_t shorter = in.byte(), fill = in.byte();
  const ByteView begin = in.rest();
  const Bytes bytes = extended(begin, whole_size(begin), shorter, fill);

  auto read = ckks::read_ciphertext(parameters, bytes);
  if (!accepted(read)) return;
  const Bytes written = ckks::write_ciphertext(parameters, read->ciphertext, read->tag);
  const auto again = ckks::read_ciphertext(parameters, written);
  require(again.ok() && again->tag == read->tag, "a ciphertext that was written can be read");
  require(ckks::write_ciphertext(parameters, again->ciphertext, again->tag) == written,
          "twice the same bytes");
  const int level = read->ciphertext.level();
  require(bytes.size() == ckks::seeded_ciphertext_bytes(parameters, level) || bytes == written,
          "a computed ciphertext has one form");

  ckks::Ciphertext value = std::move(read->ciphertext);
  for (const std::uint8_t choice : choices) {
    auto result = operate(value, choice);
    if (!accepted(result)) return;
    value = std::move(result).value();
    if (value.size() == 2 && std::isnormal(value.scale))
      require(
          accepted(ckks::read_ciphertext(parameters, ckks::write_ciphertext(parameters, value, again->tag))),
          "a result is a ciphertext");
  }
}

}  // namespace
}  // namespace tacit::fuzz
