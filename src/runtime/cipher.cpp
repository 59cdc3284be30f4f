// SPDX-License-Identifier: Apache-2.0
#include "runtime/cipher.h"

#include <algorithm>

#include "runtime/clear.h"

namespace tacit::runtime {

using ckks::Ciphertext;

namespace {

// How many special primes the keys of the babies and giants have, which a valid plan's share; 1 where there are none.
int special_count(const plan::Plan& plan, const ckks::Parameters& parameters, const ckks::Bsgs& bsgs) {
  auto count_of = [&](std::int64_t step) {
    const std::uint32_t element = ckks::rotation_element(parameters, step);
    const auto key = std::ranges::find(plan.keys, element, &ckks::KeyRequest::element);
    return step == 0 || key == plan.keys.end() ? 0 : key->shape.special_count;
  };
  int count = 1;
  for (std::int64_t baby : bsgs.babies) count = std::max(count, count_of(baby));
  for (const ckks::BsgsGroup& group : bsgs.groups) count = std::max(count, count_of(group.giant));
  return count;
}

Result<EncodedLinear> encode(const plan::Plan& plan, const ckks::Encoder& encoder,
                             const plan::Linear& operation) {
  const plan::Value& in = plan.values[operation.input];
  const plan::Value& out = plan.values[operation.output];
  PreparedLinear prepared = prepare_linear(plan, operation);
  std::vector<ckks::LinearTransform::Group> groups;
  std::size_t next = 0;
  for (const ckks::BsgsGroup& group : prepared.bsgs.groups) {
    ckks::LinearTransform::Group& encoded = groups.emplace_back();
    encoded.giant = group.giant;
    for (const ckks::BsgsTerm& term : group.terms) {
      encoded.terms.push_back({prepared.bsgs.babies[term.baby], std::move(prepared.plaintexts[next++])});
    }
  }
  const double prime = static_cast<double>(encoder.parameters().prime(in.level).value());
  const ckks::LinearTransform::Domain domain{in.level,
                                             special_count(plan, encoder.parameters(), prepared.bsgs)};
  auto transform = ckks::LinearTransform::create(encoder, groups, domain, out.scale * prime / in.scale);
  if (!transform.ok()) return std::move(transform).error().within(out.name);
  const bool has_bias = std::ranges::any_of(prepared.bias, [](double b) { return b != 0; });
  ckks::Plaintext bias;
  if (has_bias) {
    auto encoded = encoder.encode(prepared.bias, out.scale, out.level, true);
    if (!encoded.ok()) return std::move(encoded).error().within(out.name);
    bias = std::move(encoded).value();
  }
  return EncodedLinear{std::move(transform).value(), std::move(prepared.folds), std::move(bias), has_bias};
}

}  // namespace

Result<EncodedPlan> EncodedPlan::create(const plan::Plan& plan, const ckks::Parameters& parameters) {
  EncodedPlan encoded(plan);
  encoded.evaluator_ = std::make_unique<const ckks::Evaluator>(parameters);
  encoded.layers_.resize(plan.values.size());
  const ckks::Encoder encoder(parameters);
  for (const plan::Operation& operation : plan.operations) {
    if (const auto* linear = std::get_if<plan::Linear>(&operation)) {
      TACIT_TRY(EncodedLinear layer, encode(plan, encoder, *linear));
      encoded.layers_[linear->output] = std::make_unique<const EncodedLinear>(std::move(layer));
    }
  }
  return encoded;
}

std::size_t EncodedPlan::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& layer : layers_) {
    if (layer)
      bytes += layer->transform.memory_bytes() + layer->bias.poly.degree() * layer->bias.poly.limbs() * 8;
  }
  return bytes;
}

double CipherArithmetic::prime(int level) const {
  return static_cast<double>(evaluator().parameters().prime(level).value());
}

Result<Ciphertext> CipherArithmetic::multiply(const Vector& a, const Vector& b) {
  if (a.level() == b.level()) {
    TACIT_TRY(const Ciphertext product, evaluator().multiply(a, b));
    return evaluator().relinearise_rescale(product, *keys_);
  }
  const int level = std::min(a.level(), b.level());
  TACIT_TRY(const Ciphertext low_a, evaluator().drop(a, level));
  TACIT_TRY(const Ciphertext low_b, evaluator().drop(b, level));
  return multiply(low_a, low_b);
}

Result<Ciphertext> CipherArithmetic::square(const Vector& a) {
  TACIT_TRY(const Ciphertext product, evaluator().square(a));
  return evaluator().relinearise_rescale(product, *keys_);
}

Result<Ciphertext> CipherArithmetic::add(const Vector& a, const Vector& b) {
  if (a.level() == b.level()) return evaluator().add(a, b);
  const int level = std::min(a.level(), b.level());
  TACIT_TRY(const Ciphertext low_a, evaluator().drop(a, level));
  TACIT_TRY(const Ciphertext low_b, evaluator().drop(b, level));
  return evaluator().add(low_a, low_b);
}

Result<Ciphertext> CipherArithmetic::add_scalar(const Vector& a, double c) {
  return evaluator().add_scalar(a, c);
}

Result<Ciphertext> CipherArithmetic::double_value(const Vector& a) { return evaluator().add(a, a); }

Result<Ciphertext> CipherArithmetic::drop(const Vector& a, int level) { return evaluator().drop(a, level); }

Result<Ciphertext> CipherArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                  std::span<const double> coefficients, int target_level,
                                                  double target_scale) {
  if (vectors.empty()) return Error{ErrorCode::kInternal, "a weighted sum of no vectors"};
  Ciphertext sum;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    TACIT_TRY(const Ciphertext low, evaluator().drop(*vectors[i], target_level + 1));
    TACIT_TRY(Ciphertext term, evaluator().multiply_scalar(
                                   low, coefficients[i], target_scale * prime(target_level + 1) / low.scale));
    if (i == 0) {
      sum = std::move(term);
    } else {
      TACIT_TRY(sum, evaluator().add(sum, term));
    }
  }
  TACIT_TRY(Ciphertext result, evaluator().rescale(sum));
  result.scale = target_scale;  // equal but for the rounding of doubles
  return result;
}

Result<Ciphertext> CipherArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const EncodedLinear& layer = encoded_->layer(operation);
  TACIT_TRY(Ciphertext result, layer.transform.apply(evaluator(), v, *keys_));
  result.scale = encoded_->plan().values[operation.output].scale;  // equal but for the rounding of doubles
  for (std::size_t fold : layer.folds) {
    TACIT_TRY(const Ciphertext rotated, evaluator().rotate(result, static_cast<std::int64_t>(fold), *keys_));
    TACIT_TRY(result, evaluator().add(result, rotated));
  }
  if (!layer.has_bias) return result;
  return evaluator().add_plain(result, layer.bias);
}

Result<Ciphertext> CipherArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), v.level() - 1, target_scale);
}

}  // namespace tacit::runtime
