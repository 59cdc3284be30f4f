// SPDX-License-Identifier: Apache-2.0
#include "ckks/parameters.h"

#include <algorithm>
#include <cmath>

namespace tacit::ckks {

struct Parameters::State {
  explicit State(ParametersLiteral l)
      : literal(std::move(l)), ring(literal.log_degree, all_primes(literal)) {}

  static std::vector<u64> all_primes(const ParametersLiteral& literal) {
    std::vector<u64> primes = literal.primes;
    primes.insert(primes.end(), literal.special_primes.begin(), literal.special_primes.end());
    return primes;
  }

  ParametersLiteral literal;
  ring::Context ring;
};

int max_log_modulus(int log_degree) {
  switch (log_degree) {
    case 10:
      return 26;
    case 11:
      return 53;
    case 12:
      return 106;
    case 13:
      return 214;
    case 14:
      return 430;
    case 15:
      return 868;
    case 16:
      return 1747;
    case 17:
      return 3523;
    default:
      return 0;
  }
}

Result<Parameters> Parameters::create(ParametersLiteral literal) {
  auto invalid = [](std::string message) { return Error{ErrorCode::kParametersInvalid, std::move(message)}; };
  if (literal.log_degree < kMinLogDegree || literal.log_degree > kMaxLogDegree) {
    return invalid("the ring degree must be 2^12 to 2^16, not 2^" + std::to_string(literal.log_degree));
  }
  if (literal.primes.empty() || literal.special_primes.empty()) {
    return invalid("the prime chain and the special primes must have at least one prime each");
  }
  if (literal.primes.size() + literal.special_primes.size() > kMaxPrimes) {
    return invalid("there are " + std::to_string(literal.primes.size() + literal.special_primes.size()) +
                   " primes where at most " + std::to_string(kMaxPrimes) + " are allowed");
  }
  std::vector<u64> all = State::all_primes(literal);
  double log_modulus = 0;
  for (u64 prime : all) {
    if (prime >= u64{1} << ring::kMaxPrimeBits || prime % (u64{2} << literal.log_degree) != 1 ||
        !ring::is_prime(prime)) {
      return invalid(std::to_string(prime) +
                     " is not a prime below 2^50 that is 1 modulo twice the ring degree");
    }
    log_modulus += std::log2(static_cast<double>(prime));
  }
  std::sort(all.begin(), all.end());
  if (std::adjacent_find(all.begin(), all.end()) != all.end()) return invalid("a prime occurs twice");
  const int limit = max_log_modulus(literal.log_degree);
  if (log_modulus > limit) {
    return Error{ErrorCode::kParametersInsecure,
                 "a modulus of " + std::to_string(static_cast<int>(std::ceil(log_modulus))) +
                     " bits exceeds the " + std::to_string(limit) +
                     " that keep 128-bit security at ring degree 2^" + std::to_string(literal.log_degree)};
  }
  Parameters parameters;
  parameters.state_ = std::make_shared<const State>(std::move(literal));
  return parameters;
}

const ParametersLiteral& Parameters::literal() const { return state_->literal; }
const ring::Context& Parameters::ring() const { return state_->ring; }

std::vector<ring::Modulus> Parameters::extended_moduli(int level, int special_count) const {
  std::vector<ring::Modulus> moduli;
  for (std::size_t i = 0; i < extended_limbs(level, special_count); ++i)
    moduli.push_back(ring().modulus(limb_index(level, i)));
  return moduli;
}

double Parameters::log_modulus() const {
  double sum = 0;
  for (u64 prime : State::all_primes(literal())) sum += std::log2(static_cast<double>(prime));
  return sum;
}

Digest Parameters::basis_digest(int level, int special_count) const {
  ByteWriter words;
  words.u64(degree());
  words.u64(static_cast<u64>(level) + 1);
  for (int i = 0; i <= level; ++i) words.u64(prime(i).value());
  for (int i = 0; i < special_count; ++i) words.u64(literal().special_primes[static_cast<std::size_t>(i)]);
  return blake2b(std::move(words).take());
}

bool Parameters::admits(const KeyShape& shape) const {
  return shape.level >= 0 && shape.level <= max_level() && shape.digit_size >= 1 &&
         shape.digit_size <= shape.level + 1 && shape.special_count >= 1 &&
         shape.special_count <= special_count();
}

}  // namespace tacit::ckks
