// SPDX-License-Identifier: Apache-2.0
// A real polynomial m of degree below N = 2n is determined by its values at zeta^e for the n exponents e = 1 mod 4,
// the others being their conjugates. There X^n = i, so m(zeta^e) = c(zeta^e) with the complex polynomial
// c_k = m_k + i m_{k+n} of degree below n: a transform of half the size.
#include "ckks/encoder.h"

#include <cmath>
#include <numbers>

#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using Complex = std::complex<double>;

struct Encoder::Tables {
  // Node i of the tree reduces modulo X^len = zeta^E(i) to its children modulo X^(len/2) = +-roots[i].
  std::vector<Complex> roots;
  // Where slot i stands in the transform's output, and whether it stands there conjugated.
  std::vector<std::uint32_t> position;
  std::vector<bool> conjugated;
};

namespace {

// Largest magnitude of a message coefficient: an exact int64 after rounding.
constexpr double kMaxCoefficient = 0x1p62;

void forward(const std::vector<Complex>& roots, std::vector<Complex>& a) {
  const std::size_t n = a.size();
  for (std::size_t blocks = 1, half = n / 2; blocks < n; blocks *= 2, half /= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const double wr = roots[blocks + block].real(), wi = roots[blocks + block].imag();
      Complex* x = a.data() + 2 * block * half;
      Complex* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        const double tr = y[i].real() * wr - y[i].imag() * wi, ti = y[i].real() * wi + y[i].imag() * wr;
        y[i] = {x[i].real() - tr, x[i].imag() - ti};
        x[i] = {x[i].real() + tr, x[i].imag() + ti};
      }
    }
  }
}

// The inverse of `forward`, times n.
void inverse(const std::vector<Complex>& roots, std::vector<Complex>& a) {
  const std::size_t n = a.size();
  for (std::size_t blocks = n / 2, half = 1; blocks >= 1; blocks /= 2, half *= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const double wr = roots[blocks + block].real(), wi = -roots[blocks + block].imag();
      Complex* x = a.data() + 2 * block * half;
      Complex* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        const double dr = x[i].real() - y[i].real(), di = x[i].imag() - y[i].imag();
        x[i] = {x[i].real() + y[i].real(), x[i].imag() + y[i].imag()};
        y[i] = {dr * wr - di * wi, dr * wi + di * wr};
      }
    }
  }
}

}  // namespace

Encoder::Encoder(const Parameters& parameters) : parameters_(parameters) {
  const std::size_t n = parameters.slots(), order = 4 * n;
  auto tables = std::make_shared<Tables>();
  std::vector<std::size_t> exponents(2 * n);
  exponents[1] = n;
  tables->roots.resize(n);
  for (std::size_t node = 1; node < n; ++node) {
    const std::size_t half = exponents[node] / 2;
    const double angle = std::numbers::pi * static_cast<double>(half) / static_cast<double>(2 * n);
    tables->roots[node] = {std::cos(angle), std::sin(angle)};
    exponents[2 * node] = half;
    exponents[2 * node + 1] = half + 2 * n;
  }
  std::vector<std::uint32_t> leaf(order);
  for (std::size_t i = 0; i < n; ++i) leaf[exponents[n + i]] = static_cast<std::uint32_t>(i);
  tables->position.resize(n);
  tables->conjugated.resize(n);
  for (std::size_t i = 0, exponent = 1; i < n; ++i, exponent = exponent * 3 % order) {
    tables->conjugated[i] = exponent % 4 != 1;
    tables->position[i] = leaf[exponent % 4 == 1 ? exponent : order - exponent];
  }
  tables_ = std::move(tables);
}

