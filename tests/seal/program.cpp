// SPDX-License-Identifier: Apache-2.0
#include "seal/program.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <optional>
#include <random>

#include "ring/modulus.h"

namespace tacit::seal {

using ckks::Parameters;
using ckks::u64;

namespace {

constexpr std::array<const char*, kAllOperations> kNames = {
    "add",           "subtract",  "negate",      "add_plain",       "multiply_plain",
    "multiply",      "square",    "relinearise", "rescale",         "drop",
    "rotate",        "conjugate", "add_scalar",  "multiply_scalar", "relinearise_rescale",
    "rotate_hoisted"};

double magnitude_of(const Slots& slots) {
  double largest = 0;
  for (const auto& x : slots) largest = std::max(largest, std::abs(x));
  return largest;
}

template <class F>
Slots slotwise(std::size_t count, const F& f) {
  Slots out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = f(i);
  return out;
}

// Makes a program case by case. An error counts ten standard deviations, since a product of two normal numbers has a
// long tail, and errors are added as if they met in the worst way.
class Generator {
 public:
  Generator(const ParameterSet& set, const Parameters& parameters, u64 seed, const ProgramOptions& options)
      : set_(set), parameters_(parameters), options_(options) {
    program_.seed = seed;
    random_.seed(seed);
  }

  Program run() {
    const auto slots = static_cast<std::int64_t>(parameters_.slots());
    program_.rotation_steps = {1, -3, slots / 4 + 5};
    for (int i = 0; i < 5; ++i) add_input(i);
    while (static_cast<int>(program_.cases.size()) < set_.cases) add_case();
    return std::move(program_);
  }

 private:
  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  std::size_t index(std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
  }
  double degree() const { return static_cast<double>(parameters_.degree()); }

  double log_modulus(int level) const {
    double sum = 0;
    for (int i = 0; i <= level; ++i) sum += std::log2(static_cast<double>(parameters_.prime(i).value()));
    return sum;
  }
  // Coefficients are at most the slots' magnitude times the scale; half the modulus and a bit more stay free.
  bool fits(int level, double scale, double magnitude) const {
    return std::log2(scale * std::max(1.0, magnitude)) + 2 < log_modulus(level);
  }

  // Slot errors, times the scale. Coefficients of standard deviation d give slots of d sqrt(N).
  double fresh_error() const { return 10 * std::sqrt(degree()) * std::sqrt(10.5 * (1 + 4 * degree() / 3)); }
  double rounding_error() const { return 10 * std::sqrt(degree()) * std::sqrt((1 + 2 * degree() / 3) / 12); }
  double encoding_error() const { return 10 * std::sqrt(degree() / 12); }
  // Digits are uniform in [0, q_i), as in SEAL not centred. Their mean, q_i / 2 times 1 + X + ... + X^(N-1), is largest in
  // the slots nearest to 1, q_i N / pi, and there far above the rest.
  double switching_error(int level) const {
    double sum = 0;
    const double special = static_cast<double>(parameters_.literal().special_primes.front());
    for (int i = 0; i <= level; ++i)
      sum += std::pow(static_cast<double>(parameters_.prime(i).value()) / special, 2);
    const double error = std::sqrt(10.5 * degree() * sum);
    return 10 * std::sqrt(degree() / 3) * error + 4 * degree() / std::numbers::pi * error + rounding_error();
  }

  Slots random_slots(bool complex_slots) {
    return slotwise(parameters_.slots(), [&](std::size_t) -> std::complex<double> {
      const double x = uniform(-1, 1);
      return {x, complex_slots ? uniform(-1, 1) : 0};
    });
  }

  void add_input(int i) {
    Input input;
    input.public_key = i % 2 == 0;
    Value& v = input.value;
    v.name = "x" + std::to_string(i);
    // The first three have the highest level and one scale, so that there is something to add; then other ones.
    v.level = i < 3 ? parameters_.max_level()
                    : static_cast<int>(index(static_cast<std::size_t>(parameters_.max_level()) + 1));
    v.scale = i < 3 ? set_.scale : set_.scale * uniform(0.5, 1.0);
    v.slots = random_slots(options_.complex_slots);
    v.magnitude = magnitude_of(v.slots);
    v.error = (fresh_error() + encoding_error()) / v.scale;
    values_.push_back(v);
    program_.inputs.push_back(std::move(input));
  }

