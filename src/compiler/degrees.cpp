// SPDX-License-Identifier: Apache-2.0
#include "compiler/degrees.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "base/parallel.h"
#include "compiler/accuracy.h"
#include "compiler/chain.h"
#include "compiler/depth.h"
#include "graph/text.h"

namespace tacit::compiler {

namespace {

// The highest degree of each number of levels, and one between that saves products.
constexpr std::array<std::size_t, 10> kDegrees = {2, 3, 5, 7, 11, 15, 23, 31, 47, 63};
// Levels count, products decide between choices of as many levels.
constexpr double kProductPrice = 0.05;
// Multiplications that a search may spend, and the images that it uses at least.
constexpr double kSearchWork = 3e10;
constexpr std::size_t kLeastImages = 16;
constexpr std::size_t kLargestCache = std::size_t{1} << 25;  // numbers
// Where no choice is good enough, so many of those on the way are looked at for the best.
constexpr std::size_t kLookedAt = 12;
// What the estimate of the labels that change looks at: images, and the largest outputs of each.
constexpr std::size_t kMostPairedImages = 1024, kMostRanks = 10;
// A deeper network would leave scales of fewer bits, with which composite signs drown in noise.
constexpr int kLeastScaleBits = 30;

int most_levels() {
  static const int levels = longest_chain(ckks::kMaxLogDegree, kLeastScaleBits);
  return levels;
}

double price_of(const Choice& choice) {
  return levels_of(choice) + kProductPrice * static_cast<double>(products_of(choice));
}

// Multiplications of one image, about.
double work_of(const graph::Graph& graph) {
  double work = 0;
  for (const graph::Node& node : graph.nodes) {
    const auto outputs = static_cast<double>(graph.shape_of(node.output).size());
    if (const auto* conv = std::get_if<graph::Conv>(&node.operation))
      work += outputs * static_cast<double>(conv->in_channels / conv->groups * conv->kernel.height *
                                            conv->kernel.width);
    else if (const auto* dense = std::get_if<graph::Dense>(&node.operation))
      work += outputs * static_cast<double>(dense->in);
    else
      work += 16 * outputs;
  }
  return work;
}

// The composite signs of every precision, least precise first; made once.
Result<const std::vector<SignComposition>*> signs() {
  static const Result<std::vector<SignComposition>> made = []() -> Result<std::vector<SignComposition>> {
    std::vector<SignComposition> list;
    for (int bits = kMinSignBits; bits <= kMaxSignBits; ++bits) {
      TACIT_TRY(SignComposition sign, sign_of_precision(bits));
      list.push_back(std::move(sign));
    }
    return list;
  }();
  if (!made.ok()) return made.error();
  return &made.value();
}

// Which choice of its ladder each activation has; the last one of as many levels until levels are settled.
using Rungs = std::vector<std::size_t>;

// One activation: its node, its choices from the cheapest to the dearest, and what each does to the outputs alone.
struct Ladder {
  std::size_t node = 0;
  std::vector<Choice> choices;
  std::vector<double> effects;  // squared relative errors

  // The dearest choice with fewer levels than this one; nothing below the first.
  std::optional<std::size_t> below(std::size_t rung) const {
    for (std::size_t i = rung; i-- > 0;)
      if (levels_of(choices[i]) < levels_of(choices[rung])) return i;
    return std::nullopt;
  }
  // The next cheaper choice of as many levels.
  std::optional<std::size_t> as_deep(std::size_t rung) const {
    if (rung == 0 || levels_of(choices[rung - 1]) < levels_of(choices[rung])) return std::nullopt;
    return rung - 1;
  }
};

class Search {
 public:
  Search(const graph::Graph& graph, const DegreeOptions& options, std::vector<Ladder> ladders)
      : graph_(graph), options_(options), ladders_(std::move(ladders)) {}

  struct Found {
    Rungs rungs;
    Agreement agreement;
    bool enough = false;
  };

