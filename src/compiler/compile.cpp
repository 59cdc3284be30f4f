// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ckks/wire.h"
#include "compiler/chain.h"
#include "compiler/chained_splits.h"
#include "compiler/emit.h"
#include "compiler/levels.h"
#include "compiler/lower.h"
#include "compiler/maxima.h"
#include "compiler/partition.h"
#include "compiler/result_noise.h"
#include "graph/simplify.h"
#include "graph/text.h"
#include "runtime/cost.h"
#include "runtime/memory.h"
#include "runtime/noise.h"

namespace tacit::compiler {

namespace {

// So many calibration images are run through the plan, in the clear and with noise.
constexpr std::size_t kCheckedImages = 8;
constexpr std::uint64_t kNoiseSeed = 1;
// And so many of them once more, to see what noise does to every result: there are thousands of slots in each.
constexpr std::size_t kMeasuredImages = 2;
// A value is spread over at most so many ciphertexts.
constexpr std::size_t kMaxCiphertexts = 16;
// Measured noise varies from one simulation to the next.
constexpr double kNoiseSlack = 1.25;

struct Candidate {
  plan::Package package;
  int scale_bits = 0;
  double price = 0;  // milliseconds, plus what the keys' bytes are worth
  double clear_error = 0;
  double noise = 0;
  std::uint64_t memory = 0;
};

// Everything that the search for parameters needs.
struct Problem {
  const graph::Graph& graph;
  const Schedule& schedule;
  const Options& options;
  std::span<const graph::Tensor> images;
  std::vector<Elements> expected;  // the network's outputs for them
  // By slot count, layer_diagonals.
  mutable std::map<std::size_t, std::vector<plan::DiagonalIndices>> diagonals;
  // By slot count, of chained layers.
  mutable std::map<std::size_t, std::vector<StepLevel>> steps;
  double largest_output = 0;  // over all calibration images
  bool small_keys = false;    // as few and small as can be
};

plan::Package make_package(const Problem& problem, plan::Plan plan) {
  plan::Package package;
  package.client = plan::client_half_of(plan);
  package.client.name = problem.options.name;
  package.client.labels = problem.options.labels;
  package.client.preprocessing = problem.options.preprocessing;
  const auto channels = static_cast<std::size_t>(problem.graph.input_shape().channels);
  if (package.client.preprocessing.mean.empty()) package.client.preprocessing.mean.assign(channels, 0.0);
  if (package.client.preprocessing.deviation.empty())
    package.client.preprocessing.deviation.assign(channels, 1.0);
  // A softmax at the end, exported or not, is what turns a classifier's outputs into probabilities.
  package.client.softmax =
      problem.graph.output_function != graph::OutputFunction::kIdentity || !problem.options.labels.empty();
  package.plan = std::move(plan);
  return package;
}

Error internal(const std::string& what) {
  return Error{ErrorCode::kCompileInternal, "the plan does not compute what the network does: " + what};
}

// Runs the checked images through the plan with noise: the root of the mean square error beside the largest output.
Status measure_noise(const Problem& problem, Candidate& candidate) {
  const plan::Package& package = candidate.package;
  const runtime::ClearArithmetic clear(package.plan);
  auto noisy = runtime::NoiseArithmetic::create(clear, kNoiseSeed);
  if (!noisy.ok()) return internal(noisy.error().message);
  double square_sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < problem.images.size(); ++i) {
    auto simulated = runtime::simulate(package.client, *noisy, problem.images[i].data);
    if (!simulated.ok()) return internal(simulated.error().message);
    for (std::size_t j = 0; j < simulated->size(); ++j) {
      const double noise = ((*simulated)[j] - problem.expected[i][j]) / problem.largest_output;
      square_sum += noise * noise;
      ++count;
    }
  }
  const double noise = std::sqrt(square_sum / static_cast<double>(count));
  // As large as the outputs it leaves nothing of them. Values that it takes out of a polynomial's interval soon are no numbers.
  candidate.noise = noise < 1 ? noise : 1;
  return {};
}

// The finished plan is valid and computes what the network does, in the clear.
Status check_candidate(const Problem& problem, Candidate& candidate) {
  TACIT_CHECK(check_plan(candidate.package.plan));
  runtime::ClearArithmetic clear(candidate.package.plan);
  for (std::size_t i = 0; i < problem.images.size(); ++i) {
    auto exact = runtime::simulate(candidate.package.client, clear, problem.images[i].data);
    if (!exact.ok()) return internal(exact.error().message);
    for (std::size_t j = 0; j < exact->size(); ++j) {
      const double y = (*exact)[j];
      if (!std::isfinite(y)) return internal("an output is not finite");
      candidate.clear_error =
          std::max(candidate.clear_error, std::abs(y - problem.expected[i][j]) / problem.largest_output);
    }
  }
  if (candidate.clear_error <= kClearTolerance) return {};
  return internal("in the clear its outputs differ by " + std::to_string(candidate.clear_error) +
                  " of the largest one");
}

Result<std::span<const plan::DiagonalIndices>> diagonals_for(const Problem& problem, std::size_t slots) {
  if (problem.schedule.by_elements) return std::span<const plan::DiagonalIndices>();
  auto [place, added] = problem.diagonals.try_emplace(slots);
  if (added) { TACIT_TRY(place->second, layer_diagonals(problem.schedule, slots)); }
  return std::span<const plan::DiagonalIndices>(place->second);
}

// Searched for once in a ring: scales move prices little.
const std::vector<StepLevel>& steps_for(const Problem& problem, const ckks::Parameters& parameters,
                                        std::span<const plan::DiagonalIndices> diagonals) {
  const auto [place, added] = problem.steps.try_emplace(parameters.slots());
  if (added) place->second = find_steps(parameters, linear_uses(problem.schedule, diagonals));
  return place->second;
}

// Not checked yet.
Result<Candidate> plan_candidate(const Problem& problem, int log_degree, int scale_bits, int special_count) {
  TACIT_TRY(ckks::ParametersLiteral literal,
            make_chain(log_degree, scale_bits, problem.schedule.depth(), special_count));
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(std::move(literal)));
  TACIT_TRY(const std::span<const plan::DiagonalIndices> diagonals,
            diagonals_for(problem, parameters.slots()));
  KeyGoal keys{problem.options.key_budget, {}};
  if (problem.small_keys) keys.steps = steps_for(problem, parameters, diagonals);
  TACIT_TRY(plan::Plan plan,
            make_plan(problem.schedule, parameters, std::ldexp(1.0, scale_bits), keys, diagonals));
  Candidate candidate;
  candidate.scale_bits = scale_bits;
  TACIT_TRY(const runtime::PlanCost cost, runtime::cost_of(plan, diagonals));
  TACIT_TRY(const runtime::MemoryEstimate memory, runtime::estimate_memory(plan, diagonals));
  candidate.memory = memory.total();
  double key_bytes = 0;
  for (const ckks::KeyRequest& key : plan.keys)
    key_bytes += static_cast<double>(ckks::key_bytes(parameters, key.shape));
  candidate.price = ckks::estimate_ms(cost.total, fixed_unit_costs(parameters)) +
                    (problem.small_keys ? kSmallKeysPrice : kBytePrice) * 1e-6 * key_bytes;
  candidate.package = make_package(problem, std::move(plan));
  return candidate;
}

