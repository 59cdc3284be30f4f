// SPDX-License-Identifier: Apache-2.0
// Everything that the interpreters rely on, checked once.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/printable.h"
#include "ckks/chebyshev.h"
#include "ckks/evaluator.h"
#include "plan/checks.h"
#include "plan/key_plan.h"

namespace tacit::plan {

namespace {

constexpr std::size_t kMaxValues = std::size_t{1} << 16;
constexpr std::size_t kMaxMaps = std::size_t{1} << 12;
constexpr double kMaxTotalWork = 4e9;
// Entries of all diagonals together, as doubles 2 GiB.
constexpr std::size_t kMaxDiagonalEntries = std::size_t{1} << 28;

class Validator {
 public:
  Validator(const Plan& plan, const ckks::Parameters& parameters) : plan_(plan), parameters_(parameters) {}

  Status run() {
    TACIT_CHECK(check_sizes());
    for (const Value& value : plan_.values) TACIT_CHECK(check_value(value));
    TACIT_CHECK(check_maps());
    made_.assign(plan_.values.size(), false);
    made_[plan_.input] = true;
    for (std::size_t i = 0; i < plan_.operations.size(); ++i)
      if (Status status = check_operation(plan_.operations[i]); !status.ok())
        return std::move(status).error().within("operation " + std::to_string(i));
    for (std::size_t i = 0; i < made_.size(); ++i)
      if (!made_[i]) return malformed_data("no operation makes value " + std::to_string(i));
    for (ValueId id : {plan_.input, plan_.output})
      if (plan_.values[id].range <= 0) return malformed_data("the input or the output has a negative range");
    return check_keys();
  }

 private:
  Status check_sizes() const {
    if (plan_.slots != parameters_.slots() && plan_.slots != 1)
      return malformed_data("the plan has " + std::to_string(plan_.slots) + " slots, its ring has " +
                            std::to_string(parameters_.slots()));
    if (plan_.values.empty() || plan_.values.size() > kMaxValues || plan_.operations.size() > kMaxValues ||
        plan_.maps.size() > kMaxMaps)
      return malformed_data("the plan has no values, or more values, operations or maps than are supported");
    if (plan_.input >= plan_.values.size() || plan_.output >= plan_.values.size())
      return malformed_data("the plan's input or output is not one of its values");
    return {};
  }

  Status check_value(const Value& value) const {
    if (value.name.size() > detail::kMaxNameBytes) return malformed_data("a value's name is too long");
    // Names are in messages of one line.
    if (value.name != printable(value.name, std::string::npos))
      return malformed_data("a value's name cannot be shown on one line");
    const std::string what = "value \"" + value.name + "\"";
    // A ciphertext for each element, in their order.
    if (plan_.slots == 1 && value.layout.extent() != value.layout.shape.elements())
      return malformed_data(what + " leaves slots empty, each of which would be a ciphertext");
    TACIT_CHECK(value.layout.validate(what));
    TACIT_CHECK(detail::check_period(value.layout, value.period, plan_.slots, what));
    if (!(std::abs(value.range) >= 0x1p-40 && std::abs(value.range) <= 0x1p40))
      return malformed_data("the range of " + what + " is not between 2^-40 and 2^40");
    if (!(value.noise >= 0 && value.noise <= 0x1p40))
      return malformed_data("the noise of " + what + " is not between 0 and 2^40");
    if (value.level == kClear) return {};
    return detail::check_level_and_scale(parameters_, value.level, value.scale, value.bound, what);
  }

  Status check_maps() const {
    double work = 0;
    for (std::size_t i = 0; i < plan_.maps.size(); ++i) {
      if (Status status = plan_.maps[i].validate(); !status.ok())
        return std::move(status).error().within("map " + std::to_string(i));
      work += plan_.maps[i].work();
    }
    if (work > kMaxTotalWork)
      return Error{ErrorCode::kDataTooLarge, "the plan's layers are too large to multiply out"};
    return {};
  }

  Status check_operation(const Operation& operation) {
    for (ValueId id : inputs_of(operation))
      if (id >= made_.size() || !made_[id])
        return malformed_data("reads value " + std::to_string(id) + ", which nothing has made before it");
    const ValueId output = output_of(operation);
    if (output >= made_.size() || made_[output])
      return malformed_data("makes value " + std::to_string(output) +
                            ", which does not exist or was made before");
    made_[output] = true;
    if (!std::holds_alternative<ClientStep>(operation)) {
      for (ValueId id : inputs_of(operation))
        if (plan_.values[id].level == kClear)
          return malformed_data("reads value " + std::to_string(id) + ", which is never encrypted");
      if (plan_.values[output].level == kClear)
        return malformed_data("makes a value that is never encrypted");
    }
    return std::visit([this](const auto& o) { return check(o); }, operation);
  }

  Status check_levels(const Value& in, const Value& out, int levels) const {
    if (in.level - levels == out.level) return {};
    return Error{ErrorCode::kLevelMismatch, "goes from level " + std::to_string(in.level) + " to level " +
                                                std::to_string(out.level) + " but takes " +
                                                std::to_string(levels) + " levels"};
  }