  // Nothing where no choice leaves the values finite or within the levels that there are.
  std::optional<Found> run(const Batch& images, const Batch& exact) {
    take_images(images, exact);
    if (ladders_.size() > 1) measure_effects();
    const std::vector<Rungs> way = way_down();
    if (way.empty()) return std::nullopt;
    std::optional<Found> best = look(way.front());
    std::size_t place = 0;
    if (best && best->enough) {
      place = last_enough(way);
    } else {
      best.reset();
      const std::size_t count = std::min(way.size(), kLookedAt);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = i * way.size() / count;
        const std::optional<Found> found = look(way[at]);
        if (!found || (best && !better(*found, *best))) continue;
        best = found;
        place = at;
      }
      if (!best) return std::nullopt;
    }
    return lowered(*look(way[place]));
  }

  Choices choices_of(const Rungs& rungs) const {
    Choices choices(graph_.nodes.size());
    for (std::size_t i = 0; i < ladders_.size(); ++i)
      choices[ladders_[i].node] = ladders_[i].choices[rungs[i]];
    return choices;
  }

 private:
  static bool better(const Found& a, const Found& b) {
    if (a.enough != b.enough) return a.enough;
    if (a.agreement.agreement != b.agreement.agreement) return a.agreement.agreement > b.agreement.agreement;
    return a.agreement.relative_error < b.agreement.relative_error;
  }

  // As many images as the work allows, evenly spread.
  void take_images(const Batch& images, const Batch& exact) {
    double passes = 40;
    std::size_t numbers = 0;
    for (const Ladder& ladder : ladders_) passes += 1 + static_cast<double>(ladder.choices.size()) / 2;
    for (const graph::Value& value : graph_.values) numbers += static_cast<std::size_t>(value.shape.size());
    const auto affordable = static_cast<std::size_t>(std::min(kSearchWork / (passes * work_of(graph_)), 1e9));
    const std::size_t kept = kLargestCache / std::max<std::size_t>(numbers, 1);
    for (std::size_t i : spread(images.size(), std::max(kLeastImages, std::min(affordable, kept)))) {
      images_.push_back(images[i]);
      exact_.push_back(exact[i]);
    }
  }

  // The values before an activation are those of the network as it is, computed once.
  void measure_effects() {
    const Approximations none(graph_.nodes.size());
    std::vector<std::vector<Elements>> values(images_.size());
    parallel_for(images_.size(),
                 [&](std::size_t image) { values[image] = evaluate_values(graph_, none, images_[image]); });
    std::size_t number = 0;
    for (Ladder& ladder : ladders_) {
      const graph::Node& node = graph_.nodes[ladder.node];
      options_.progress("choosing polynomials: " + graph::in_quotes(node.name) + ", " +
                        std::to_string(++number) + " of " + std::to_string(ladders_.size()));
      Batch inputs;
      for (const std::vector<Elements>& of_image : values) inputs.push_back(of_image[node.inputs[0]]);
      const Histogram histogram = histogram_of(inputs, options_.margin, ladder.choices.front());
      ladder.effects.clear();
      for (const Choice& choice : ladder.choices) {
        Approximations one = none;
        one[ladder.node] = approximate(std::get<Activation>(node.operation), histogram, choice);
        Batch outputs(images_.size());
        parallel_for(images_.size(), [&](std::size_t image) {
          std::vector<Elements> changed =
              evaluate_values(graph_, one, images_[image], &values[image], ladder.node);
          const Elements& output = changed[graph_.output];
          outputs[image] = output.empty() ? values[image][graph_.output] : output;
        });
        const double error = compare(exact_, outputs).relative_error;
        ladder.effects.push_back(std::isfinite(error) ? error * error : std::numeric_limits<double>::max());
      }
    }
  }

  int depth_of(const Rungs& rungs) const {
    std::vector<int> levels(graph_.nodes.size(), 0);
    for (std::size_t i = 0; i < ladders_.size(); ++i)
      levels[ladders_[i].node] = levels_of(ladders_[i].choices[rungs[i]]);
    return graph_depth(graph_, levels, options_.client);
  }

