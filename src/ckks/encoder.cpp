// SPDX-License-Identifier: Apache-2.0
#include "ckks/encoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ckks/embedding.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using Complex = std::complex<double>;

// What the mixed-radix digits modulo q_i need. The product of the primes before q_j is the weight of digit j.
struct DigitConstants {
  std::vector<u64> weights;            // of the digits j < i, modulo q_i in Montgomery form
  ring::ShoupConstant inverse_weight;  // of digit i, inverse modulo q_i
  u64 shift = 0;                       // (q_0 ... q_i - 1) / 2 times inverse_weight, modulo q_i
};

namespace {

// Largest magnitude of a message coefficient: an exact int64 after rounding.
constexpr double kMaxCoefficient = 0x1p62;

std::vector<DigitConstants> digit_constants(const Parameters& parameters) {
  std::vector<DigitConstants> all;
  for (int i = 0; i <= parameters.max_level(); ++i) {
    const ring::Modulus& q = parameters.prime(i);
    DigitConstants constants;
    u64 weight = 1, half = 0;
    for (int j = 0; j <= i; ++j) {
      const u64 prime = parameters.prime(j).value();
      half = q.add(half, q.multiply(weight, q.reduce((prime - 1) / 2)));
      if (j == i) break;
      constants.weights.push_back(q.to_montgomery(weight));
      weight = q.multiply(weight, q.reduce(prime));
    }
    constants.inverse_weight = q.shoup(q.inverse(weight));
    constants.shift = q.multiply_shoup(constants.inverse_weight, half);
    all.push_back(std::move(constants));
  }
  return all;
}

// A polynomial with integer coefficients, in a power of X if they are fewer than N: those between are zero.
struct Message {
  AlignedVector<double> coefficients;
  double largest = 0;  // magnitude
};

template <class T>
Result<Message> round_to_message(const Embedding& embedding, std::span<const T> slots, double scale) {
  if (!std::isnormal(scale) || scale < 0) {
    return Error{ErrorCode::kValueOutOfRange, "a scale must be a positive finite number"};
  }
  Message message{AlignedVector<double>(2 * slots.size())};
  embedding.inverse(slots, message.coefficients);
  message.largest = encoding_kernels().scale_and_round(
      message.coefficients.data(), message.coefficients.size(), scale / static_cast<double>(slots.size()));
  // Written so that a NaN fails it.
  if (!(message.largest < kMaxCoefficient)) {
    return Error{ErrorCode::kValueOutOfRange,
                 "a value is not finite, or too large for its scale: a coefficient would exceed 2^62"};
  }
  return message;
}

// The message of up to N/2 values, the other slots being zero.
template <class T>
Result<Message> message_of(const Embedding& embedding, std::span<const T> values, double scale) {
  const std::size_t n = embedding.points();
  if (values.size() > n) {
    return Error{ErrorCode::kValueOutOfRange,
                 std::to_string(values.size()) + " values do not fit the " + std::to_string(n) + " slots"};
  }
  if (values.size() == n) return round_to_message(embedding, values, scale);
  AlignedVector<T> slots(n);
  std::fill(std::copy(values.begin(), values.end(), slots.begin()), slots.end(), T{});
  return round_to_message<T>(embedding, slots, scale);
}

// The message of values that are repeated over all slots: a polynomial in a power of X, which a smaller embedding gives.
template <class T>
Result<Message> repeated_message(const Embedding& embedding, std::span<const T> values, double scale) {
  if (values.empty() || embedding.points() % values.size() != 0) {
    return Error{ErrorCode::kValueOutOfRange,
                 "only a vector whose length divides the number of slots can be repeated"};
  }
  if (values.size() >= Embedding::kMinPoints) return round_to_message(embedding, values, scale);
  std::array<T, Embedding::kMinPoints> slots;
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = values[i % values.size()];
  return round_to_message<T>(embedding, slots, scale);
}

Status check_level(const Parameters& parameters, int level) {
  if (level >= 0 && level <= parameters.max_level()) return {};
  return Error{ErrorCode::kLevelMismatch, "level " + std::to_string(level) +
                                              " does not exist; the highest is " +
                                              std::to_string(parameters.max_level())};
}

// The modulus of the level must hold the message.
Status check_fits(const Parameters& parameters, const Message& message, int level) {
  double log_modulus = 0;
  for (int i = 0; i <= level; ++i) log_modulus += std::log2(static_cast<double>(parameters.prime(i).value()));
  if (log_modulus < 63 && message.largest >= std::exp2(log_modulus - 1)) {
    return Error{ErrorCode::kValueOutOfRange, "a value times its scale exceeds half the modulus at level " +
                                                  std::to_string(level) +
                                                  "; lower the scale or raise the level"};
  }
  return {};
}

// The coefficients that may differ from zero, modulo q, as the forward transform takes them.
void lift(const Message& message, const ring::Modulus& q, u64* words) {
  const AlignedVector<double>& coefficients = message.coefficients;
  if (message.largest < kMaxReducible) {
    encoding_kernels().reduce(coefficients.data(), coefficients.size(), q.value(), words);
    return;
  }
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    words[k] = q.reduce_signed(static_cast<std::int64_t>(coefficients[k]));
  }
}