  Status check_same_slots(const Value& in, const Value& out) const {
    if (in.layout == out.layout && in.period == out.period) return {};
    return malformed_data("changes the layout or the period, which only a linear layer can");
  }

  // Constants and diagonals are encoded at T q / S: as rounded integers they need some bits, and must fit 62.
  Status check_encoding_scale(const Value& in, const Value& out) const {
    const double scale = out.scale * prime(in.level) / in.scale;
    if (scale >= 1 && scale <= 0x1p60) return {};
    return Error{ErrorCode::kScaleMismatch, "goes from scale " + std::to_string(in.scale) + " to " +
                                                std::to_string(out.scale) +
                                                ", which no plaintext scale leads to"};
  }

  Status check(const Linear& linear) const {
    const Value& in = plan_.values[linear.input];
    const Value& out = plan_.values[linear.output];
    TACIT_CHECK(check_levels(in, out, 1));
    TACIT_CHECK(check_encoding_scale(in, out));
    if (linear.map >= plan_.maps.size()) return malformed_data("names a map that does not exist");
    const LinearMap& map = plan_.maps[linear.map];
    if (map.in != in.layout.shape || map.out != out.layout.shape)
      return malformed_data("has a map whose shapes are not those of its values");
    const auto [width, shift, chained] = linear.split;
    if (!std::has_single_bit(width) || width > plan_.slots)
      return malformed_data("splits its rotations at " + std::to_string(width) +
                            "; it must be a power of two up to the slot count");
    if (shift != 0 &&
        (!std::has_single_bit(shift) || shift >= std::min({in.period, out.period, plan_.slots})))
      return malformed_data("folds with a shift of " + std::to_string(shift) +
                            "; it must be 0 or a power of two below its values' periods");
    return {};
  }

  Status check(const Square& square) const {
    const Value& in = plan_.values[square.input];
    const Value& out = plan_.values[square.output];
    TACIT_CHECK(check_same_slots(in, out));
    TACIT_CHECK(check_levels(in, out, 1));
    if (ckks::same_scale(out.scale, in.scale * in.scale / prime(in.level))) return {};
    return Error{ErrorCode::kScaleMismatch, "has another scale than its input's squared over the prime"};
  }

  Status check(const Polynomial& polynomial) const {
    const Value& in = plan_.values[polynomial.input];
    const Value& out = plan_.values[polynomial.output];
    TACIT_CHECK(check_same_slots(in, out));
    const std::vector<double>& c = polynomial.coefficients;
    if (c.size() < 3 || c.size() > kMaxPolynomialDegree + 1 || c.back() == 0)
      return malformed_data("is a polynomial of a degree outside of 2 to " +
                            std::to_string(kMaxPolynomialDegree));
    for (double coefficient : c)
      if (!(std::abs(coefficient) <= 0x1p40))
        return malformed_data("has a coefficient that is not a number up to 2^40");
    return check_levels(in, out, polynomial_depth(c.size() - 1));
  }

  Status check(const Add& add) const {
    const Value& left = plan_.values[add.left];
    const Value& right = plan_.values[add.right];
    const Value& out = plan_.values[add.output];
    TACIT_CHECK(check_same_slots(left, out));
    TACIT_CHECK(check_same_slots(right, out));
    if (left.level < out.level || right.level < out.level)
      return Error{ErrorCode::kLevelMismatch, "adds values below the level of their sum"};
    if (!ckks::same_scale(left.scale, out.scale) || !ckks::same_scale(right.scale, out.scale))
      return Error{ErrorCode::kScaleMismatch, "adds values of different scales"};
    return {};
  }

  Status check(const Product& product) const {
    const Value& left = plan_.values[product.left];
    const Value& right = plan_.values[product.right];
    const Value& out = plan_.values[product.output];
    TACIT_CHECK(check_same_slots(left, out));
    TACIT_CHECK(check_same_slots(right, out));
    const Value& lower = left.level < right.level ? left : right;
    TACIT_CHECK(check_levels(lower, out, 1));
    if (ckks::same_scale(out.scale, left.scale * right.scale / prime(lower.level))) return {};
    return Error{ErrorCode::kScaleMismatch, "has another scale than its operands' product over the prime"};
  }

  Status check(const ClientStep& step) const {
    if (step.inputs.size() != arity(step.function))
      return malformed_data("has another number of inputs than its function");
    const Shape& in = plan_.values[step.inputs[0]].layout.shape;
    for (ValueId id : step.inputs) {
      const Value& value = plan_.values[id];
      if (value.layout.shape != in) return malformed_data("takes tensors of different shapes");
      if (value.range <= 0) return malformed_data("decrypts a value that is kept with a negative range");
    }
    TACIT_TRY(const Shape out, shape_after(step.function, in));
    const Value& output = plan_.values[step.output];
    if (out != output.layout.shape) return malformed_data("makes a tensor of another shape than its value");
    if (output.range <= 0) return malformed_data("makes a value with a negative range");
    return {};
  }

