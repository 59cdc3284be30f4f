// SPDX-License-Identifier: Apache-2.0
// SEAL's objects: whatever the readers of the cross-check take has one form, that of the writers.
//
// Input: a kind of object, then for parameters its bytes, for all others edits of a valid one: an offset of three bytes, how many bytes,
// the bytes; and at the end how many bytes are missing.
#include <functional>

#include "seal/seal_format.h"
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

constexpr std::size_t kMostEdits = 6;

const test::Scheme& seal_scheme() {
  static const test::Scheme made(test::make_parameters(12, 35, 30, 1, 40, 1));
  return made;
}

struct SealObject {
  Bytes valid;
  std::function<Result<Bytes>(ByteView)> rewrite;
};

template <class Read, class Write>
SealObject seal_object(Bytes valid, const Read& read, const Write& write) {
  return {std::move(valid), [read, write](ByteView bytes) -> Result<Bytes> {
            const ckks::Parameters& parameters = seal_scheme().parameters;
            TACIT_TRY(const auto object, read(parameters, bytes));
            return write(parameters, object);
          }};
}

std::vector<SealObject> make_seal_objects() {
  const test::Scheme& s = seal_scheme();
  const ckks::Parameters& p = s.parameters;
  const auto key = [&](std::uint32_t element) {
    return test::unwrap(s.holder.make_key({element, {1, 1, 1}}));
  };
  const auto plaintext = test::unwrap(s.encoder.encode(std::vector<double>{0.5, -0.25}, 0x1p25, 1));
  seal::KeyPair pair{ring::Poly(p.degree(), 3), ring::Poly(p.degree(), 3)};
  pair.a.clear();
  pair.b.clear();
  ckks::Ciphertext ciphertext{{pair.a.prefix(2), pair.b.prefix(2)}, 0x1p25};
  const std::vector galois = {key(3), key(ckks::conjugation_element(p))};
  return {seal_object(seal::write_plaintext(p, plaintext), seal::read_plaintext, seal::write_plaintext),
          seal_object(seal::write_ciphertext(p, ciphertext), seal::read_ciphertext, seal::write_ciphertext),
          seal_object(seal::write_secret_key(p, s.key), seal::read_secret_key, seal::write_secret_key),
          seal_object(seal::write_public_key(p, pair), seal::read_public_key, seal::write_public_key),
          seal_object(seal::write_relin_keys(p, key(ckks::kRelinearisation)), seal::read_relin_keys,
                      seal::write_relin_keys),
          seal_object(seal::write_galois_keys(p, galois), seal::read_galois_keys,
                      [](const ckks::Parameters& parameters, const std::vector<ckks::SwitchingKey>& keys) {
                        return seal::write_galois_keys(parameters, keys);
                      })};
}

TACIT_FUZZ_TARGET(seal) {
  static const std::vector<SealObject> objects = make_seal_objects();
  Input in(input);
  const std::size_t kind = in.below(objects.size() + 1);
  if (kind == objects.size()) {
    const ByteView bytes = in.rest();
    const auto literal = seal::read_parameters(bytes);
    if (accepted(literal)) {
      const Bytes again = seal::write_parameters(*literal);
      require(std::ranges::equal(again, bytes), "parameters have one form");
    }
    return;
  }
  const SealObject& object = objects[kind];
  Bytes bytes = object.valid;
  for (std::size_t i = 0; i < kMostEdits && !in.empty(); ++i) {
    const std::size_t offset = in.word(3) % bytes.size();
    const ByteView edit = in.take(1 + in.below(8));
    for (std::size_t k = 0; k < edit.size() && offset + k < bytes.size(); ++k) bytes[offset + k] = edit[k];
  }
  if (!in.empty()) bytes.resize(bytes.size() - in.below(200));
  const auto again = object.rewrite(bytes);
  if (accepted(again)) require(*again == bytes, "an object has one form");
}

}  // namespace
}  // namespace tacit::fuzz