  // From the dearest choices to the cheapest, one step at a time; only those that fit the largest ring.
  std::vector<Rungs> way_down() const {
    std::vector<Rungs> way;
    Rungs rungs;
    for (const Ladder& ladder : ladders_) rungs.push_back(ladder.choices.size() - 1);
    for (;;) {
      if (depth_of(rungs) <= most_levels()) way.push_back(rungs);
      std::optional<std::size_t> next;
      double least = 0;
      for (std::size_t i = 0; i < ladders_.size(); ++i) {
        const Ladder& ladder = ladders_[i];
        const std::optional<std::size_t> to = ladder.below(rungs[i]);
        if (!to) continue;
        const double saved = price_of(ladder.choices[rungs[i]]) - price_of(ladder.choices[*to]);
        const double price =
            ladder.effects.empty() ? 0 : (ladder.effects[*to] - ladder.effects[rungs[i]]) / saved;
        if (!next || price < least) next = i, least = price;
      }
      if (!next) return way;
      rungs[*next] = *ladders_[*next].below(rungs[*next]);
    }
  }

  // What the network is with these choices.
  std::optional<Found> look(const Rungs& rungs) {
    const auto known = known_.find(rungs);
    if (known != known_.end()) return known->second;
    std::optional<Found> found;
    if (auto pass = forward(graph_, images_, options_.margin, choices_of(rungs)); pass.ok()) {
      found =
          Found{rungs, compare(exact_, pass->outputs), is_enough(exact_, pass->outputs, options_.agreement)};
    }
    known_[rungs] = found;
    return found;
  }

  // By bisection: the first is good enough.
  std::size_t last_enough(const std::vector<Rungs>& way) {
    std::size_t enough = 0, less = way.size();
    while (less - enough > 1) {
      const std::size_t middle = (enough + less) / 2;
      const std::optional<Found> found = look(way[middle]);
      (found && found->enough ? enough : less) = middle;
    }
    return enough;
  }

  // Lowers activations one by one as long as nothing is lost: levels first, then products.
  Found lowered(Found found) {
    for (;;) {
      if (step_down(found, &Ladder::below)) continue;
      if (!step_down(found, &Ladder::as_deep)) return found;
    }
  }

  bool step_down(Found& found, std::optional<std::size_t> (Ladder::*step)(std::size_t) const) {
    bool changed = false;
    for (std::size_t i = 0; i < ladders_.size(); ++i) {
      const std::optional<std::size_t> to = (ladders_[i].*step)(found.rungs[i]);
      if (!to) continue;
      Rungs rungs = found.rungs;
      rungs[i] = *to;
      const std::optional<Found> candidate = look(rungs);
      if (!candidate || (found.enough ? !candidate->enough : better(found, *candidate))) continue;
      found = *candidate;
      changed = true;
    }
    return changed;
  }

  const graph::Graph& graph_;
  const DegreeOptions& options_;
  std::vector<Ladder> ladders_;
  Batch images_, exact_;
  std::map<Rungs, std::optional<Found>> known_;
};

// The choices for each activation that ciphertexts go through; where `by_sign`, of those that can be a composite sign, that.
Result<std::vector<Ladder>> ladders_of(const graph::Graph& graph, const DegreeOptions& options,
                                       bool by_sign) {
  std::vector<Ladder> ladders;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto* activation = std::get_if<Activation>(&graph.nodes[i].operation);
    if (activation == nullptr || (i < options.client.size() && options.client[i])) continue;
    Ladder& ladder = ladders.emplace_back();
    ladder.node = i;
    const std::optional<SignForm> form = by_sign ? sign_form(*activation) : std::nullopt;
    if (form) {
      TACIT_TRY(const std::vector<SignComposition>* list, signs());
      for (const SignComposition& sign : *list) ladder.choices.emplace_back(SignChoice{*form, &sign});
    } else if (options.degree) {
      ladder.choices.emplace_back(static_cast<std::size_t>(*options.degree));
    } else {
      ladder.choices.assign(kDegrees.begin(), kDegrees.end());
    }
  }
  return ladders;
}