Result<Candidate> make_candidate(const Problem& problem, int log_degree, int scale_bits, int special_count) {
  TACIT_TRY(Candidate candidate, plan_candidate(problem, log_degree, scale_bits, special_count));
  TACIT_CHECK(measure_noise(problem, candidate));
  return candidate;
}

// What is left of the modulus may go into more special primes: larger digits, fewer of them, smaller keys.
Result<Candidate> with_special_primes(const Problem& problem, int log_degree, Candidate best) {
  std::optional<Candidate> cheapest;
  for (int count = 2; count <= kMaxSpecialCount; ++count) {
    if (!make_chain(log_degree, best.scale_bits, problem.schedule.depth(), count).ok()) break;
    TACIT_TRY(Candidate candidate, plan_candidate(problem, log_degree, best.scale_bits, count));
    if (candidate.price < (cheapest ? cheapest->price : best.price)) cheapest = std::move(candidate);
  }
  if (!cheapest) return best;
  TACIT_CHECK(measure_noise(problem, *cheapest));
  if (cheapest->noise > std::max(best.noise, kNoiseTarget) * kNoiseSlack) return best;
  return std::move(*cheapest);
}

// The smallest scale that brings the noise below its target at this ring size, or else the largest that there
// is. Nothing where the ring cannot hold the levels.
Result<std::optional<Candidate>> best_at(const Problem& problem, int log_degree) {
  const int depth = problem.schedule.depth();
  int high = kMaxScaleBits;
  while (high >= kMinScaleBits && !make_chain(log_degree, high, depth).ok()) --high;
  if (high < kMinScaleBits) return std::optional<Candidate>();
  const auto candidate_at = [&](int bits) { return make_candidate(problem, log_degree, bits, 1); };
  TACIT_TRY(Candidate best, candidate_at(high));
  int low = kMinScaleBits;
  while (best.noise <= kNoiseTarget && low < high) {
    const int middle = (low + high) / 2;
    // Of smaller primes there are fewer.
    if (!make_chain(log_degree, middle, depth).ok()) {
      low = middle + 1;
      continue;
    }
    TACIT_TRY(Candidate candidate, candidate_at(middle));
    if (candidate.noise <= kNoiseTarget) {
      best = std::move(candidate);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  TACIT_TRY(best, with_special_primes(problem, log_degree, std::move(best)));
  return std::optional<Candidate>(std::move(best));
}

// best_at, within the memory that there is: where it is not enough, with keys as small as they can be.
Result<std::optional<Candidate>> best_within(const Problem& problem, int log_degree) {
  TACIT_TRY(std::optional<Candidate> best, best_at(problem, log_degree));
  const std::uint64_t budget = problem.options.memory_budget;
  if (!best || budget == 0 || best->memory <= budget || problem.small_keys) return best;
  Problem smaller = problem;
  smaller.small_keys = true;
  TACIT_TRY(std::optional<Candidate> small, best_at(smaller, log_degree));
  return small && small->memory < best->memory ? std::move(small) : std::move(best);
}

RingTrial trial_of(int log_degree, const std::optional<Candidate>& candidate, std::string verdict) {
  RingTrial trial;
  trial.log_degree = log_degree;
  trial.log_limit = ckks::max_log_modulus(log_degree);
  trial.verdict = std::move(verdict);
  if (!candidate) return trial;
  trial.scale_bits = candidate->scale_bits;
  trial.noise = candidate->noise;
  trial.memory = candidate->memory;
  const ckks::ParametersLiteral& literal = candidate->package.plan.parameters;
  for (const auto* primes : {&literal.primes, &literal.special_primes})
    for (ckks::u64 prime : *primes) trial.log_qp += std::log2(static_cast<double>(prime));
  return trial;
}

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000) + " MB"; }

