// SPDX-License-Identifier: Apache-2.0
#include "compiler/forward.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "ckks/chebyshev.h"
#include "compiler/maxima.h"
#include "graph/text.h"

namespace tacit::compiler {

namespace {

Range range_of(const Batch& batch) {
  Range range{batch[0][0], batch[0][0]};
  for (const Elements& elements : batch)
    for (double x : elements) {
      range.low = std::min(range.low, x);
      range.high = std::max(range.high, x);
      if (!std::isfinite(x)) return {x, x};
    }
  return range;
}

// What is reported of an approximation.
ActivationFit describe(const graph::Node& node, const Histogram& histogram,
                       const Approximation& approximation) {
  const auto& activation = std::get<Activation>(node.operation);
  const auto f = [&](double x) { return tacit::evaluate(activation, x); };
  const auto p = [&](double x) { return evaluate(approximation, x); };
  const FitError error = fit_error(p, f, histogram);
  const double range = histogram.range();
  const std::string kind(is_absolute_value(activation) ? "Abs" : tacit::name_of(activation.kind));
  ActivationFit fit{node.name, kind, 0, range, error.rms, error.largest};
  if (const auto* series = std::get_if<ChebyshevSeries>(&approximation)) {
    fit.degree = series->degree();
  } else {
    fit.stages = std::get_if<SignGate>(&approximation)->sign.degrees();
    fit.degree = 1;
    for (std::size_t degree : fit.stages) fit.degree *= degree;
    fit.degree += 1;
  }
  fit.histogram.assign(kPictureBins, 0);
  for (std::size_t bin = 0; bin < Histogram::kBins; ++bin)
    fit.histogram[bin * kPictureBins / Histogram::kBins] += histogram.share(bin);
  for (std::size_t i = 0; i < kPicturePoints; ++i) {
    const double x = range * (2 * static_cast<double>(i) / (kPicturePoints - 1) - 1);
    fit.function.push_back(f(x));
    fit.polynomial.push_back(p(x));
  }
  return fit;
}

}  // namespace

double Range::largest() const { return std::max(std::abs(low), std::abs(high)); }

int levels_of(const Choice& choice) {
  if (const auto* degree = std::get_if<std::size_t>(&choice))
    return *degree == 2 ? 1 : ckks::chebyshev_depth(*degree);
  return std::get_if<SignChoice>(&choice)->sign->levels() + 1;
}

std::size_t products_of(const Choice& choice) {
  if (const auto* degree = std::get_if<std::size_t>(&choice))
    return *degree == 2 ? 1 : ckks::chebyshev_products(std::vector<double>(*degree + 1, 1.0));
  return std::get_if<SignChoice>(&choice)->sign->products() + 1;
}

Histogram histogram_of(const Batch& inputs, double margin, const Choice& choice) {
  const double largest = range_of(inputs).largest();
  const double room = std::holds_alternative<SignChoice>(choice) ? margin : fit_margin(margin);
  Histogram histogram(largest == 0 ? 1 : room * largest);
  for (const Elements& elements : inputs)
    for (double x : elements) histogram.add(x);
  return histogram;
}

Approximation approximate(const Activation& activation, const Histogram& histogram, const Choice& choice) {
  if (const auto* sign = std::get_if<SignChoice>(&choice))
    return SignGate{histogram.range(), sign->form, *sign->sign};
  return fit_chebyshev([&](double x) { return tacit::evaluate(activation, x); }, histogram,
                       *std::get_if<std::size_t>(&choice));
}

Result<Pass> forward(const graph::Graph& graph, const Batch& images, double margin, const Choices& choices) {
  Pass pass;
  pass.ranges.resize(graph.values.size());
  pass.approximations.resize(graph.nodes.size());
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<Batch> values(graph.values.size());
  values[graph::Graph::kInput] = images;
  pass.ranges[graph::Graph::kInput] = range_of(images);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (choices[i]) {
      const Histogram histogram = histogram_of(values[node.inputs[0]], margin, *choices[i]);
      pass.approximations[i] = approximate(std::get<Activation>(node.operation), histogram, *choices[i]);
      pass.fits.push_back(describe(node, histogram, *pass.approximations[i]));
    }
    Batch made(images.size());
    parallel_for(images.size(), [&](std::size_t image) {
      std::vector<const Elements*> inputs;
      for (graph::ValueId id : node.inputs) inputs.push_back(&values[id][image]);
      made[image] = evaluate_node(graph, i, inputs, pass.approximations[i]);
    });
    for (graph::ValueId id : node.inputs)
      if (last[id] == i) values[id] = {};
    pass.ranges[node.output] = range_of(made);
    if (!std::isfinite(pass.ranges[node.output].high))
      return Error{
          ErrorCode::kCompilePrecision,
          "the values of node " + graph::in_quotes(node.name) +
              " leave the range of numbers on the calibration images; check the images' preprocessing"};
    values[node.output] = std::move(made);
  }
  pass.outputs = std::move(values[graph.output]);
  return pass;
}

Agreement compare(const Batch& exact, const Batch& approximate) {
  double difference = 0, total = 0;
  std::size_t agreeing = 0;
  auto largest = [](const Elements& y) { return std::max_element(y.begin(), y.end()) - y.begin(); };
  for (std::size_t i = 0; i < exact.size(); ++i) {
    for (std::size_t j = 0; j < exact[i].size(); ++j) {
      difference += (approximate[i][j] - exact[i][j]) * (approximate[i][j] - exact[i][j]);
      total += exact[i][j] * exact[i][j];
    }
    agreeing += largest(exact[i]) == largest(approximate[i]) ? 1 : 0;
  }
  return {total == 0 ? std::sqrt(difference) : std::sqrt(difference / total),
          static_cast<double>(agreeing) / static_cast<double>(exact.size())};
}

}  // namespace tacit::compiler
