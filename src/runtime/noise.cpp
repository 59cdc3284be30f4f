// SPDX-License-Identifier: Apache-2.0
#include "runtime/noise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tacit::runtime {

namespace {

constexpr double kErrorVariance = 21.0 / 2;  // ring::sample_error

// sigma_slot of an error polynomial with independent coefficients of this variance.
double slot_deviation(std::size_t degree, double variance) {
  return std::sqrt(static_cast<double>(degree) * variance / 2);
}

double mean_square(std::span<const double> x) {
  return std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
}

// c as it is encoded at `scale`.
double rounded(double c, double scale) { return std::round(c * scale) / scale; }

}  // namespace

double NoiseModel::encryption() const { return slot_deviation(parameters_.degree(), kErrorVariance); }

double NoiseModel::encoding(std::size_t period) const { return std::sqrt(static_cast<double>(period) / 6); }

double NoiseModel::division() const {
  const double nonzero = 2 * static_cast<double>(parameters_.degree()) / 3;
  return slot_deviation(parameters_.degree(), (1 + nonzero) / 12);
}

double NoiseModel::key_switch(const ckks::KeyShape& shape, int level) const {
  double log_special = 0;
  for (int i = 0; i < shape.special_count; ++i)
    log_special +=
        std::log2(static_cast<double>(parameters_.literal().special_primes[static_cast<std::size_t>(i)]));
  double sum = 0;  // of E[d_j^2] / P^2
  for (int first = 0; first <= level; first += shape.digit_size) {
    const int last = std::min(first + shape.digit_size, level + 1);
    double log_digit = 0;
    for (int i = first; i < last; ++i)
      log_digit += std::log2(static_cast<double>(parameters_.prime(i).value()));
    const double k = last - first;
    sum += std::exp2(2 * (log_digit - log_special)) * (k / 12 + k * k / 4);
  }
  return slot_deviation(parameters_.degree(),
                        static_cast<double>(parameters_.degree()) * kErrorVariance * sum);
}

NoiseArithmetic::NoiseArithmetic(const ClearArithmetic& clear, const ckks::Parameters& parameters,
                                 std::uint64_t seed)
    : clear_(clear), parameters_(parameters), model_(parameters), generator_(seed) {
  for (const ckks::KeyRequest& key : clear.plan().keys) shapes_.emplace(key.element, key.shape);
}

Result<NoiseArithmetic> NoiseArithmetic::create(const ClearArithmetic& clear, std::uint64_t seed) {
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(clear.plan().parameters));
  return NoiseArithmetic(clear, parameters, seed);
}

void NoiseArithmetic::disturb(std::vector<double>& slots, double deviation) {
  std::normal_distribution<double> noise(0, deviation);
  for (double& x : slots) x += noise(generator_);
}

Result<ckks::KeyShape> NoiseArithmetic::shape_of(std::uint32_t element) const {
  if (const auto found = shapes_.find(element); found != shapes_.end()) return found->second;
  return Error{ErrorCode::kKeyMissing,
               "the plan requests no key for the automorphism " + std::to_string(element)};
}

Result<double> NoiseArithmetic::rotation(std::int64_t step, int level) const {
  const std::uint32_t element = ckks::rotation_element(parameters_, step);
  if (element == 1) return 0.0;
  TACIT_TRY(const ckks::KeyShape shape, shape_of(element));
  return std::hypot(model_.key_switch(shape, level), model_.division());
}

Result<double> NoiseArithmetic::rotations(std::span<const std::int64_t> steps, int level) const {
  double variance = 0;
  for (std::int64_t step : steps) {
    TACIT_TRY(const double deviation, rotation(step, level));
    variance += deviation * deviation;
  }
  return std::sqrt(variance);
}

ClearVector NoiseArithmetic::encrypt(std::vector<double> slots, int level, double scale, std::size_t period) {
  Vector v = clear_.encrypt(std::move(slots), level, scale, period);
  // In a plan with one slot for an image the ciphertext's other slots are those of other images.
  const std::size_t filled = plan().slots == 1 ? parameters_.slots() : std::min(period, plan().slots);
  disturb(v.slots, std::hypot(model_.encryption(), model_.encoding(filled)) / v.scale);
  return v;
}

ClearVector NoiseArithmetic::input(std::vector<double> slots) {
  const plan::Value& value = plan().values[plan().input];
  return encrypt(std::move(slots), value.level, value.scale, value.period);
}