// compile.too-wide, naming the value, where one takes too many ciphertexts even in the largest ring.
Status check_widths(const Schedule& schedule) {
  const auto widest = std::ranges::max_element(schedule.packing, {}, &Packing::period);
  if (schedule.by_elements || widest->period <= kMaxCiphertexts * plan::kMaxSlots) return {};
  const auto value = static_cast<ValueIndex>(widest - schedule.packing.begin());
  const Network& network = schedule.network;
  return Error{ErrorCode::kCompileTooWide,
               (value == network.input ? "the network's input " : "node ") +
                   graph::in_quotes(network.values[value].name) + ": a value of shape " +
                   to_string(network.values[value].shape) + " takes " + std::to_string(widest->period) +
                   " slots, which are " + std::to_string(widest->period / plan::kMaxSlots) +
                   " ciphertexts of the largest ring, at most " + std::to_string(kMaxCiphertexts) +
                   " are supported; use smaller images, fewer channels there, or a larger stride before it, "
                   "or let the "
                   "client compute the first layers (--layers)"};
}

// The layer with the most elements in its result, as messages name it.
std::string widest_layer(const Network& network) {
  const auto widest = std::ranges::max_element(
      network.layers, {}, [&](const Layer& layer) { return network.values[layer.output].shape.elements(); });
  return "node " + graph::in_quotes(widest->name) + " of shape " +
         to_string(network.values[widest->output].shape);
}

