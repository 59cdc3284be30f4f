// SPDX-License-Identifier: Apache-2.0
#include "runtime/cipher.h"

#include <algorithm>

#include "base/parallel.h"
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
  for (const ckks::BsgsBaby& baby : bsgs.babies) count = std::max(count, count_of(baby.step));
  for (const ckks::BsgsGroup& group : bsgs.groups) count = std::max(count, count_of(group.giant));
  return count;
}

// Without the bias.
Result<EncodedLinear> encode_transform(const plan::Plan& plan, const ckks::Encoder& encoder,
                                       const plan::Linear& operation, const PreparedLinear& prepared,
                                       const std::vector<ckks::TransformGroup>& groups, double scale) {
  const int level = plan.values[operation.input].level;
  if (operation.split.chained) {
    if (!prepared.chains)
      return Error{ErrorCode::kKeyMissing, "the plan's keys do not make up the layer's rotations"};
    TACIT_TRY(ckks::ChainedTransform transform,
              ckks::ChainedTransform::create(encoder, groups, level, prepared.tables->transform, scale,
                                             operation.split.shift));
    return EncodedLinear{std::move(transform), prepared.chains->folds, {}};
  }
  const ckks::LinearTransform::Domain domain{level, special_count(plan, encoder.parameters(), prepared.bsgs)};
  TACIT_TRY(ckks::LinearTransform transform,
            ckks::LinearTransform::create(encoder, groups, domain, scale, operation.split.shift));
  EncodedLinear layer{std::move(transform), {}, {}};
  for (std::size_t fold : prepared.folds) layer.folds.push_back({static_cast<std::int64_t>(fold)});
  return layer;
}

Result<EncodedLinear> encode(const plan::Plan& plan, const ckks::Encoder& encoder,
                             const plan::Linear& operation) {
  const plan::Value& in = plan.values[operation.input];
  const plan::Value& out = plan.values[operation.output];
  PreparedLinear prepared = prepare_linear(plan, operation);
  std::vector<ckks::TransformGroup> groups;
  std::size_t next = 0;
  for (const ckks::BsgsGroup& group : prepared.bsgs.groups) {
    ckks::TransformGroup& encoded = groups.emplace_back();
    encoded.giant = group.giant;
    encoded.output = group.output;
    for (const ckks::BsgsTerm& term : group.terms) {
      const auto [input, step] = prepared.bsgs.babies[term.baby];
      PreparedTerm& values = prepared.terms[next++];
      encoded.terms.push_back({step, std::move(values.direct), std::move(values.shifted), input});
    }
  }
  const double scale =
      out.scale * static_cast<double>(encoder.parameters().prime(in.level).value()) / in.scale;
  auto layer = encode_transform(plan, encoder, operation, prepared, groups, scale);
  if (!layer.ok()) return std::move(layer).error().within(out.name);
  if (std::ranges::all_of(prepared.bias, [](double b) { return b == 0; })) return layer;
  const std::size_t outputs = std::visit([](const auto& t) { return t.outputs(); }, layer->transform);
  const std::size_t block = std::min(prepared.bias.size(), plan.slots);
  for (std::size_t o = 0; o < outputs; ++o) {
    auto encoded =
        encoder.encode(std::span(prepared.bias).subspan(o * block, block), out.scale, out.level, true);
    if (!encoded.ok()) return std::move(encoded).error().within(out.name);
    layer->bias.push_back(std::move(encoded).value());
  }
  return layer;
}

Result<ckks::ScalarMatrix> encode_rows(const plan::Plan& plan, const ckks::Parameters& parameters,
                                       const plan::Linear& operation) {
  const plan::Value& in = plan.values[operation.input];
  const plan::Value& out = plan.values[operation.output];
  const plan::LinearMap& map = plan.maps[operation.map];
  std::vector<ckks::ScalarMatrix::Row> rows;
  for (const plan::SparseRow& entries : map.rows()) {
    ckks::ScalarMatrix::Row& row = rows.emplace_back();
    for (const plan::SparseEntry& entry : entries) row.push_back({entry.column, entry.value});
  }
  std::vector<double> bias = map.bias;
  bias.resize(rows.size(), 0);
  auto matrix =
      ckks::ScalarMatrix::create(parameters, map.in.elements(), rows, bias, {in.level, in.scale, out.scale});
  if (!matrix.ok()) return std::move(matrix).error().within(out.name);
  return matrix;
}

}  // namespace

Result<EncodedPlan> EncodedPlan::create(const plan::Plan& plan, const ckks::Parameters& parameters) {
  EncodedPlan encoded(plan);
  encoded.evaluator_ = std::make_unique<const ckks::Evaluator>(parameters);
  encoded.layers_.resize(plan.values.size());
  const ckks::Encoder encoder(parameters);
  for (const plan::Operation& operation : plan.operations) {
    const auto* linear = std::get_if<plan::Linear>(&operation);
    if (linear == nullptr) continue;
    std::unique_ptr<const EncodedLayer>& layer = encoded.layers_[linear->output];
    if (plan.slots == 1) {
      TACIT_TRY(ckks::ScalarMatrix matrix, encode_rows(plan, parameters, *linear));
      layer = std::make_unique<const EncodedLayer>(std::move(matrix));
    } else {
      TACIT_TRY(EncodedLinear transform, encode(plan, encoder, *linear));
      layer = std::make_unique<const EncodedLayer>(std::move(transform));
    }
  }
  return encoded;
}

std::size_t EncodedPlan::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& layer : layers_) {
    if (!layer) continue;
    if (const auto* matrix = std::get_if<ckks::ScalarMatrix>(layer.get())) {
      bytes += matrix->memory_bytes();
      continue;
    }
    const auto& linear = *std::get_if<EncodedLinear>(layer.get());
    bytes += std::visit([](const auto& t) { return t.memory_bytes(); }, linear.transform);
    for (const ckks::Plaintext& bias : linear.bias) bytes += bias.poly.degree() * bias.poly.limbs() * 8;
  }
  return bytes;
}

