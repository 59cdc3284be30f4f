// SPDX-License-Identifier: Apache-2.0
// The CKKS core against Microsoft SEAL: with one special prime and digits of one prime, every operation that SEAL has must
// give SEAL's result to the bit, whoever made the keys and the ciphertexts, and each must decrypt the other's.
// TACIT_SEAL_SEED repeats a run's programs (SEAL's keys and errors are new in each run).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <random>

#include "ckks/expand.h"
#include "ring/kernels/kernels.h"
#include "seal/oracle.h"
#include "seal/runner.h"
#include "seal/seal_format.h"
#include "support/ckks_fixture.h"

namespace tacit::seal {
namespace {

using ckks::Ciphertext;
using ckks::Parameters;
using ckks::Plaintext;
using ckks::u64;
using test::unwrap;

std::vector<ParameterSet> parameter_sets() {
  // N = 4096 has a modulus of only 106 bits, so scale and precision are lower. No slot may be off by more than the last
  // number but one.
  return {{"N4096", 12, {36, 30, 40}, true, 0x1p31, 0x1p30, 0x1p-11, 40},
          {"N8192Alternating", 13, {45, 41, 41, 41, 46}, false, 0x1p42, 0x1p38, 0x1p-20, 80},
          {"N8192Bits50", 13, {50, 50, 50, 50}, true, 0x1p46, 0x1p40, 0x1p-20, 70},
          {"N8192Small", 13, {50, 28, 28, 28, 28, 50}, true, 0x1p44, 0x1p40, 0x1p-20, 60},
          {"N16384", 14, {48, 44, 44, 44, 44, 48}, true, 0x1p44, 0x1p38, 0x1p-20, 50}};
}

u64 fresh_program_seed() {
  if (const char* text = std::getenv("TACIT_SEAL_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device()();
}

Parameters make(const ParameterSet& set) { return unwrap(Parameters::create(literal_of(set))); }

std::vector<double> real_parts(const Slots& slots) {
  std::vector<double> out;
  for (const auto& x : slots) out.push_back(x.real());
  return out;
}

std::string describe(const Program& program, const Case& test) {
  std::string text = "program seed " + std::to_string(program.seed) + ", case " + test.value.name +
                     " (seed " + std::to_string(test.seed) + "): " + to_string(test.operation);
  for (const std::string& operand : test.operands) text += " " + operand;
  return text + ", step " + std::to_string(test.step) + ", level " + std::to_string(test.value.level);
}

std::vector<const Ciphertext*> operands_of(const Case& test,
                                           const std::map<std::string, Ciphertext>& ciphertexts) {
  std::vector<const Ciphertext*> operands(test.operands.size());
  std::ranges::transform(test.operands, operands.begin(),
                         [&](const std::string& name) { return &ciphertexts.at(name); });
  return operands;
}

// What a run found, printed in one line.
struct Summary {
  std::map<std::string, int> operations;
  std::size_t encodings = 0, coefficients = 0, coefficients_off = 0;
  double largest_error = 0;

  void print(const ParameterSet& set, const Program& program, const char* direction) const {
    std::cout << "[ SEAL     ] " << set.name << ", " << direction << ": seed " << program.seed << ", "
              << program.cases.size() << " cases (";
    for (const auto& [name, count] : operations) std::cout << " " << name << " " << count;
    std::cout << " ), largest slot error 2^" << std::log2(largest_error);
    if (encodings > 0)
      std::cout << ", " << coefficients_off << " of " << coefficients << " coefficients encoded off by one";
    std::cout << "\n";
  }
};

class SealTest : public testing::TestWithParam<ParameterSet> {
 protected:
  void SetUp() override {
    if (const std::string missing = missing_oracle(); !missing.empty()) GTEST_SKIP() << missing;
  }
};

// Reads an object and checks that we write what was read.
template <class Read, class Write>
auto reread(const ExchangeFolder& folder, const std::string& name, const Read& read, const Write& write) {
  const Bytes bytes = folder.read(name);
  auto object = unwrap(read(bytes));
  EXPECT_TRUE(write(object) == bytes) << name << " is not written as SEAL wrote it";
  return object;
}

Ciphertext reread_ciphertext(const Parameters& parameters, const ExchangeFolder& folder,
                             const std::string& name) {
  return reread(
      folder, name, [&](const Bytes& bytes) { return seal::read_ciphertext(parameters, bytes); },
      [&](const Ciphertext& c) { return write_ciphertext(parameters, c); });
}

ckks::EvaluationKeys reread_keys(const Parameters& parameters, const ExchangeFolder& folder) {
  ckks::EvaluationKeys keys;
  keys.insert(reread(
      folder, "relin_keys.seal", [&](const Bytes& bytes) { return read_relin_keys(parameters, bytes); },
      [&](const ckks::SwitchingKey& key) { return write_relin_keys(parameters, key); }));
  for (ckks::SwitchingKey& key : reread(
           folder, "galois_keys.seal",
           [&](const Bytes& bytes) { return read_galois_keys(parameters, bytes); },
           [&](const auto& list) { return write_galois_keys(parameters, list); })) {
    keys.insert(std::move(key));
  }
  return keys;
}

secret::SecretKey reread_secret_key(const Parameters& parameters, const ExchangeFolder& folder) {
  return reread(
      folder, "secret_key.seal", [&](const Bytes& bytes) { return read_secret_key(parameters, bytes); },
      [&](const secret::SecretKey& key) { return write_secret_key(parameters, key); });
}

// SEAL's plaintext of these values, after a check that ours is the same but for rounding.
Plaintext compare_encoding(const ckks::Encoder& encoder, const ExchangeFolder& folder,
                           const std::string& name, const std::vector<double>& values, double scale,
                           int level, Summary& summary) {
  const Parameters& parameters = encoder.parameters();
  Plaintext seals = reread(
      folder, name, [&](const Bytes& bytes) { return read_plaintext(parameters, bytes); },
      [&](const Plaintext& plaintext) { return write_plaintext(parameters, plaintext); });
  EXPECT_EQ(seals.scale, scale);
  EXPECT_EQ(seals.level(), level);
  const auto found = difference(parameters, unwrap(encoder.encode(values, scale, level)), seals);
  EXPECT_TRUE(found.has_value()) << name << ": the encodings differ by more than a small polynomial";
  if (found) {
    EXPECT_LE(found->largest, 1) << name;
    ++summary.encodings;
    summary.coefficients += parameters.degree();
    summary.coefficients_off += found->count;
  }
  return seals;
}

// Seeded objects, and SEAL's own expansions of them.
void compare_expansions(const Parameters& parameters, const ExchangeFolder& folder) {
  auto compare = [&](const std::string& name, const auto& read, const auto& write) {
    const Bytes seeded = folder.read(name + ".seeded.seal"), expanded = folder.read(name + ".expanded.seal");
    EXPECT_LT(seeded.size(), expanded.size()) << name;
    EXPECT_TRUE(write(unwrap(read(seeded))) == expanded) << name << " is expanded to something else";
    EXPECT_TRUE(write(unwrap(read(expanded))) == expanded) << name;
  };
  compare(
      "ciphertext", [&](const Bytes& b) { return seal::read_ciphertext(parameters, b); },
      [&](const Ciphertext& c) { return write_ciphertext(parameters, c); });
  compare(
      "public_key", [&](const Bytes& b) { return read_public_key(parameters, b); },
      [&](const KeyPair& key) { return write_public_key(parameters, key); });
  compare(
      "relin_keys", [&](const Bytes& b) { return read_relin_keys(parameters, b); },
      [&](const ckks::SwitchingKey& key) { return write_relin_keys(parameters, key); });
  compare(
      "galois_keys", [&](const Bytes& b) { return read_galois_keys(parameters, b); },
      [&](const auto& keys) { return write_galois_keys(parameters, keys); });
}

TEST_P(SealTest, OurResultsOnItsObjectsAreItsOwn) {
  const ParameterSet& set = GetParam();
  const Parameters parameters = make(set);
  const Program program = random_program(set, parameters, fresh_program_seed(), {});
  SCOPED_TRACE("program seed " + std::to_string(program.seed));
  const ExchangeFolder folder;
  const Bytes parameter_bytes = write_parameters(parameters.literal());
  folder.write("parameters.seal", parameter_bytes);
  folder.write("program.json", as_bytes(to_json(set, program).dump()));
  for (const Input& input : program.inputs) {
    folder.write_numbers(input.value.name + ".f64", real_parts(input.value.slots));
  }
  for (const Case& test : program.cases) {
    if (!test.plain.empty()) folder.write_numbers(test.value.name + ".plain.f64", test.plain);
  }
  folder.run("seal_oracle.mjs");

  EXPECT_TRUE(folder.read("reloaded_parameters.seal") == parameter_bytes);
  EXPECT_EQ(unwrap(read_parameters(parameter_bytes)), parameters.literal());
  if (set.seal_primes) {
    EXPECT_TRUE(folder.read("created_parameters.seal") == parameter_bytes) << "SEAL chose other primes";
  }
  compare_expansions(parameters, folder);
  const secret::SecretKey secret_key = reread_secret_key(parameters, folder);
  const secret::KeyHolder holder = unwrap(secret::KeyHolder::create(parameters, secret_key));
  const Runner runner(parameters, reread_keys(parameters, folder));
  const ckks::Encoder encoder(parameters);
  Summary summary;
  auto check_decryption = [&](const Ciphertext& ciphertext, const Value& value) {
    const double error = largest_error(encoder.decode(unwrap(holder.decrypt(ciphertext))), value.slots);
    EXPECT_LT(error, set.max_error);
    summary.largest_error = std::max(summary.largest_error, error);
  };

  std::map<std::string, Ciphertext> seals;
  for (const Input& input : program.inputs) {
    const Value& value = input.value;
    SCOPED_TRACE("input " + value.name);
    compare_encoding(encoder, folder, value.name + ".plain.seal", real_parts(value.slots), value.scale,
                     value.level, summary);
    Ciphertext ciphertext = reread_ciphertext(parameters, folder, value.name + ".seal");
    EXPECT_EQ(ciphertext.level(), value.level);
    EXPECT_EQ(ciphertext.scale, value.scale);
    check_decryption(ciphertext, value);
    seals.emplace(value.name, std::move(ciphertext));
  }
  for (const Case& test : program.cases) {
    SCOPED_TRACE(describe(program, test));
    const std::vector<const Ciphertext*> operands = operands_of(test, seals);
    std::optional<Plaintext> plain;
    if (!test.plain.empty()) {
      plain = compare_encoding(encoder, folder, test.value.name + ".plain.seal", test.plain, test.plain_scale,
                               test.value.level, summary);
    }
    const Ciphertext ours = unwrap(runner.run(test, operands, plain ? &*plain : nullptr));
    Ciphertext result = reread_ciphertext(parameters, folder, test.value.name + ".seal");
    EXPECT_EQ(difference(ours, result), "");
    EXPECT_TRUE(write_ciphertext(parameters, ours) == folder.read(test.value.name + ".seal"));
    check_decryption(result, test.value);
    ++summary.operations[to_string(test.operation)];
    seals.emplace(test.value.name, std::move(result));
  }

  // What we encrypt under its public key, its secret key decrypts.
  const KeyPair pair = reread(
      folder, "public_key.seal", [&](const Bytes& bytes) { return read_public_key(parameters, bytes); },
      [&](const KeyPair& key) { return write_public_key(parameters, key); });
  const Value& first = program.inputs.front().value;
  const Plaintext message = unwrap(encoder.encode(first.slots, first.scale, first.level));
  check_decryption(
      ckks::encrypt(parameters, to_public_key(parameters, pair), message, unwrap(ring::fresh_seed())), first);

  // Doubles differ by far less than the rounding's unit, so that a coefficient is seldom between two integers.
  EXPECT_LT(500 * summary.coefficients_off, summary.coefficients);
  EXPECT_EQ(program.cases.size(), static_cast<std::size_t>(set.cases));
  for (int i = 0; i < kSealOperations; ++i) {
    const std::string name = to_string(static_cast<Operation>(i));
    EXPECT_GE(summary.operations[name], 2) << name << " was hardly tried";
  }
  summary.print(set, program, "SEAL's objects");
}

// Our keys in SEAL's form; steps of the program and conjugation. Also writes the secret key.
ckks::EvaluationKeys export_keys(const ExchangeFolder& folder, const Parameters& parameters,
                                 const Program& program, const secret::SecretKey& secret_key,
                                 const secret::KeyHolder& holder) {
  const ckks::KeyShape shape{parameters.max_level(), 1, 1};
  ckks::EvaluationKeys keys;
  ckks::SwitchingKey relinearisation = unwrap(holder.make_key({ckks::kRelinearisation, shape}));
  folder.write("relin_keys.seal", write_relin_keys(parameters, relinearisation));
  keys.insert(std::move(relinearisation));
  std::vector<ckks::SwitchingKey> galois;
  galois.reserve(program.rotation_steps.size() + 1);
  for (std::int64_t step : program.rotation_steps) {
    galois.push_back(unwrap(holder.make_key({ckks::rotation_element(parameters, step), shape})));
  }
  galois.push_back(unwrap(holder.make_key({ckks::conjugation_element(parameters), shape})));
  folder.write("galois_keys.seal", write_galois_keys(parameters, galois));
  for (ckks::SwitchingKey& key : galois) keys.insert(std::move(key));
  folder.write("secret_key.seal", write_secret_key(parameters, secret_key));
  folder.write("parameters.seal", write_parameters(parameters.literal()));
  return keys;
}

// Runs a program on `ours`, which holds its inputs, and writes every ciphertext for SEAL.
void run_and_export(const ExchangeFolder& folder, const ckks::Encoder& encoder, const Program& program,
                    const Runner& runner, std::map<std::string, Ciphertext>& ours) {
  const Parameters& parameters = encoder.parameters();
  for (const Case& test : program.cases) {
    SCOPED_TRACE(describe(program, test));
    const std::vector<const Ciphertext*> operands = operands_of(test, ours);
    std::optional<Plaintext> plain;
    if (!test.plain.empty()) {
      plain = unwrap(encoder.encode(test.plain, test.plain_scale, test.value.level));
      folder.write(test.value.name + ".plain.seal", write_plaintext(parameters, *plain));
    }
    ours.emplace(test.value.name, unwrap(runner.run(test, operands, plain ? &*plain : nullptr)));
  }
  for (const auto& [name, ciphertext] : ours)
    folder.write(name + ".seal", write_ciphertext(parameters, ciphertext));
}

// SEAL's verdict on every object and case; `max_error` for the slots that it decrypts.
void check_report(const ExchangeFolder& folder, const Parameters& parameters, const Program& program,
                  double max_error, Summary& summary) {
  const nlohmann::json report = nlohmann::json::parse(folder.run("seal_verify.mjs"));
  for (const auto& object : report.at("reloaded")) {
    EXPECT_TRUE(object.at("difference").is_null())
        << object.at("name") << " is written by SEAL with another byte at " << object.at("difference");
  }
  auto check_error = [&](const nlohmann::json& entry, const Value& value) {
    EXPECT_EQ(entry.at("name"), value.name);
    ASSERT_EQ(entry.at("error").is_null(), value.slots.empty());
    if (value.slots.empty()) return;
    EXPECT_LT(entry.at("error").get<double>(), max_error);
    summary.largest_error = std::max(summary.largest_error, entry.at("error").get<double>());
  };
  ASSERT_EQ(report.at("inputs").size(), program.inputs.size());
  for (std::size_t i = 0; i < program.inputs.size(); ++i) {
    SCOPED_TRACE("input " + program.inputs[i].value.name);
    check_error(report["inputs"][i], program.inputs[i].value);
  }
  ASSERT_EQ(report.at("cases").size(), program.cases.size());
  for (std::size_t i = 0; i < program.cases.size(); ++i) {
    const Case& test = program.cases[i];
    const nlohmann::json& entry = report["cases"][i];
    SCOPED_TRACE(describe(program, test));
    check_error(entry, test.value);
    EXPECT_EQ(entry.at("compared"), in_seal(test.operation));
    if (!entry.at("difference").is_null()) {
      const auto read = [&](const char* ending) {
        return unwrap(seal::read_ciphertext(parameters, folder.read(test.value.name + ending)));
      };
      ADD_FAILURE() << difference(read(".seal"), read(".by_seal.seal"));
    }
    ++summary.operations[to_string(test.operation)];
  }
}

TEST_P(SealTest, ItsResultsOnOurObjectsAreOurOwn) {
  const ParameterSet& set = GetParam();
  const Parameters parameters = make(set);
  const Program program = random_program(set, parameters, fresh_program_seed(), {true, true});
  SCOPED_TRACE("program seed " + std::to_string(program.seed));
  const ExchangeFolder folder;
  const secret::SecretKey secret_key = unwrap(secret::SecretKey::generate(set.log_degree));
  const secret::KeyHolder holder = unwrap(secret::KeyHolder::create(parameters, secret_key));
  const ckks::PublicKey public_key = unwrap(holder.make_public_key());
  const ckks::Encoder encoder(parameters);
  const Runner runner(parameters, export_keys(folder, parameters, program, secret_key, holder));

  std::map<std::string, Ciphertext> ours;
  for (const Input& input : program.inputs) {
    const Value& value = input.value;
    const Plaintext plaintext = unwrap(encoder.encode(value.slots, value.scale, value.level));
    Ciphertext& ciphertext = ours[value.name];
    if (input.public_key) {
      ciphertext = ckks::encrypt(parameters, public_key, plaintext, unwrap(ring::fresh_seed()));
    } else {
      const ckks::SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
      ciphertext = {{seeded.c0, ckks::expand_ciphertext_half(parameters, seeded.seed, value.level)},
                    seeded.scale};
    }
    folder.write_numbers(value.name + ".f64", real_parts(value.slots));
  }
  run_and_export(folder, encoder, program, runner, ours);
  for (const Case& test : program.cases)
    folder.write_numbers(test.value.name + ".f64", real_parts(test.value.slots));
  folder.write("program.json", as_bytes(to_json(set, program).dump()));

  Summary summary;
  check_report(folder, parameters, program, set.max_error, summary);
  for (const Case& test : program.cases) {
    SCOPED_TRACE(describe(program, test));
    const Slots slots = encoder.decode(unwrap(holder.decrypt(ours.at(test.value.name))));
    EXPECT_LT(largest_error(slots, test.value.slots), set.max_error);
  }
  // What SEAL encrypts under our secret key, and under a public key that it made from it, we decrypt.
  const Value& first = program.inputs.front().value;
  for (const char* name : {"back_public.seal", "back_symmetric.seal"}) {
    SCOPED_TRACE(name);
    const Ciphertext ciphertext = reread_ciphertext(parameters, folder, name);
    Slots expected;
    for (double x : real_parts(first.slots)) expected.push_back(x);
    EXPECT_LT(largest_error(encoder.decode(unwrap(holder.decrypt(ciphertext))), expected), set.max_error);
  }
  EXPECT_EQ(program.cases.size(), static_cast<std::size_t>(set.cases));
  for (int i = 0; i < kAllOperations; ++i) {
    const std::string name = to_string(static_cast<Operation>(i));
    EXPECT_GE(summary.operations[name], 1) << name << " was not tried";
  }
  summary.print(set, program, "our objects");
}

// A key whose pairs are these polynomials: no encryption of anything, but a key to the arithmetic.
ckks::SwitchingKey artificial_key(const Parameters& parameters, std::uint32_t element,
                                  const std::function<u64(std::size_t digit, u64 q)>& residue) {
  ckks::SwitchingKey key;
  key.request = {element, {parameters.max_level(), 1, 1}};
  const std::size_t digits = key.request.shape.digits();
  key.b = ring::Constants(parameters.degree(), parameters.extended_moduli(parameters.max_level(), 1), digits);
  AlignedVector<u64> words(parameters.degree());
  for (std::size_t digit = 0; digit < digits; ++digit) {
    for (std::size_t limb = 0; limb < key.b.limbs(); ++limb) {
      const ring::Modulus& q = parameters.ring().modulus(limb);
      std::ranges::fill(words, q.to_montgomery(residue(digit, q.value())));
      key.b.store(limb, digit, words.data());
    }
  }
  key.a = key.b;
  return key;
}

// Ciphertexts and keys that no encryption makes: residues at the ends of their range, and coefficients around 0, q/2 and
// q, where lazy sums overflow and roundings go wrong first.
TEST_P(SealTest, ExtremeResiduesGiveItsResults) {
  const ParameterSet& set = GetParam();
  const Parameters parameters = make(set);
  const Program program = boundary_program(parameters, 0x1p20, 4);
  const ExchangeFolder folder;
  const secret::SecretKey secret_key = unwrap(secret::SecretKey::generate(set.log_degree));
  const secret::KeyHolder holder = unwrap(secret::KeyHolder::create(parameters, secret_key));
  const ckks::Encoder encoder(parameters);
  ckks::EvaluationKeys keys = export_keys(folder, parameters, program, secret_key, holder);
  // Relinearisation sums the largest products that there are. Conjugation keeps one digit as it is, so that its
  // coefficients are what is divided by the special prime.
  const ckks::SwitchingKey largest =
      artificial_key(parameters, ckks::kRelinearisation, [](std::size_t, u64 q) { return q - 1; });
  folder.write("relin_keys.seal", write_relin_keys(parameters, largest));
  keys.insert(largest);
  const ckks::SwitchingKey galois[] = {
      unwrap(holder.make_key({ckks::rotation_element(parameters, 1), {parameters.max_level(), 1, 1}})),
      artificial_key(parameters, ckks::conjugation_element(parameters),
                     [](std::size_t digit, u64) -> u64 { return digit == 0; })};
  folder.write("galois_keys.seal", write_galois_keys(parameters, galois));
  for (const ckks::SwitchingKey& key : galois) keys.insert(key);
  const Runner runner(parameters, std::move(keys));

  std::mt19937_64 random(20);
  const u64 special = parameters.literal().special_primes.front();
  std::map<std::string, Ciphertext> ours;
  for (std::size_t i = 0; i < program.inputs.size(); ++i) {
    Ciphertext ciphertext{{}, program.inputs[i].value.scale};
    for (int part = 0; part < 2; ++part) {
      ring::Poly& poly =
          ciphertext.parts.emplace_back(parameters.degree(), parameters.literal().primes.size());
      for (std::size_t limb = 0; limb < poly.limbs(); ++limb) {
        const u64 q = parameters.ring().modulus(limb).value();
        const u64 values[] = {
            q - 1, 0, 1, q / 2, q / 2 + 1, q / 2 - 1, special / 2 % q, (special / 2 + 1) % q, q - 2};
        // The first input has q - 1 everywhere; the next two choose coefficients, the last one NTT values.
        for (u64& word : poly.limb(limb)) word = values[i == 0 ? 0 : random() % std::size(values)];
        if (i == 1 || i == 2) {
          ring::kernels().forward_ntt(parameters.ring().ntt(limb), poly.data(limb), poly.data(limb));
        }
      }
    }
    ours.emplace(program.inputs[i].value.name, std::move(ciphertext));
  }
  run_and_export(folder, encoder, program, runner, ours);
  folder.write("program.json", as_bytes(to_json(set, program).dump()));
  Summary summary;
  check_report(folder, parameters, program, 0, summary);
}

INSTANTIATE_TEST_SUITE_P(Sets, SealTest, testing::ValuesIn(parameter_sets()),
                         [](const auto& set) { return std::string(set.param.name); });

}  // namespace
}  // namespace tacit::seal
