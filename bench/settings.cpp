// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <map>
#include <memory>
#include <random>
#include <sstream>

#include "ckks/expand.h"

namespace tacit::bench {
namespace {

ckks::Parameters make_parameters(const Setting& s) {
  ckks::ParametersLiteral literal;
  literal.log_degree = s.log_degree;
  literal.primes = ring::ntt_primes(s.log_degree, s.base_bits, 1);
  for (ring::u64 p : ring::ntt_primes(s.log_degree, s.scale_bits, static_cast<std::size_t>(s.levels)))
    literal.primes.push_back(p);
  literal.special_primes =
      ring::ntt_primes(s.log_degree, s.special_bits, static_cast<std::size_t>(s.special_count), true);
  return unwrap(ckks::Parameters::create(literal));
}

}  // namespace

std::string describe(const Setting& s) {
  std::ostringstream text;
  text << 1 + s.levels << " primes (" << s.base_bits << " and " << s.levels << " × " << s.scale_bits
       << " bits), digits of " << s.digit_size << ", special primes " << s.special_count << " × "
       << s.special_bits << " bits";
  return text.str();
}

Scheme::Scheme(const Setting& setting)
    : parameters(make_parameters(setting)),
      shape{parameters.max_level(), setting.digit_size, setting.special_count},
      scale(static_cast<double>(std::uint64_t{1} << setting.scale_bits)),
      key(unwrap(secret::SecretKey::generate(setting.log_degree))),
      holder(unwrap(secret::KeyHolder::create(parameters, key))),
      encoder(parameters),
      evaluator(parameters),
      values(parameters.slots()) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (double& value : values) value = uniform(random);
  plaintext = unwrap(encoder.encode(values, scale, level()));
  ckks::SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
  ciphertext.scale = scale;
  ciphertext.parts.push_back(std::move(seeded.c0));
  ciphertext.parts.push_back(ckks::expand_ciphertext_half(parameters, seeded.seed, level()));
}

Scheme& Scheme::of(const Setting& setting) {
  static std::map<int, std::unique_ptr<Scheme>> schemes;
  std::unique_ptr<Scheme>& scheme = schemes[setting.log_degree];
  if (!scheme) scheme = std::make_unique<Scheme>(setting);
  return *scheme;
}

void Scheme::need_key(std::uint32_t element) {
  if (!keys.find(element, level()).ok()) keys.insert(unwrap(holder.make_key({element, shape})));
}

std::size_t Scheme::key_bytes() const {
  return ckks::key_memory_bytes(parameters, shape, ckks::KeyForm::kWhole);
}

}  // namespace tacit::bench