// The message in NTT form modulo the table's prime.
void transform(const Message& message, const ring::NttTable& table, u64* limb) {
  const std::size_t degree = table.degree(), count = message.coefficients.size(), stride = degree / count;
  if (stride == 1) {
    lift(message, table.modulus, limb);
  } else {
    AlignedVector<u64> words(count);
    lift(message, table.modulus, words.data());
    std::fill(limb, limb + degree, 0);
    for (std::size_t k = 0; k < count; ++k) limb[k * stride] = words[k];
  }
  ring::kernels().forward_ntt(table, limb, limb);
}

Result<Plaintext> to_plaintext(const Parameters& parameters, const Message& message, double scale,
                               int level) {
  TACIT_CHECK(check_fits(parameters, message, level));
  Plaintext plaintext{ring::Poly(parameters.degree(), static_cast<std::size_t>(level) + 1), scale};
  for (std::size_t i = 0; i < plaintext.poly.limbs(); ++i) {
    transform(message, parameters.ring().ntt(i), plaintext.poly.data(i));
  }
  return plaintext;
}

}  // namespace

struct Encoder::Tables {
  explicit Tables(const Parameters& parameters)
      : embedding(parameters.slots()), digits(digit_constants(parameters)) {}

  Embedding embedding;
  // For each prime; they do not depend on the level, as a digit is determined by the primes up to its own.
  std::vector<DigitConstants> digits;
};

Encoder::Encoder(const Parameters& parameters)
    : parameters_(parameters), tables_(std::make_shared<const Tables>(parameters)) {}

Result<std::vector<std::int64_t>> Encoder::to_coefficients(std::span<const Complex> values,
                                                           double scale) const {
  TACIT_TRY(const Message message, message_of(tables_->embedding, values, scale));
  std::vector<std::int64_t> coefficients(message.coefficients.size());
  std::ranges::transform(message.coefficients, coefficients.begin(),
                         [](double c) { return static_cast<std::int64_t>(c); });
  return coefficients;
}

Result<Plaintext> Encoder::encode(std::span<const Complex> values, double scale, int level) const {
  TACIT_CHECK(check_level(parameters_, level));
  TACIT_TRY(const Message message, message_of(tables_->embedding, values, scale));
  return to_plaintext(parameters_, message, scale, level);
}

Result<Plaintext> Encoder::encode(std::span<const double> values, double scale, int level,
                                  bool repeat) const {
  TACIT_CHECK(check_level(parameters_, level));
  TACIT_TRY(const Message message, repeat ? repeated_message(tables_->embedding, values, scale)
                                          : message_of(tables_->embedding, values, scale));
  return to_plaintext(parameters_, message, scale, level);
}

