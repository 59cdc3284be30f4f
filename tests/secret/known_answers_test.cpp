// SPDX-License-Identifier: Apache-2.0
// What fixed seeds give, to the bit: the wire format and the arithmetic cannot change unnoticed, on no set of kernels. The
// digests in known_answers.txt are those that known_answers_test.py makes from the specification.
#include <sodium.h>

#include <cstring>
#include <fstream>
#include <map>

#include "ckks/expand.h"
#include "support/ckks_fixture.h"

namespace tacit::secret {
namespace {

using test::unwrap;

// While it lives, the operating system's randomness is replaced: the i-th draw gives bytes that are all i.
class CountedRandomness {
 public:
  CountedRandomness() {
    unwrap(ring::fresh_seed());  // libsodium draws once for itself, when it is first used
    draws_ = 0;
    static randombytes_implementation counted{};
    counted.implementation_name = [] { return "counted"; };
    counted.buf = [](void* bytes, std::size_t size) { std::memset(bytes, ++draws_, size); };
    randombytes_set_implementation(&counted);
  }
  ~CountedRandomness() { randombytes_set_implementation(&randombytes_sysrandom_implementation); }
  CountedRandomness(const CountedRandomness&) = delete;
  CountedRandomness& operator=(const CountedRandomness&) = delete;

 private:
  static inline int draws_ = 0;
};

std::map<std::string, std::string> known_answers() {
  std::ifstream file(TACIT_SOURCE_DIR "/tests/secret/known_answers.txt");
  std::map<std::string, std::string> answers;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t space = line.find(' ');
    answers[line.substr(0, space)] = line.substr(space + 1);
  }
  return answers;
}

struct KnownAnswer {
  std::string name;
  ckks::ParametersLiteral literal;
  int digit_size;
};

void PrintTo(const KnownAnswer& c, std::ostream* out) { *out << c.name; }

// Digits of one prime, the special one of the largest size, whose uniform residues reject 15 % of the words; digits of two
// and of one, by two special primes.
const KnownAnswer kCases[] = {{"one", {12, {68719403009, 1032193}, {957014920814593}}, 1},
                              {"two", {12, {1032193, 974849, 925697}, {4169729, 4120577}}, 2}};

class KnownAnswers : public testing::TestWithParam<KnownAnswer> {
 protected:
  void check(const std::string& what, ByteView bytes) {
    const std::string name = GetParam().name + "." + what;
    EXPECT_EQ(to_hex(blake2b(bytes)), answers_[name]) << name;
    answers_.erase(name);
  }
  void check(const std::string& what, const ring::Poly& poly) {
    ByteWriter words;
    for (std::size_t i = 0; i < poly.limbs(); ++i) {
      for (ring::u64 x : poly.limb(i)) words.u64(x);
    }
    check(what, std::move(words).take());
  }

  std::map<std::string, std::string> answers_ = known_answers();
};

TEST_P(KnownAnswers, AreMetToTheBit) {
  const CountedRandomness randomness;
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(GetParam().literal));
  const int level = parameters.max_level();
  const ckks::KeyShape shape{level, GetParam().digit_size, parameters.special_count()};
  const ckks::Encoder encoder(parameters);
  const ckks::Evaluator evaluator(parameters);

  ring::Seed seed;
  seed.fill(0xA5);
  const SecretKey key = unwrap(SecretKey::from_seed(12, seed));
  const KeyHolder holder = unwrap(KeyHolder::create(parameters, key));
  Bytes coefficients;
  for (std::int8_t c : key.coefficients()) coefficients.push_back(static_cast<std::uint8_t>(c));
  check("secret-key", coefficients);
  check("uniform", ckks::expand_ciphertext_half(parameters, seed, level));

  // Slot i is (step i mod modulus) / modulus - 1/2.
  const auto encode = [&](std::size_t step, std::size_t modulus) {
    std::vector<double> slots(parameters.slots());
    for (std::size_t i = 0; i < slots.size(); ++i)
      slots[i] = static_cast<double>(step * i % modulus) / static_cast<double>(modulus) - 0.5;
    return unwrap(encoder.encode(slots, 0x1p14, level));
  };
  const ckks::Plaintext x = encode(37, 101), y = encode(53, 97);
  check("plaintext", x.poly);
  const auto encrypt = [&](const ckks::Plaintext& plaintext) {
    return write_ciphertext(parameters, unwrap(holder.encrypt(plaintext)), holder.tag());
  };
  const Bytes a_bytes = encrypt(x), b_bytes = encrypt(y);
  check("seeded-ciphertext", a_bytes);
  const ckks::Ciphertext a = unwrap(read_ciphertext(parameters, a_bytes)).ciphertext,
                         b = unwrap(read_ciphertext(parameters, b_bytes)).ciphertext;

  ckks::EvaluationKeys keys;
  for (const auto& [what, element] : {std::pair{"rotation-key", ckks::rotation_element(parameters, 1)},
                                      {"relinearisation-key", ckks::kRelinearisation}}) {
    const Bytes bytes = write_key(parameters, unwrap(holder.make_key({element, shape})));
    check(what, bytes);
    keys.insert(unwrap(read_key(parameters, bytes)));
  }

  const auto check_result = [&](const std::string& what, const ckks::Ciphertext& result) {
    check(what, write_ciphertext(parameters, result, holder.tag()));
  };
  check_result("rotated", unwrap(evaluator.rotate(a, 1, keys)));
  check_result("rotated-hoisted",
               unwrap(evaluator.rotate_hoisted(unwrap(evaluator.hoist(a, shape)), 1, keys)));
  check_result("rescaled", unwrap(evaluator.rescale(a)));
  const ckks::Ciphertext product = unwrap(evaluator.multiply(a, b));
  check_result("product", unwrap(evaluator.relinearise(product, keys)));
  check_result("product-rescaled", unwrap(evaluator.relinearise_rescale(product, keys)));

  for (const auto& [name, digest] : answers_)
    EXPECT_FALSE(name.starts_with(GetParam().name + ".")) << name << " has not been computed";
}

INSTANTIATE_TEST_SUITE_P(Cases, KnownAnswers, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tacit::secret
