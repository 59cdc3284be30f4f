// SPDX-License-Identifier: Apache-2.0
// Evaluation keys: checking and reading agree, what is read is written to the same bytes, and can be used.
//
// Input: how many bytes are missing at the end, a fill byte, then the object's first bytes.
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

const test::Scheme& key_scheme() {
  static const test::Scheme made(test::make_parameters(12, 26, 22, 2, 28, 1));
  return made;
}

// The size that an object with these first bytes should have; 0 where they are of none.
std::size_t whole_key_size(ByteView bytes) {
  const ckks::Parameters& parameters = key_scheme().parameters;
  const auto header = ckks::read_key_header(bytes);
  return header.ok() && parameters.admits(header->request.shape)
             ? ckks::key_bytes(parameters, header->request.shape)
             : 0;
}

void use(const ckks::SwitchingKey& key) {
  const test::Scheme& s = key_scheme();
  ckks::Ciphertext value;
  value.scale = 0x1p20;
  for (int i = 0; i < 2; ++i) {
    value.parts.emplace_back(s.parameters.degree(), static_cast<std::size_t>(key.request.shape.level) + 1);
    value.parts.back().clear();
    value.parts.back().limb(0)[1] = 1;
  }
  ckks::EvaluationKeys keys;
  keys.insert(key);
  if (key.request.element != ckks::kRelinearisation)
    require(accepted(s.evaluator.apply_automorphism(value, key.request.element, keys)), "a key can be used");
}

TACIT_FUZZ_TARGET(key) {
  const ckks::Parameters& parameters = key_scheme().parameters;
  Input in(input);
  const std::uint8_t shorter = in.byte(), fill = in.byte();
  const ByteView begin = in.rest();
  const Bytes bytes = extended(begin, whole_key_size(begin), shorter, fill);

  const auto header = ckks::read_key_header(bytes);
  const auto checked = ckks::check_key(parameters, bytes);
  const auto whole = ckks::read_key(parameters, bytes, ckks::KeyForm::kWhole);
  const auto seeded = ckks::read_key(parameters, bytes, ckks::KeyForm::kSeeded);
  accepted(header);
  require(accepted(checked) == accepted(whole) && whole.ok() == accepted(seeded),
          "check_key says what read_key does");
  if (!whole.ok()) return;
  require(header.ok() && header->request == whole->request && header->tag == whole->tag &&
              checked->request == header->request && checked->basis == header->basis,
          "the header is the key's");
  require(ckks::write_key(parameters, *whole) == bytes && ckks::write_key(parameters, *seeded) == bytes,
          "a key has one form");
  use(*whole);
  use(*seeded);
}

}  // namespace
}  // namespace tacit::fuzz