template <class T>
Status Encoder::encode_constant_of(std::span<const T> values, double scale, int level, ring::Constants& out,
                                   std::size_t row) const {
  TACIT_CHECK(check_level(parameters_, level));
  TACIT_TRY(const Message message, repeated_message(tables_->embedding, values, scale));
  TACIT_CHECK(check_fits(parameters_, message, level));
  AlignedVector<u64> limb(parameters_.degree());
  for (std::size_t i = 0; i < out.limbs(); ++i) {
    const ring::NttTable& table = parameters_.ring().ntt(parameters_.limb_index(level, i));
    const ring::Modulus& q = table.modulus;
    transform(message, table, limb.data());
    ring::kernels().multiply_constant(q, q.shoup(q.radix()), limb.data(), limb.data(), limb.size());
    out.store(i, row, limb.data());
  }
  return {};
}

Status Encoder::encode_constant(std::span<const double> values, double scale, int level, ring::Constants& out,
                                std::size_t row) const {
  return encode_constant_of(values, scale, level, out, row);
}

Status Encoder::encode_constant(std::span<const Complex> values, double scale, int level,
                                ring::Constants& out, std::size_t row) const {
  return encode_constant_of(values, scale, level, out, row);
}

// With h = (Q - 1) / 2 and its mixed-radix digits (q_i - 1) / 2, all in the middle of their range: adding h to the
// number and subtracting it again digit by digit centres the number without cancellation between large doubles.
AlignedVector<double> Encoder::to_doubles(const Plaintext& plaintext) const {
  const std::size_t degree = parameters_.degree(), limbs = plaintext.poly.limbs();
  ring::Poly residues(degree, limbs);
  for (std::size_t i = 0; i < limbs; ++i) {
    const ring::NttTable& table = parameters_.ring().ntt(i);
    ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, residues.data(i),
                                plaintext.poly.data(i));
  }
  AlignedVector<double> coefficients(degree);
  std::ranges::fill(coefficients, 0);
  // Each digit is computed from all lower ones: so many coefficients at a time that their digits stay in the cache, and
  // apart from the limbs, which lie at a power of two from each other and would compete for the same places there.
  constexpr std::size_t kBlock = 1024;
  ring::Poly digits(kBlock, limbs);
  AlignedVector<u64> sum(kBlock);
  std::vector<const u64*> lower(limbs);
  for (std::size_t i = 0; i < limbs; ++i) lower[i] = digits.data(i);
  ring::BaseConversion conversion;
  conversion.y = lower.data();
  conversion.out = sum.data();
  for (std::size_t first = 0; first < degree; first += kBlock) {
    double weight = 1 / plaintext.scale;
    for (std::size_t i = 0; i < limbs; ++i) {
      const ring::Modulus& q = parameters_.ring().modulus(i);
      const DigitConstants& constants = tables_->digits[i];
      const u64* residue = residues.data(i) + first;
      // Garner: (x - the sum of the lower digits by weight) / weight modulo q. The h is added to the quotient.
      if (i == 0) {
        std::copy(residue, residue + kBlock, digits.data(i));
      } else {
        conversion.factors = constants.weights.data();
        conversion.terms = i;
        ring::kernels().convert_base(q, conversion, kBlock);
        ring::kernels().subtract_multiply(q, constants.inverse_weight, digits.data(i), residue, sum.data(),
                                          kBlock);
      }
      encoding_kernels().add_digit({q.value(), constants.shift, (q.value() - 1) / 2, weight}, digits.data(i),
                                   coefficients.data() + first, kBlock);
      weight *= static_cast<double>(q.value());
    }
  }
  return coefficients;
}

std::vector<Complex> Encoder::decode(const Plaintext& plaintext) const {
  AlignedVector<double> coefficients = to_doubles(plaintext);
  std::vector<Complex> slots(parameters_.slots());
  tables_->embedding.forward(coefficients, slots);
  return slots;
}

std::vector<double> Encoder::decode_real(const Plaintext& plaintext) const {
  AlignedVector<double> coefficients = to_doubles(plaintext);
  std::vector<double> slots(parameters_.slots());
  tables_->embedding.forward(coefficients, slots);
  return slots;
}

}  // namespace tacit::ckks