Result<std::vector<std::int64_t>> Encoder::to_coefficients(std::span<const Complex> values,
                                                           double scale) const {
  const std::size_t n = parameters_.slots();
  if (values.size() > n) {
    return Error{ErrorCode::kValueOutOfRange,
                 std::to_string(values.size()) + " values do not fit the " + std::to_string(n) + " slots"};
  }
  if (!std::isnormal(scale) || scale < 0) {
    return Error{ErrorCode::kValueOutOfRange, "a scale must be a positive finite number"};
  }
  std::vector<Complex> work(n);
  for (std::size_t i = 0; i < values.size(); ++i) {
    work[tables_->position[i]] = tables_->conjugated[i] ? std::conj(values[i]) : values[i];
  }
  inverse(tables_->roots, work);
  const double factor = scale / static_cast<double>(n);
  std::vector<std::int64_t> coefficients(2 * n);
  bool fits = true;
  for (std::size_t i = 0; i < n; ++i) {
    const double low = std::round(work[i].real() * factor), high = std::round(work[i].imag() * factor);
    // Written so that a NaN fails it.
    if (!(std::abs(low) < kMaxCoefficient && std::abs(high) < kMaxCoefficient)) {
      fits = false;
      break;
    }
    coefficients[i] = static_cast<std::int64_t>(low);
    coefficients[n + i] = static_cast<std::int64_t>(high);
  }
  if (!fits) {
    return Error{ErrorCode::kValueOutOfRange,
                 "a value is not finite, or too large for its scale: a coefficient would exceed 2^62"};
  }
  return coefficients;
}

Result<std::vector<std::int64_t>> Encoder::coefficients_at(std::span<const Complex> values, double scale,
                                                           int level) const {
  if (level < 0 || level > parameters_.max_level()) {
    return Error{ErrorCode::kLevelMismatch, "level " + std::to_string(level) +
                                                " does not exist; the highest is " +
                                                std::to_string(parameters_.max_level())};
  }
  TACIT_TRY(std::vector<std::int64_t> coefficients, to_coefficients(values, scale));
  double log_modulus = 0;
  for (int i = 0; i <= level; ++i)
    log_modulus += std::log2(static_cast<double>(parameters_.prime(i).value()));
  if (log_modulus < 63) {
    const double half = std::exp2(log_modulus - 1);
    for (std::int64_t c : coefficients) {
      if (std::abs(static_cast<double>(c)) >= half) {
        return Error{ErrorCode::kValueOutOfRange,
                     "a value times its scale exceeds half the modulus at level " + std::to_string(level) +
                         "; lower the scale or raise the level"};
      }
    }
  }
  return coefficients;
}

Result<Plaintext> Encoder::encode(std::span<const Complex> values, double scale, int level) const {
  TACIT_TRY(const std::vector<std::int64_t> coefficients, coefficients_at(values, scale, level));
  Plaintext plaintext{ring::Poly(parameters_.degree(), static_cast<std::size_t>(level) + 1), scale};
  for (int i = 0; i <= level; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const ring::Modulus& q = parameters_.prime(i);
    u64* limb = plaintext.poly.data(index);
    for (std::size_t k = 0; k < coefficients.size(); ++k) limb[k] = q.reduce_signed(coefficients[k]);
    ring::kernels().forward_ntt(parameters_.ring().ntt(index), limb, limb);
  }
  return plaintext;
}

Result<std::vector<Complex>> Encoder::repeated(std::span<const double> values) const {
  const std::size_t n = parameters_.slots();
  if (values.empty() || n % values.size() != 0) {
    return Error{ErrorCode::kValueOutOfRange,
                 "only a vector whose length divides the number of slots can be repeated"};
  }
  std::vector<Complex> slots(n);
  for (std::size_t i = 0; i < n; ++i) slots[i] = values[i % values.size()];
  return slots;
}

Result<Plaintext> Encoder::encode(std::span<const double> values, double scale, int level,
                                  bool repeat) const {
  if (!repeat) return encode(std::vector<Complex>(values.begin(), values.end()), scale, level);
  TACIT_TRY(const std::vector<Complex> slots, repeated(values));
  return encode(slots, scale, level);
}

