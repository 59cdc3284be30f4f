// SPDX-License-Identifier: Apache-2.0
#include "compiler/accuracy.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/parallel.h"
#include "base/printable.h"
#include "runtime/cost.h"
#include "runtime/local_noise.h"

namespace tacit::compiler {

namespace {

constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kSimulatedImages = 64;
// So many images are run with one activation replaced, or one operation noisy.
constexpr std::size_t kReplacedImages = 32, kLocalImages = 8;
// A simulation multiplies and adds about plaintext products times slots; simulations of one kind may take so many.
constexpr double kSimulatedWork = 4e10;

template <class Vector>
std::size_t index_of_largest(const Vector& y) {
  return static_cast<std::size_t>(std::max_element(y.begin(), y.end()) - y.begin());
}

// Sums over the elements of images.
struct ErrorSum {
  double largest = 0, absolute = 0, square = 0, count = 0;

  template <class A, class B>
  void add(const A& actual, const B& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double error = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
      largest = std::max(largest, error);
      absolute += error;
      square += error * error;
      count += 1;
    }
  }
  double rms() const { return count == 0 ? 0 : std::sqrt(square / count); }
  OutputError over(double largest_output) const {
    if (count == 0) return {};
    const double bits = rms() == 0 ? kMostBits : std::log2(largest_output / rms());
    return {largest, absolute / count, std::clamp(bits, 0.0, kMostBits)};
  }
};

// One for each image, summed up in their order, so that threads do not change the result.
double total_rms(std::span<const ErrorSum> sums) {
  ErrorSum total;
  for (const ErrorSum& sum : sums) total.square += sum.square, total.count += sum.count;
  return total.rms();
}

double largest_of(const Elements& y) {
  double result = 0;
  for (double x : y) result = std::max(result, std::abs(x));
  return result;
}

class Measurement {
 public:
  Measurement(const Subject& subject, const OutputReference& reference)
      : subject_(subject), reference_(reference), clear_(subject.package.plan) {}

  Result<Accuracy> run() {
    accuracy_.labelled = !reference_.labels.empty();
    accuracy_.largest_output = reference_.largest_output;
    const std::vector<std::size_t> all = spread(subject_.images.size(), subject_.images.size());
    accuracy_.original = compare_outputs(reference_, all, as_floats(reference_.original));
    accuracy_.polynomial = compare_outputs(reference_, all, as_floats(reference_.polynomial));
    accuracy_.original.from_polynomial = accuracy_.polynomial.from_polynomial = {};
    name_layers();
    measure_polynomials();
    TACIT_TRY(const runtime::PlanCost cost, runtime::cost_of(subject_.package.plan));
    const double work = static_cast<double>(cost.total.plaintext_products + 1) *
                        static_cast<double>(subject_.package.plan.slots);
    const auto affordable = [&](std::size_t runs, std::size_t images) {
      const auto count = static_cast<std::size_t>(kSimulatedWork / (work * static_cast<double>(runs)));
      return std::clamp<std::size_t>(count, 1, images);
    };
    TACIT_CHECK(measure_noise(spread(subject_.images.size(), affordable(1, kSimulatedImages))));
    TACIT_CHECK(measure_local_noise(
        spread(subject_.images.size(), affordable(accuracy_.layers.size(), kLocalImages))));
    return std::move(accuracy_);
  }

 private:
  static std::vector<std::vector<float>> as_floats(const std::vector<Elements>& outputs) {
    std::vector<std::vector<float>> result;
    for (const Elements& y : outputs) result.emplace_back(y.begin(), y.end());
    return result;
  }

  const plan::Plan& plan() const { return subject_.package.plan; }

  // The encryption of the input, then what the server makes.
  void name_layers() {
    accuracy_.layers.push_back({plan().values[plan().input].name});
    places_.push_back(plan().input);
    for (const plan::Operation& operation : plan().operations) {
      if (std::holds_alternative<plan::ClientStep>(operation)) continue;
      places_.push_back(plan::output_of(operation));
      accuracy_.layers.push_back({plan().values[places_.back()].name});
    }
  }

  // The layer of a node: the first that has its name. A polynomial of degree 1 has become part of the layer after it, and
  // gets an entry of its own.
  std::size_t layer_of(const std::string& node) {
    const std::string name = printable(node, kNameBytes);
    for (std::size_t i = 1; i < accuracy_.layers.size(); ++i)
      if (accuracy_.layers[i].name == name) return i;
    accuracy_.layers.push_back({name});
    return accuracy_.layers.size() - 1;
  }