  template <class Predicate>
  const Value* pick(const Predicate& accepted) {
    std::vector<const Value*> candidates;
    for (const Value& v : values_) {
      if (accepted(v)) candidates.push_back(&v);
    }
    return candidates.empty() ? nullptr : candidates[index(candidates.size())];
  }

  // A difference of equals would test little.
  bool acceptable(const Value& v) const {
    return fits(v.level, v.scale, v.magnitude) && v.error <= set_.max_error && v.magnitude > 0x1p-10;
  }

  // A case of the operation of which there are fewest, or of another where none can be found for that.
  void add_case() {
    std::vector<int> order(
        static_cast<std::size_t>(options_.own_operations ? kAllOperations : kSealOperations));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, random_);
    std::ranges::stable_sort(order, {},
                             [&](int operation) { return counts_[static_cast<std::size_t>(operation)]; });
    for (int operation : order) {
      for (int attempt = 0; attempt < 20; ++attempt) {
        if (try_case(static_cast<Operation>(operation))) return;
      }
    }
  }

  bool try_case(Operation operation) {
    Case test;
    test.seed = random_();
    random_.seed(test.seed);
    test.operation = operation;
    if (!fill(test)) return false;
    Value& v = test.value;
    v.name = "c" + std::to_string(program_.cases.size());
    v.magnitude = magnitude_of(v.slots);
    if (!acceptable(v)) return false;
    values_.push_back(v);
    ++counts_[static_cast<std::size_t>(operation)];
    program_.cases.push_back(std::move(test));
    return true;
  }

  // Whether there are operands for it. Fills in all but the name and the magnitude.
  bool fill(Case& test) {
    switch (test.operation) {
      case Operation::kAdd:
      case Operation::kSubtract:
        return fill_sum(test);
      case Operation::kAddPlain:
      case Operation::kMultiplyPlain:
      case Operation::kAddScalar:
      case Operation::kMultiplyScalar:
        return fill_plain(test);
      case Operation::kMultiply:
      case Operation::kSquare:
        return fill_product(test);
      default:
        return fill_unary(test);
    }
  }

  bool fill_sum(Case& test) {
    const Value* a = pick([](const Value&) { return true; });
    const Value* b =
        pick([&](const Value& v) { return v.level == a->level && v.scale == a->scale && v.name != a->name; });
    if (b == nullptr) return false;
    test.operands = {a->name, b->name};
    test.value = *a;
    test.value.size = std::max(a->size, b->size);
    const double sign = test.operation == Operation::kSubtract ? -1 : 1;
    test.value.slots =
        slotwise(a->slots.size(), [&](std::size_t i) { return a->slots[i] + sign * b->slots[i]; });
    test.value.error = a->error + b->error;
    return true;
  }

  bool fill_plain(Case& test) {
    const bool product =
        test.operation == Operation::kMultiplyPlain || test.operation == Operation::kMultiplyScalar;
    const bool scalar =
        test.operation == Operation::kAddScalar || test.operation == Operation::kMultiplyScalar;
    // Far above, the doubles of two encoders would differ by more than one.
    const Value* a = pick([&](const Value& v) { return product || v.scale <= 0x1p46; });
    test.operands = {a->name};
    test.plain_scale = product ? set_.scale * uniform(0.5, 1.0) : a->scale;
    test.constant = uniform(-1, 1);
    const Slots plain = scalar ? Slots(parameters_.slots(), test.constant) : random_slots(false);
    if (!scalar) {
      for (const auto& x : plain) test.plain.push_back(x.real());
    }
    test.value = *a;
    test.value.scale = product ? a->scale * test.plain_scale : a->scale;
    test.value.slots = slotwise(plain.size(), [&](std::size_t i) {
      return product ? a->slots[i] * plain[i] : a->slots[i] + plain[i];
    });
    const double error = encoding_error() / test.plain_scale;
    test.value.error = product ? a->error + a->magnitude * error : a->error + error;
    return true;
  }