  Status check(const Rescaling& rescaling) const {
    const Value& in = plan_.values[rescaling.input];
    const Value& out = plan_.values[rescaling.output];
    TACIT_CHECK(check_same_slots(in, out));
    TACIT_CHECK(check_encoding_scale(in, out));
    if (!(std::abs(rescaling.factor) <= 0x1p40))
      return malformed_data("has a factor that is not a number up to 2^40");
    return check_levels(in, out, 1);
  }

  Status check_keys() const {
    TACIT_CHECK(detail::check_key_requests(parameters_, plan_.keys));
    std::map<std::uint32_t, ckks::KeyShape> shapes;
    for (const ckks::KeyRequest& key : plan_.keys) shapes.emplace(key.element, key.shape);
    const auto find = [&](std::uint32_t element, int level) -> Result<ckks::KeyShape> {
      const auto found = shapes.find(element);
      if (found != shapes.end() && found->second.level >= level) return found->second;
      return Error{ErrorCode::kKeyMissing, "the plan uses the automorphism " + std::to_string(element) +
                                               " at level " + std::to_string(level) +
                                               " but requests no key for it; compile the model again"};
    };
    if (const int level = relinearisation_level(plan_); level >= 0)
      TACIT_CHECK(find(ckks::kRelinearisation, level));

    std::size_t entries = 0;
    for (const Operation& operation : plan_.operations) {
      const auto* linear = std::get_if<Linear>(&operation);
      if (linear == nullptr || plan_.slots == 1) continue;  // numbers rotate nothing
      const Value& in = plan_.values[linear->input];
      const Value& out = plan_.values[linear->output];
      const DiagonalIndices diagonals = diagonal_indices(plan_.maps[linear->map], in.layout, in.period,
                                                         out.layout, out.period, plan_.slots);
      std::set<std::uint32_t> outputs;
      for (const ckks::DiagonalIndex& diagonal : diagonals.indices) outputs.insert(diagonal.output);
      if (outputs.size() != ciphertext_count(out.layout, out.period, plan_.slots))
        return malformed_data("layer \"" + out.name + "\" multiplies by zero only");
      entries += diagonals.indices.size() * diagonals.period;
      if (entries > kMaxDiagonalEntries)
        return Error{ErrorCode::kDataTooLarge, "the plan's diagonals need more memory than is supported"};
      TACIT_TRY(const std::vector<RotationUse> rotations, rotations_of(*linear, diagonals));
      // Babies and giants of one layer are summed before the division by P, so they must share it, unless each is divided.
      std::optional<int> special_count;
      for (const RotationUse& rotation : rotations) {
        TACIT_TRY(const ckks::KeyShape shape, find(element_of(parameters_, rotation), rotation.level));
        if (linear->split.chained) continue;
        if (rotation.role != RotationRole::kBaby && rotation.role != RotationRole::kGiant) continue;
        if (special_count && *special_count != shape.special_count)
          return malformed_data("the keys of layer \"" + out.name +
                                "\" have different numbers of special primes");
        special_count = shape.special_count;
      }
    }
    return {};
  }

  Result<std::vector<RotationUse>> rotations_of(const Linear& linear,
                                                const DiagonalIndices& diagonals) const {
    const int level = plan_.values[linear.input].level;
    if (!linear.split.chained) return required_rotations(diagonals, linear.split, level);
    const auto chains =
        make_chains(diagonals, make_bsgs(diagonals, linear.split), make_tables(plan_, linear, diagonals));
    if (chains) return required_rotations(*chains, plan_.slots, linear.split, level);
    return Error{ErrorCode::kKeyMissing, "the plan's keys do not make up the rotations of layer \"" +
                                             plan_.values[linear.output].name +
                                             "\"; compile the model again"};
  }

  double prime(int level) const { return static_cast<double>(parameters_.prime(level).value()); }

  const Plan& plan_;
  const ckks::Parameters& parameters_;
  std::vector<bool> made_;
};

}  // namespace

int polynomial_depth(std::size_t degree) { return ckks::chebyshev_depth(degree); }

ValueId output_of(const Operation& operation) {
  return std::visit([](const auto& o) { return o.output; }, operation);
}

std::vector<ValueId> inputs_of(const Operation& operation) {
  if (const auto* add = std::get_if<Add>(&operation)) return {add->left, add->right};
  if (const auto* product = std::get_if<Product>(&operation)) return {product->left, product->right};
  if (const auto* step = std::get_if<ClientStep>(&operation)) return step->inputs;
  return {std::visit(
      [](const auto& o) -> ValueId {
        if constexpr (requires { o.input; })
          return o.input;
        else
          return 0;
      },
      operation)};
}

Status Plan::validate() const {
  TACIT_TRY(const ckks::Parameters checked, ckks::Parameters::create(parameters));
  return Validator(*this, checked).run();
}

}  // namespace tacit::plan