  void measure_polynomials() {
    const graph::Graph& graph = subject_.graph;
    const std::vector<std::size_t> which = spread(subject_.images.size(), kReplacedImages);
    std::vector<std::size_t> replaced;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i)
      if (subject_.approximations[i]) replaced.push_back(i);
    const Approximations none(graph.nodes.size());
    const std::size_t values = graph.values.size();
    std::vector<std::vector<ErrorSum>> effects(replaced.size(), std::vector<ErrorSum>(which.size()));
    std::vector<std::vector<ErrorSum>> gathered(values, std::vector<ErrorSum>(which.size()));
    std::vector<std::vector<double>> largest(values, std::vector<double>(which.size()));
    parallel_for(which.size(), [&](std::size_t k) {
      const graph::Tensor& image = subject_.images[which[k]];
      const Elements input(image.data.begin(), image.data.end());
      const std::vector<Elements> exact = evaluate_values(graph, none, input);
      const std::vector<Elements> approximate = evaluate_values(graph, subject_.approximations, input);
      for (std::size_t v = 0; v < values; ++v) {
        gathered[v][k].add(approximate[v], exact[v]);
        largest[v][k] = largest_of(exact[v]);
      }
      for (std::size_t r = 0; r < replaced.size(); ++r) {
        Approximations one(graph.nodes.size());
        one[replaced[r]] = subject_.approximations[replaced[r]];
        const std::vector<Elements> changed = evaluate_values(graph, one, input, &exact, replaced[r]);
        const Elements& output = changed[graph.output];
        effects[r][k].add(output.empty() ? exact[graph.output] : output, exact[graph.output]);
      }
    });
    for (std::size_t r = 0; r < replaced.size(); ++r)
      accuracy_.layers[layer_of(graph.nodes[replaced[r]].name)].polynomial =
          total_rms(effects[r]) / reference_.largest_output;
    for (const graph::Node& node : graph.nodes) {
      const double size = *std::ranges::max_element(largest[node.output]);
      if (size == 0) continue;
      const std::string name = printable(node.name, kNameBytes);
      largest_[name] = size;
      for (LayerLoss& layer : accuracy_.layers)
        if (layer.name == name) layer.polynomial_so_far = total_rms(gathered[node.output]) / size;
    }
  }

  // Runs simulate(k) for each k below `count`, on all threads; the first error of the lowest k.
  template <class F>
  static Status for_each(std::size_t count, const F& simulate) {
    std::vector<Status> statuses(count);
    parallel_for(count, [&](std::size_t k) { statuses[k] = simulate(k); });
    for (Status& status : statuses) TACIT_CHECK(status);
    return {};
  }