Result<ClearVector> NoiseArithmetic::relinearised(Vector product, int level, double product_scale) {
  TACIT_TRY(const ckks::KeyShape shape, shape_of(ckks::kRelinearisation));
  disturb(product.slots,
          std::hypot(model_.key_switch(shape, level) / product_scale, model_.division() / product.scale));
  return product;
}

Result<ClearVector> NoiseArithmetic::multiply(const Vector& a, const Vector& b) {
  TACIT_TRY(Vector product, clear_.multiply(a, b));
  return relinearised(std::move(product), std::min(a.level, b.level), a.scale * b.scale);
}

Result<ClearVector> NoiseArithmetic::square(const Vector& a) { return multiply(a, a); }

Result<ClearVector> NoiseArithmetic::add_scalar(const Vector& a, double c) {
  return clear_.add_scalar(a, rounded(c, a.scale));
}

Result<ClearVector> NoiseArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                  std::span<const double> coefficients, int target_level,
                                                  double target_scale) {
  std::vector<double> encoded;
  for (std::size_t i = 0; i < vectors.size(); ++i)
    encoded.push_back(rounded(coefficients[i], target_scale * prime(target_level + 1) / vectors[i]->scale));
  TACIT_TRY(Vector sum, clear_.weighted_sum(vectors, encoded, target_level, target_scale));
  disturb(sum.slots, model_.division() / target_scale);
  return sum;
}

Result<ClearVector> NoiseArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), v.level - 1, target_scale);
}

// Weights are integers at their scale; each sum is divided once.
ClearVector NoiseArithmetic::linear_by_rows(const PreparedLinear& layer, const Vector& v,
                                            const plan::Value& out) {
  const double weight_scale = out.scale * prime(v.level) / v.scale;
  PreparedLinear encoded = layer;
  for (plan::SparseRow& row : encoded.rows)
    for (plan::SparseEntry& entry : row) entry.value = rounded(entry.value, weight_scale);
  for (double& b : encoded.bias) b = rounded(b, out.scale);
  Vector result{clear_.multiply_rows(encoded, v.slots), out.level, out.scale};
  disturb(result.slots, model_.division() / out.scale);
  return result;
}

Status NoiseArithmetic::rotate_babies(const PreparedLinear& layer, const Vector& v, const Vector& shifted,
                                      std::vector<ClearArithmetic::RotatedBaby>& babies) {
  for (const auto& [input, step] : layer.bsgs.babies) {
    TACIT_TRY(const double deviation, rotation(step, v.level));
    ClearArithmetic::RotatedBaby& baby = babies.emplace_back();
    baby.direct = rotate(clear_.slots_of(v, input), step);
    if (layer.bsgs.shift != 0) baby.shifted = rotate(clear_.slots_of(shifted, input), step);
    if (deviation == 0) continue;
    disturb(baby.direct, deviation / v.scale);
    disturb(baby.shifted, deviation / v.scale);
  }
  return {};
}

// A baby has the noise of everything on its way from the input, which it shares with those that come from the same.
Status NoiseArithmetic::chain_babies(const PreparedLinear& layer, const Vector& v, const Vector& shifted,
                                     std::vector<ClearArithmetic::RotatedBaby>& babies) {
  for (std::size_t input = 0; input < layer.chains->transform.babies.size(); ++input) {
    const ckks::RotationTree& tree = layer.chains->transform.babies[input];
    std::vector<ClearArithmetic::RotatedBaby> nodes(tree.nodes.size());
    const std::span<const double> direct = clear_.slots_of(v, input);
    nodes[0].direct.assign(direct.begin(), direct.end());
    if (layer.bsgs.shift != 0) {
      const std::span<const double> further = clear_.slots_of(shifted, input);
      nodes[0].shifted.assign(further.begin(), further.end());
    }
    for (std::size_t node = 1; node < nodes.size(); ++node) {
      const auto [parent, step] = tree.nodes[node];
      TACIT_TRY(const double deviation, rotation(step, v.level));
      for (auto part : {&ClearArithmetic::RotatedBaby::direct, &ClearArithmetic::RotatedBaby::shifted}) {
        if ((nodes[parent].*part).empty()) continue;
        nodes[node].*part = rotate(nodes[parent].*part, step);
        disturb(nodes[node].*part, deviation / v.scale);
      }
    }
    for (std::size_t target : tree.targets) babies.push_back(nodes[target]);
  }
  return {};
}