Result<ring::CompactPoly> Encoder::encode_constant(std::span<const double> values, double scale, int level,
                                                   int special_count) const {
  const std::vector<ring::Modulus> moduli = parameters_.extended_moduli(level, special_count);
  TACIT_TRY(const std::vector<Complex> slots, repeated(values));
  TACIT_TRY(const std::vector<std::int64_t> coefficients, coefficients_at(slots, scale, level));
  ring::CompactPoly constant(parameters_.degree(), moduli);
  AlignedVector<u64> limb(parameters_.degree());
  for (std::size_t i = 0; i < moduli.size(); ++i) {
    const ring::Modulus& q = moduli[i];
    for (std::size_t k = 0; k < coefficients.size(); ++k) limb[k] = q.reduce_signed(coefficients[k]);
    ring::kernels().forward_ntt(parameters_.ring().ntt(parameters_.limb_index(level, i)), limb.data(), limb.data());
    ring::kernels().multiply_constant(q, q.shoup(q.radix()), limb.data(), limb.data(), limb.size());
    constant.store(i, limb.data());
  }
  return constant;
}

std::vector<Complex> Encoder::decode(const Plaintext& plaintext) const {
  const std::size_t n = parameters_.slots(), degree = parameters_.degree();
  const std::size_t limbs = plaintext.poly.limbs();
  ring::Poly poly = plaintext.poly;
  // h = (Q - 1) / 2 has the mixed-radix digits (q_i - 1) / 2, all in the middle of their range; adding h and subtracting
  // it again digit by digit therefore centres the number without cancellation between large doubles.
  for (std::size_t i = 0; i < limbs; ++i) {
    const ring::Modulus& q = parameters_.ring().modulus(i);
    const ring::NttTable& table = parameters_.ring().ntt(i);
    ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, poly.data(i), poly.data(i));
    u64 shift = 0, weight = 1;  // h modulo q
    for (std::size_t j = 0; j < limbs; ++j) {
      const u64 m = parameters_.ring().modulus(j).value();
      shift = q.add(shift, q.multiply(weight, q.reduce((m - 1) / 2)));
      weight = q.multiply(weight, q.reduce(m));
    }
    for (u64& x : poly.limb(i)) x = q.add(x, shift);
  }
  // Garner's mixed-radix digits, least significant first.
  for (std::size_t i = 1; i < limbs; ++i) {
    const ring::Modulus& q = parameters_.ring().modulus(i);
    for (std::size_t j = 0; j < i; ++j) {
      const ring::ShoupConstant inverse_m = q.shoup(q.inverse(parameters_.ring().modulus(j).value()));
      for (std::size_t k = 0; k < degree; ++k) {
        const u64 difference = q.subtract(poly.data(i)[k], q.reduce(poly.data(j)[k]));
        poly.data(i)[k] = q.multiply_shoup(inverse_m, difference);
      }
    }
  }
  std::vector<double> coefficients(degree);
  double weight = 1 / plaintext.scale;
  for (std::size_t i = 0; i < limbs; ++i) {
    const u64 q = parameters_.ring().modulus(i).value();
    const auto middle = static_cast<std::int64_t>((q - 1) / 2);
    for (std::size_t k = 0; k < degree; ++k) {
      coefficients[k] += static_cast<double>(static_cast<std::int64_t>(poly.data(i)[k]) - middle) * weight;
    }
    weight *= static_cast<double>(q);
  }
  std::vector<Complex> work(n);
  for (std::size_t k = 0; k < n; ++k) work[k] = {coefficients[k], coefficients[n + k]};
  forward(tables_->roots, work);
  std::vector<Complex> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Complex value = work[tables_->position[i]];
    values[i] = tables_->conjugated[i] ? std::conj(value) : value;
  }
  return values;
}

std::vector<double> Encoder::decode_real(const Plaintext& plaintext) const {
  const std::vector<Complex> values = decode(plaintext);
  std::vector<double> real(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) real[i] = values[i].real();
  return real;
}

}  // namespace tacit::ckks