  // The noise of all operations: outputs, and the values on the way beside those of a run in the clear.
  Status measure_noise(const std::vector<std::size_t>& which) {
    std::vector<std::vector<float>> outputs(which.size());
    std::vector<std::vector<ErrorSum>> gathered(places_.size(), std::vector<ErrorSum>(which.size()));
    const auto run = [&](std::size_t k) -> Status {
      std::map<plan::ValueId, std::vector<double>> exact;
      runtime::ClearArithmetic clear = clear_;
      const std::vector<float>& image = subject_.images[which[k]].data;
      const auto keep = [&](plan::ValueId id, const runtime::ClearVector& v) { exact[id] = v.slots; };
      TACIT_CHECK(runtime::simulate(subject_.package.client, clear, image, keep));
      TACIT_TRY(runtime::NoiseArithmetic noisy, runtime::NoiseArithmetic::create(clear, kSeed + k));
      const auto compare = [&](plan::ValueId id, const runtime::ClearVector& v) {
        const auto place = std::ranges::find(places_, id);
        if (place != places_.end())
          gathered[static_cast<std::size_t>(place - places_.begin())][k].add(v.slots, exact[id]);
      };
      TACIT_TRY(outputs[k], runtime::simulate(subject_.package.client, noisy, image, compare));
      return {};
    };
    TACIT_CHECK(for_each(which.size(), run));
    accuracy_.simulated = compare_outputs(reference_, which, outputs);
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const plan::Value& value = plan().values[places_[i]];
      const auto known = largest_.find(value.name);
      const double size = known != largest_.end() ? known->second / value.range : value.bound;
      if (size > 0) accuracy_.layers[i].noise_so_far = total_rms(gathered[i]) / size;
    }
    return {};
  }

  Status measure_local_noise(const std::vector<std::size_t>& which) {
    std::vector<std::vector<float>> exact(which.size());
    TACIT_CHECK(for_each(which.size(), [&](std::size_t k) -> Status {
      runtime::ClearArithmetic clear = clear_;
      TACIT_TRY(exact[k], runtime::simulate(subject_.package.client, clear, subject_.images[which[k]].data));
      return {};
    }));
    std::vector<ErrorSum> effects(places_.size() * which.size());
    TACIT_CHECK(for_each(effects.size(), [&](std::size_t run) -> Status {
      const std::size_t place = run / which.size(), k = run % which.size();
      TACIT_TRY(auto noisy, runtime::LocalNoiseArithmetic::create(
                                clear_, kSeed + k,
                                place == 0 ? std::nullopt : std::optional<plan::ValueId>(places_[place])));
      TACIT_TRY(
          const std::vector<float> y,
          runtime::simulate(subject_.package.client, noisy, subject_.images[which[k]].data, noisy.observe()));
      effects[run].add(y, exact[k]);
      return {};
    }));
    for (std::size_t place = 0; place < places_.size(); ++place)
      accuracy_.layers[place].noise =
          total_rms(std::span(effects).subspan(place * which.size(), which.size())) /
          reference_.largest_output;
    return {};
  }

  // As emit cuts the names of a plan's values.
  static constexpr std::size_t kNameBytes = 200;

  const Subject& subject_;
  const OutputReference& reference_;
  runtime::ClearArithmetic clear_;
  Accuracy accuracy_;
  std::vector<plan::ValueId> places_;      // of the first layers
  std::map<std::string, double> largest_;  // number that a node's value has
};

}  // namespace

const LayerLoss* Accuracy::worst() const {
  const auto found = std::ranges::max_element(layers, {}, &LayerLoss::largest);
  return found == layers.end() || found->largest() == 0 ? nullptr : &*found;
}

OutputReference make_reference(const Subject& subject) {
  OutputReference reference;
  const std::size_t count = subject.images.size();
  reference.original.resize(count);
  reference.polynomial.resize(count);
  reference.labels.assign(subject.labels.begin(), subject.labels.end());
  const Approximations none(subject.graph.nodes.size());
  parallel_for(count, [&](std::size_t i) {
    const Elements input(subject.images[i].data.begin(), subject.images[i].data.end());
    reference.original[i] = evaluate_graph(subject.graph, none, input);
    reference.polynomial[i] = evaluate_graph(subject.graph, subject.approximations, input);
  });
  double largest = 0;
  for (const Elements& y : reference.original) largest = std::max(largest, largest_of(y));
  if (largest > 0) reference.largest_output = largest;
  return reference;
}

NetworkAccuracy compare_outputs(const OutputReference& reference, std::span<const std::size_t> which,
                                std::span<const std::vector<float>> outputs) {
  NetworkAccuracy result;
  ErrorSum original, polynomial;
  for (std::size_t k = 0; k < which.size(); ++k) {
    const std::size_t label = index_of_largest(outputs[k]);
    ++result.images;
    result.agreeing += label == index_of_largest(reference.original[which[k]]) ? 1 : 0;
    if (!reference.labels.empty()) result.right += label == reference.labels[which[k]] ? 1 : 0;
    original.add(outputs[k], reference.original[which[k]]);
    polynomial.add(outputs[k], reference.polynomial[which[k]]);
  }
  result.from_original = original.over(reference.largest_output);
  result.from_polynomial = polynomial.over(reference.largest_output);
  return result;
}

Result<Accuracy> measure_accuracy(const Subject& subject, const OutputReference& reference) {
  return Measurement(subject, reference).run();
}

std::vector<std::size_t> spread(std::size_t total, std::size_t count) {
  const std::size_t taken = std::min(total, count);
  std::vector<std::size_t> chosen(taken);
  for (std::size_t i = 0; i < taken; ++i) chosen[i] = i * total / taken;
  return chosen;
}

}  // namespace tacit::compiler