  bool fill_product(Case& test) {
    const bool square = test.operation == Operation::kSquare;
    const Value* a = pick([](const Value& v) { return v.size == 2; });
    if (a == nullptr) return false;
    const Value* b = square ? a : pick([&](const Value& v) { return v.size == 2 && v.level == a->level; });
    test.operands = {a->name};
    if (!square) test.operands.push_back(b->name);
    test.value = *a;
    test.value.size = 3;
    test.value.scale = a->scale * b->scale;
    test.value.slots = slotwise(a->slots.size(), [&](std::size_t i) { return a->slots[i] * b->slots[i]; });
    test.value.error = a->magnitude * b->error + b->magnitude * a->error + a->error * b->error;
    return true;
  }

  bool fill_unary(Case& test) {
    const Operation operation = test.operation;
    const bool relinearises =
        operation == Operation::kRelinearise || operation == Operation::kRelineariseRescale;
    const bool rescales = operation == Operation::kRescale || operation == Operation::kRelineariseRescale;
    const bool rotates = operation == Operation::kRotate || operation == Operation::kRotateHoisted;
    auto rescaled = [&](const Value& v) {
      return v.scale / static_cast<double>(parameters_.prime(v.level).value());
    };
    const Value* a = pick([&](const Value& v) {
      if (rescales && (v.level == 0 || rescaled(v) < set_.min_scale)) return false;
      if (operation == Operation::kDrop && v.level == 0) return false;
      if (relinearises) return v.size == 3;
      return !(rotates || operation == Operation::kConjugate) || v.size == 2;
    });
    if (a == nullptr) return false;
    test.operands = {a->name};
    Value& v = test.value = *a;
    const std::size_t count = a->slots.size();
    if (relinearises || rotates || operation == Operation::kConjugate)
      v.error += switching_error(a->level) / a->scale;
    if (relinearises) v.size = 2;
    if (rescales) {
      v.scale = rescaled(*a);
      --v.level;
      // The rounding of a third part meets s^2, whose slots are 2N/3 on average, but of an exponential distribution.
      v.error += rounding_error() / v.scale * (v.size == 3 ? 4 * std::sqrt(2 * degree() / 3) : 1);
    }
    if (operation == Operation::kDrop) v.level = static_cast<int>(index(static_cast<std::size_t>(a->level)));
    if (operation == Operation::kNegate)
      v.slots = slotwise(count, [&](std::size_t i) { return -a->slots[i]; });
    if (operation == Operation::kConjugate) {
      v.slots = slotwise(count, [&](std::size_t i) { return std::conj(a->slots[i]); });
    }
    if (rotates) {
      test.step = program_.rotation_steps[index(program_.rotation_steps.size())];
      const auto shift = static_cast<std::size_t>((test.step + static_cast<std::int64_t>(count)) %
                                                  static_cast<std::int64_t>(count));
      v.slots = slotwise(count, [&](std::size_t i) { return a->slots[(i + shift) % count]; });
    }
    return true;
  }

  const ParameterSet& set_;
  const Parameters& parameters_;
  ProgramOptions options_;
  std::mt19937_64 random_;
  Program program_;
  std::vector<Value> values_;
  std::array<int, kAllOperations> counts_{};
};

}  // namespace

std::string to_string(Operation operation) { return kNames[static_cast<std::size_t>(operation)]; }