// The noise of each rotation of a sum comes to the output rotated, which changes nothing about it.
Status NoiseArithmetic::disturb_chained_sums(const PreparedLinear& layer, int level, double unit,
                                             std::vector<double>& sums) {
  const std::size_t n = plan().slots;
  std::normal_distribution<double> noise;
  for (std::size_t output = 0; output < layer.chains->transform.giants.size(); ++output) {
    std::vector<std::int64_t> steps;
    for (const ckks::RotationTree::Node& node : layer.chains->transform.giants[output].nodes)
      steps.push_back(node.step);
    TACIT_TRY(const double deviation, rotations(steps, level));
    for (double& x : std::span(sums).subspan(output * n, n)) x += unit * deviation * noise(generator_);
  }
  return {};
}

Result<ClearVector> NoiseArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const plan::Value& in = plan().values[operation.input];
  const plan::Value& out = plan().values[operation.output];
  if (v.level != in.level || v.level < 1)
    return Error{ErrorCode::kLevelMismatch, "a linear layer was given another level"};
  const PreparedLinear& layer = clear_.prepared(operation);
  if (plan().slots == 1) return linear_by_rows(layer, v, out);
  const bool chained = operation.split.chained;
  if (chained && !layer.chains)
    return Error{ErrorCode::kKeyMissing, "the plan's keys do not make up the layer's rotations"};
  // Before the one division that ends the layer, numbers have this scale.
  const double product_scale = out.scale * prime(in.level);

  // Under complex folding, slots hold x + i rot_shift(x), the errors of both parts are independent of each other, and the
  // result is twice the real part of a sum with halved diagonals, which keeps its scale.
  const auto shift = static_cast<std::int64_t>(layer.bsgs.shift);
  const double doubled = shift == 0 ? 1 : 2;
  Vector shifted = v;  // each ciphertext rotated by the shift
  if (shift != 0) {
    TACIT_TRY(const double deviation,
              chained ? rotations(layer.chains->transform.shift, in.level) : rotation(shift, in.level));
    shifted.slots.clear();
    for (std::size_t i = 0; i < v.slots.size() / plan().slots; ++i) {
      const std::vector<double> rotated = rotate(clear_.slots_of(v, i), shift);
      shifted.slots.insert(shifted.slots.end(), rotated.begin(), rotated.end());
    }
    disturb(shifted.slots, deviation / v.scale);
  }
  std::vector<ClearArithmetic::RotatedBaby> babies;
  if (chained) {
    TACIT_CHECK(chain_babies(layer, v, shifted, babies));
  } else {
    TACIT_CHECK(rotate_babies(layer, v, shifted, babies));
  }
  Status status;
  const auto disturb_giant = [&](std::vector<double>& sum, std::int64_t giant) {
    const std::uint32_t element = ckks::rotation_element(parameters_, giant);
    if (element == 1 || chained) return;
    const auto shape = shape_of(element);
    if (shape.ok())
      disturb(sum, doubled * model_.key_switch(*shape, in.level) / product_scale);
    else
      status = shape.error();
  };
  Vector result{clear_.sum_groups(layer, babies, disturb_giant), out.level, out.scale};
  TACIT_CHECK(status);
  if (chained) TACIT_CHECK(disturb_chained_sums(layer, in.level, doubled / product_scale, result.slots));
  // Every diagonal's rounding meets one rotation of the input.
  const double plaintext_scale = product_scale / v.scale;
  const std::size_t period = std::min(std::max(in.period, out.period), plan().slots);
  const double terms_of_output =
      static_cast<double>(layer.terms.size()) / static_cast<double>(layer.bsgs.outputs());
  const double rounding =
      doubled * model_.encoding(period) / plaintext_scale * std::sqrt(terms_of_output * mean_square(v.slots));
  disturb(result.slots, std::hypot(rounding, doubled * model_.division() / out.scale));
  if (shift != 0) {
    TACIT_TRY(const ckks::KeyShape shape, shape_of(ckks::conjugation_element(parameters_)));
    disturb(result.slots, std::hypot(model_.key_switch(shape, out.level), model_.division()) / out.scale);
  }
  for (std::size_t f = 0; f < layer.folds.size(); ++f) {
    const auto step = static_cast<std::int64_t>(layer.folds[f]);
    TACIT_TRY(const double deviation,
              chained ? rotations(layer.chains->folds[f], out.level) : rotation(step, out.level));
    std::vector<double> rotated = rotate(result.slots, step);
    if (deviation > 0) disturb(rotated, deviation / out.scale);
    add_repeated(result.slots, rotated);
  }
  clear_.add_bias(layer, result.slots);
  disturb(result.slots, model_.encoding(std::min(out.period, plan().slots)) / out.scale);
  return result;
}

}  // namespace tacit::runtime