// The polynomial of the highest degree, or else the first square, at which a network of smaller numbers would gain most.
std::string steepest_layer(const Network& network) {
  const auto degree = [](const Layer& layer) -> std::size_t {
    if (const auto* polynomial = std::get_if<PolynomialLayer>(&layer.operation))
      return polynomial->coefficients.size() - 1;
    return std::holds_alternative<SquareLayer>(layer.operation) ? 2 : 1;
  };
  const auto steepest = std::ranges::max_element(network.layers, {}, degree);
  return "node " + graph::in_quotes(steepest->name) + " of degree " + std::to_string(degree(*steepest));
}

// The cheapest of the rings that hold the levels with noise that can be borne and within the memory that there is. A larger
// ring needs fewer ciphertexts for each value; once it needs only one, nothing is gained by a still larger one. `trials` says
// what was found in each ring.
Result<Candidate> search_parameters(const Problem& problem, std::vector<RingTrial>& trials) {
  TACIT_CHECK(check_widths(problem.schedule));
  double least_noise = 1;  // of a ring that holds the levels; the largest one does (assign_levels)
  std::optional<std::uint64_t> least_memory;
  std::optional<Candidate> best;
  std::size_t best_trial = 0;
  const std::size_t widest = problem.schedule.largest_period();
  const std::uint64_t budget = problem.options.memory_budget;
  for (int log_degree = ckks::kMinLogDegree; log_degree <= ckks::kMaxLogDegree; ++log_degree) {
    const std::size_t slots = std::size_t{1} << (log_degree - 1);
    // With a ciphertext for each element, a larger ring holds more images, but each takes as long.
    const bool whole = problem.schedule.by_elements || widest <= slots;
    if (!whole && widest > kMaxCiphertexts * slots) {
      trials.push_back(trial_of(log_degree, {},
                                "a value of " + std::to_string(widest) + " slots would take more than " +
                                    std::to_string(kMaxCiphertexts) + " ciphertexts"));
      continue;
    }
    problem.options.progress("looking for parameters in the ring of degree 2^" + std::to_string(log_degree));
    TACIT_TRY(std::optional<Candidate> candidate, best_within(problem, log_degree));
    RingTrial& trial = trials.emplace_back(trial_of(log_degree, candidate, ""));
    if (!candidate) {
      trial.verdict = "primes for " + std::to_string(problem.schedule.depth()) +
                      " levels are more than the security bound lets through";
      continue;
    }
    least_noise = std::min(least_noise, candidate->noise);
    const bool fits = budget == 0 || candidate->memory <= budget;
    if (candidate->noise > kNoiseLimit) {
      trial.verdict = "too noisy even at the largest scale that the security bound lets through";
    } else if (!fits) {
      least_memory = std::min(least_memory.value_or(candidate->memory), candidate->memory);
      trial.verdict = "a server would need more memory than was allowed";
    } else {
      if (best && candidate->price >= best->price) {
        trial.verdict = "costs more than the ring before";
        break;
      }
      if (best) trials[best_trial].verdict = "costs more than the next ring";
      best = std::move(candidate);
      best_trial = trials.size() - 1;
    }
    if ((best || !fits) && whole) break;
  }
  if (best) {
    trials[best_trial].taken = true;
    trials[best_trial].verdict = best->noise <= kNoiseTarget
                                     ? "the smallest scale that reaches the noise target"
                                     : "the largest scale here; its noise can be borne";
    return std::move(*best);
  }
  if (least_memory)
    return Error{ErrorCode::kCompileMemory,
                 "a server would need " + megabytes(*least_memory) + " for the model, " + megabytes(budget) +
                     " are allowed; allow more with --memory, let the client refresh ciphertexts "
                     "(--refresh), encrypt fewer "
                     "layers (--layers), or use fewer channels or smaller images: the widest layer is " +
                     widest_layer(problem.schedule.network)};
  return Error{ErrorCode::kCompilePrecision,
               "the noise of encryption would be " + std::to_string(least_noise) +
                   " of the largest output even in the largest ring; let the client refresh ciphertexts "
                   "(--refresh), encrypt fewer "
                   "layers (--layers), ask for less (--agreement), or train the network with batch "
                   "normalisation or weight "
                   "decay so that its values keep one size: the steepest layer is " +
                   steepest_layer(problem.schedule.network)};
}