double CipherArithmetic::prime(int level) const {
  return static_cast<double>(evaluator().parameters().prime(level).value());
}

namespace {

// f(i) for each of `count` ciphertexts, in parallel.
template <class F>
Result<CipherVector> for_each_ciphertext(std::size_t count, const F& f) {
  CipherVector out(count);
  AlignedVector<Status> statuses(count);
  parallel_for(count, [&](std::size_t i) {
    Result<Ciphertext> made = f(i);
    if (made.ok())
      out[i] = std::move(made).value();
    else
      statuses[i] = std::move(made).error();
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return out;
}

Status check_same_count(const CipherVector& a, const CipherVector& b) {
  if (a.size() == b.size()) return {};
  return Error{ErrorCode::kInternal, "two values have " + std::to_string(a.size()) + " and " +
                                         std::to_string(b.size()) + " ciphertexts"};
}

}  // namespace

Result<CipherVector> CipherArithmetic::multiply(const Vector& a, const Vector& b) {
  TACIT_CHECK(check_same_count(a, b));
  const int level = std::min(this->level(a), this->level(b));
  return for_each_ciphertext(a.size(), [&](std::size_t i) -> Result<Ciphertext> {
    if (a[i].level() == b[i].level()) return evaluator().multiply_relinearise_rescale(a[i], b[i], *keys_);
    TACIT_TRY(const Ciphertext low_a, evaluator().drop(a[i], level));
    TACIT_TRY(const Ciphertext low_b, evaluator().drop(b[i], level));
    return evaluator().multiply_relinearise_rescale(low_a, low_b, *keys_);
  });
}

Result<CipherVector> CipherArithmetic::square(const Vector& a) {
  return for_each_ciphertext(a.size(), [&](std::size_t i) -> Result<Ciphertext> {
    return evaluator().multiply_relinearise_rescale(a[i], a[i], *keys_);
  });
}

Result<CipherVector> CipherArithmetic::add(const Vector& a, const Vector& b) {
  TACIT_CHECK(check_same_count(a, b));
  const int level = std::min(this->level(a), this->level(b));
  return for_each_ciphertext(a.size(), [&](std::size_t i) -> Result<Ciphertext> {
    if (a[i].level() == b[i].level()) return evaluator().add(a[i], b[i]);
    TACIT_TRY(const Ciphertext low_a, evaluator().drop(a[i], level));
    TACIT_TRY(const Ciphertext low_b, evaluator().drop(b[i], level));
    return evaluator().add(low_a, low_b);
  });
}

Result<CipherVector> CipherArithmetic::add_scalar(const Vector& a, double c) {
  return for_each_ciphertext(a.size(), [&](std::size_t i) { return evaluator().add_scalar(a[i], c); });
}

Result<CipherVector> CipherArithmetic::double_value(const Vector& a) { return add(a, a); }

Result<CipherVector> CipherArithmetic::drop(const Vector& a, int level) {
  return for_each_ciphertext(a.size(), [&](std::size_t i) { return evaluator().drop(a[i], level); });
}

Result<CipherVector> CipherArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                    std::span<const double> coefficients, int target_level,
                                                    double target_scale) {
  if (vectors.empty()) return Error{ErrorCode::kInternal, "a weighted sum of no vectors"};
  for (const Vector* vector : vectors) TACIT_CHECK(check_same_count(*vector, *vectors[0]));
  return for_each_ciphertext(vectors[0]->size(), [&](std::size_t c) -> Result<Ciphertext> {
    Ciphertext sum;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      TACIT_TRY(const Ciphertext low, evaluator().drop((*vectors[i])[c], target_level + 1));
      TACIT_TRY(Ciphertext term,
                evaluator().multiply_scalar(low, coefficients[i],
                                            target_scale * prime(target_level + 1) / low.scale));
      if (i == 0) {
        sum = std::move(term);
      } else {
        TACIT_TRY(sum, evaluator().add(sum, term));
      }
    }
    TACIT_TRY(Ciphertext result, evaluator().rescale(sum));
    result.scale = target_scale;  // equal but for the rounding of doubles
    return result;
  });
}

Result<CipherVector> CipherArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const EncodedLayer& layer = encoded_->layer(operation);
  if (const auto* matrix = std::get_if<ckks::ScalarMatrix>(&layer)) return matrix->apply(evaluator(), v);
  return transform(*std::get_if<EncodedLinear>(&layer), encoded_->plan().values[operation.output].scale, v);
}

Result<CipherVector> CipherArithmetic::transform(const EncodedLinear& layer, double scale, const Vector& v) {
  TACIT_TRY(CipherVector sums,
            std::visit([&](const auto& t) -> Result<CipherVector> { return t.apply(evaluator(), v, *keys_); },
                       layer.transform));
  return for_each_ciphertext(sums.size(), [&](std::size_t i) -> Result<Ciphertext> {
    Ciphertext result = std::move(sums[i]);
    result.scale = scale;  // equal but for the rounding of doubles
    for (const std::vector<std::int64_t>& fold : layer.folds) {
      Ciphertext rotated = result;
      for (std::int64_t step : fold) { TACIT_TRY(rotated, evaluator().rotate(rotated, step, *keys_)); }
      TACIT_TRY(result, evaluator().add(result, rotated));
    }
    if (layer.bias.empty()) return result;
    return evaluator().add_plain(result, layer.bias[i]);
  });
}

Result<CipherVector> CipherArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), level(v) - 1, target_scale);
}

}  // namespace tacit::runtime