// compile.too-deep, naming the activation at which the levels end, where not even the cheapest choices fit the largest ring.
Status check_depth(const graph::Graph& graph, const DegreeOptions& options) {
  TACIT_TRY(const std::vector<Ladder> ladders, ladders_of(graph, options, options.relu == ReluMode::kSign));
  std::vector<int> levels(graph.nodes.size(), 0);
  for (const Ladder& ladder : ladders) {
    levels[ladder.node] = levels_of(ladder.choices.front());
    if (graph_depth(graph, levels, options.client) <= most_levels()) continue;
    return Error{
        ErrorCode::kCompileTooDeep,
        "node " + graph::in_quotes(graph.nodes[ladder.node].name) + ": the network takes more than the " +
            std::to_string(most_levels()) +
            " levels that the largest secure ring has; let the client compute activations and maxima "
            "(--refresh), encrypt fewer layers (--layers), or train it with squares in place of "
            "activations and average pooling in place of maxima"};
  }
  return {};
}

bool has_sign_forms(const graph::Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const graph::Node& node) {
    const auto* activation = std::get_if<Activation>(&node.operation);
    return activation != nullptr && sign_form(*activation).has_value();
  });
}

// The share of pairs (image, error) whose error changes the image's label: each error, the change of an image's outputs, is put
// on every image, output by output in their order of size. Images of which none changed its own label still tell how near they came.
double expected_disagreement(const Batch& exact, const Batch& approximate) {
  const std::size_t count = std::min(exact.size(), kMostPairedImages);
  std::vector<Elements> gaps(count), errors(count);  // of each other output: below the largest, gained on it
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::size_t> order(exact[i].size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::size_t ranks = std::min(order.size(), kMostRanks);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(ranks), order.end(),
                      [&](std::size_t a, std::size_t b) { return exact[i][a] > exact[i][b]; });
    const double largest = exact[i][order[0]], changed = approximate[i][order[0]] - largest;
    for (std::size_t rank = 1; rank < ranks; ++rank) {
      const std::size_t at = order[rank];
      gaps[i].push_back(largest - exact[i][at]);
      errors[i].push_back(approximate[i][at] - exact[i][at] - changed);
    }
  }
  std::size_t wrong = 0;
  for (const Elements& gap : gaps)
    for (const Elements& error : errors) {
      bool keeps = true;
      for (std::size_t rank = 0; keeps && rank < gap.size(); ++rank) keeps = error[rank] <= gap[rank];
      wrong += keeps ? 0 : 1;
    }
  return static_cast<double>(wrong) / static_cast<double>(count * count);
}

}  // namespace

bool is_enough(const Batch& exact, const Batch& approximate, double agreement) {
  const Agreement seen = compare(exact, approximate);
  if (seen.relative_error <= kEnoughError) return true;
  if (exact.front().size() < 2) return false;
  const double allowed = (1 - agreement) / 2;
  return 1 - seen.agreement <= allowed && expected_disagreement(exact, approximate) <= allowed;
}

Result<Choices> choose_degrees(const graph::Graph& graph, const Batch& images, const Batch& exact,
                               const DegreeOptions& options) {
  std::optional<Choices> best;
  std::optional<Search::Found> found;
  for (const bool by_sign : {false, true}) {
    const bool wanted =
        options.relu == ReluMode::kSign || (options.relu == ReluMode::kAutomatic && !options.degree);
    if (by_sign ? !wanted || !has_sign_forms(graph)
                : options.relu == ReluMode::kSign && has_sign_forms(graph))
      continue;
    // Signs take many times longer: not for the half that is asked for beyond what is wanted.
    if (found && (found->enough || found->agreement.agreement >= options.agreement)) break;
    TACIT_TRY(std::vector<Ladder> ladders, ladders_of(graph, options, by_sign));
    if (ladders.empty()) return Choices(graph.nodes.size());
    const std::size_t count = ladders.size();
    options.progress("choosing polynomials for " + std::to_string(count) + " activations" +
                     (by_sign ? ", as compositions of signs" : ""));
    Search search(graph, options, std::move(ladders));
    const std::optional<Search::Found> candidate = search.run(images, exact);
    if (!candidate || (found && candidate->agreement.agreement <= found->agreement.agreement)) continue;
    found = candidate;
    best = search.choices_of(candidate->rungs);
  }
  if (best) return std::move(*best);
  TACIT_CHECK(check_depth(graph, options));
  return Error{
      ErrorCode::kCompilePrecision,
      "no polynomials in place of the activations keep the values within the range of numbers; check the "
      "images' preprocessing, or train the network with squares in their place"};
}

}  // namespace tacit::compiler