// What would otherwise be found at the very end.
Status check_options(const graph::Graph& graph, const Options& options) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto rest = [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; };
  if (options.name.empty() || options.name.size() > 64 || !letter(options.name.front()) ||
      !std::all_of(options.name.begin(), options.name.end(), rest))
    return Error{ErrorCode::kInvalidArgument,
                 "a model's name must have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a "
                 "letter or digit"};
  const auto outputs = static_cast<std::size_t>(graph.output_shape().size());
  if (!options.labels.empty() && options.labels.size() != outputs)
    return Error{ErrorCode::kInvalidArgument, "there are " + std::to_string(options.labels.size()) +
                                                  " labels, but the network has " + std::to_string(outputs) +
                                                  " outputs"};
  return {};
}

}  // namespace

Result<Compiled> compile(const graph::Graph& given, std::span<const graph::Tensor> calibration,
                         const Options& options) {
  TACIT_CHECK(graph::validate(given));
  graph::Graph graph = graph::simplify(given);
  PartitionOptions partition;
  partition.refresh = options.refresh;
  if (!options.layers.empty()) {
    TACIT_TRY(partition.layers, find_layers(graph, options.layers));
    if (!options.client_rest) graph = cut_after(graph, partition.layers->last);
  }
  TACIT_CHECK(check_options(graph, options));
  TACIT_TRY(WithoutMaxima rewritten, replace_maxima(graph, choose_client_nodes(graph, partition)));
  graph = std::move(rewritten.graph);
  const ClientNodes client = std::move(rewritten.client);
  TACIT_TRY(const Calibration calibrated, calibrate(graph, calibration,
                                                    {client, options.margin, options.agreement,
                                                     options.degree, options.relu, options.progress}));
  TACIT_TRY(Network network, lower(graph, calibrated.approximations, client));
  TACIT_TRY(const Schedule schedule, make_schedule(std::move(network), calibrated.ranges, options.margin,
                                                   options.mode == Mode::kThroughput ? PackingStyle::kElements
                                                                                     : PackingStyle::kImage));

  Problem problem{graph,
                  schedule,
                  options,
                  calibration.first(std::min(kCheckedImages, calibration.size())),
                  {},
                  {},
                  {},
                  0,
                  options.mode == Mode::kSmallKeys};
  for (const graph::Tensor& image : problem.images)
    problem.expected.push_back(
        evaluate_graph(graph, calibrated.approximations, Elements(image.data.begin(), image.data.end())));
  problem.largest_output = calibrated.ranges[graph.output].largest();
  if (problem.largest_output == 0) problem.largest_output = 1;

  Compiled compiled;
  TACIT_TRY(Candidate candidate, search_parameters(problem, compiled.record.trials));
  TACIT_CHECK(check_candidate(problem, candidate));
  TACIT_CHECK(measure_result_noise(candidate.package,
                                   problem.images.first(std::min(kMeasuredImages, problem.images.size()))));
  TACIT_CHECK(fill_costs(candidate.package));
  if (Status status = plan::validate(candidate.package.client); !status.ok())
    return Error{ErrorCode::kInvalidArgument, status.error().message};
  TACIT_TRY(compiled.report, describe(candidate.package));
  compiled.package = std::move(candidate.package);
  compiled.fits = calibrated.fits;
  compiled.relative_error = calibrated.relative_error;
  compiled.agreement = calibrated.agreement;
  compiled.clear_error = candidate.clear_error;
  compiled.noise = candidate.noise;
  Record& record = compiled.record;
  record.images = calibration.size();
  record.depth = schedule.depth();
  record.noise_target = kNoiseTarget, record.noise_limit = kNoiseLimit;
  record.memory_budget = options.memory_budget;
  record.fits = compiled.fits;
  record.relative_error = compiled.relative_error, record.agreement = compiled.agreement;
  record.noise = compiled.noise, record.clear_error = compiled.clear_error;
  compiled.approximations = calibrated.approximations;
  compiled.graph = std::move(graph);
  return compiled;
}

}  // namespace tacit::compiler