ckks::ParametersLiteral literal_of(const ParameterSet& set) {
  std::map<int, std::vector<u64>>
      primes;  // of each size, in the reverse of the order in which they are handed out
  for (int bits : set.bits) primes[bits].push_back(0);
  for (auto& [bits, list] : primes) {
    list = ring::ntt_primes(set.log_degree, bits, list.size(), set.seal_primes || bits == set.bits.back());
  }
  ckks::ParametersLiteral literal;
  literal.log_degree = set.log_degree;
  for (std::size_t i = 0; i < set.bits.size(); ++i) {
    std::vector<u64>& list = primes[set.bits[i]];
    (i + 1 < set.bits.size() ? literal.primes : literal.special_primes).push_back(list.back());
    list.pop_back();
  }
  return literal;
}

Program random_program(const ParameterSet& set, const Parameters& parameters, u64 seed,
                       const ProgramOptions& options) {
  return Generator(set, parameters, seed, options).run();
}

Program boundary_program(const Parameters& parameters, double scale, int inputs) {
  Program program;
  program.rotation_steps = {1};
  const int level = parameters.max_level();
  for (int i = 0; i < inputs; ++i) {
    program.inputs.push_back({{"x" + std::to_string(i), level, scale, 2, {}, 0, 0}, false});
  }
  auto add = [&](Operation operation, std::vector<std::string> operands, Value value) {
    Case test;
    value.name = "c" + std::to_string(program.cases.size());
    test.operation = operation;
    test.operands = std::move(operands);
    test.step = operation == Operation::kRotate ? 1 : 0;
    test.value = std::move(value);
    program.cases.push_back(test);
    return test.value;
  };
  for (int i = 0; i < inputs; ++i) {
    const Value a = program.inputs[static_cast<std::size_t>(i)].value;
    const Value b = program.inputs[static_cast<std::size_t>((i + 1) % inputs)].value;
    add(Operation::kAdd, {a.name, b.name}, a);
    add(Operation::kSubtract, {a.name, b.name}, a);
    add(Operation::kNegate, {a.name}, a);
    add(Operation::kRotate, {a.name}, a);
    add(Operation::kConjugate, {a.name}, a);
    Value product = a;
    product.size = 3;
    product.scale = scale * scale;
    add(Operation::kSquare, {a.name}, product);
    product = add(Operation::kMultiply, {a.name, b.name}, product);
    Value pair = product;
    pair.size = 2;
    add(Operation::kRelinearise, {product.name}, pair);
    for (const Value& source : {a, product}) {
      Value rescaled = source;
      --rescaled.level;
      rescaled.scale /= static_cast<double>(parameters.prime(level).value());
      add(Operation::kRescale, {source.name}, rescaled);
    }
    Value dropped = a;
    dropped.level = 0;
    add(Operation::kDrop, {a.name}, dropped);
  }
  return program;
}

nlohmann::json to_json(const ParameterSet& set, const Program& program) {
  using nlohmann::json;
  json root;
  root["set"] = set.name;
  root["seed"] = program.seed;
  root["bits"] = set.seal_primes ? json(set.bits) : json(nullptr);
  // SEAL makes the key for conjugation where it reads 0.
  root["galois_steps"] = program.rotation_steps;
  root["galois_steps"].push_back(0);
  auto expected = [](const Value& value) {
    return value.slots.empty() ? json(nullptr) : json(value.name + ".f64");
  };
  root["inputs"] = json::array();
  for (const Input& input : program.inputs) {
    root["inputs"].push_back({{"name", input.value.name},
                              {"level", input.value.level},
                              {"scale", input.value.scale},
                              {"public_key", input.public_key},
                              {"expected", expected(input.value)}});
  }
  root["cases"] = json::array();
  for (const Case& test : program.cases) {
    const bool plain = !test.plain.empty();
    root["cases"].push_back({{"name", test.value.name},
                             {"seed", test.seed},
                             {"operation", to_string(test.operation)},
                             {"in_seal", in_seal(test.operation)},
                             {"operands", test.operands},
                             {"step", test.step},
                             {"level", test.value.level},
                             {"plain_scale", plain ? json(test.plain_scale) : json(nullptr)},
                             {"plain_level", test.value.level},
                             {"expected", expected(test.value)}});
  }
  return root;
}

}  // namespace tacit::seal
