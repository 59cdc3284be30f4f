// SPDX-License-Identifier: Apache-2.0
#include "compiler/calibrate.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "graph/text.h"

namespace tacit::compiler {

namespace {

// One value's elements for every image.
using Batch = std::vector<Elements>;

Status check_images(const graph::Graph& graph, std::span<const graph::Tensor> images) {
  if (images.empty()) {
    for (const graph::Node& node : graph.nodes)
      if (const auto* activation = std::get_if<Activation>(&node.operation))
        return Error{
            ErrorCode::kCompileRangeMissing,
            "node " + graph::in_quotes(node.name) + " (" + std::string(tacit::name_of(activation->kind)) +
                ") is replaced by a polynomial, for which the range of its input must be known; give "
                "calibration images"};
    return Error{ErrorCode::kCompileRangeMissing,
                 "the ranges of the network's values must be known; give calibration images"};
  }
  for (std::size_t i = 0; i < images.size(); ++i) {
    const graph::Tensor& image = images[i];
    if (!(image.shape == graph.input_shape()) ||
        image.data.size() != static_cast<std::size_t>(graph.input_shape().size()))
      return Error{ErrorCode::kCompileCalibration,
                   "calibration image " + std::to_string(i) + " has shape " + graph::to_string(image.shape) +
                       ", the network's input " + graph::in_quotes(graph.input_name) + " has " +
                       graph::to_string(graph.input_shape())};
    for (float x : image.data)
      if (!std::isfinite(x))
        return Error{ErrorCode::kCompileCalibration, "calibration image " + std::to_string(i) +
                                                         " has an element that is not a finite number"};
  }
  return {};
}

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

struct Pass {
  std::vector<Range> ranges;
  Approximations approximations;
  std::vector<ActivationFit> fits;
  Batch outputs;
};

ChebyshevSeries fit_activation(const graph::Node& node, const Batch& inputs, const Range& range,
                               double margin, std::size_t degree, std::vector<ActivationFit>& fits) {
  const auto& activation = std::get<Activation>(node.operation);
  const double width = range.largest() == 0 ? 1 : margin * range.largest();
  Histogram histogram(width);
  for (const Elements& elements : inputs)
    for (double x : elements) histogram.add(x);
  const auto f = [&](double x) { return tacit::evaluate(activation, x); };
  ChebyshevSeries series = fit_chebyshev(f, histogram, degree);
  const FitError error = fit_error(series, f, histogram);
  ActivationFit& fit =
      fits.emplace_back(ActivationFit{node.name, std::string(tacit::name_of(activation.kind)),
                                      series.degree(), width, error.rms, error.largest});
  fit.histogram.assign(kPictureBins, 0);
  for (std::size_t bin = 0; bin < Histogram::kBins; ++bin)
    fit.histogram[bin * kPictureBins / Histogram::kBins] += histogram.share(bin);
  for (std::size_t i = 0; i < kPicturePoints; ++i) {
    const double x = width * (2 * static_cast<double>(i) / (kPicturePoints - 1) - 1);
    fit.function.push_back(f(x));
    fit.polynomial.push_back(series(x));
  }
  return series;
}

// Whether ciphertexts go through an activation here.
bool is_encrypted_activation(const graph::Graph& graph, std::size_t node, const ClientNodes& client) {
  return std::holds_alternative<Activation>(graph.nodes[node].operation) &&
         !(node < client.size() && client[node]);
}

// All images through all nodes; activations as they are where there is no degree, or the client computes them.
Result<Pass> run(const graph::Graph& graph, const Batch& images, double margin,
                 std::optional<std::size_t> degree, const ClientNodes& client) {
  Pass pass;
  pass.ranges.resize(graph.values.size());
  pass.approximations.resize(graph.nodes.size());
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<Batch> values(graph.values.size());
  values[graph::Graph::kInput] = images;
  pass.ranges[graph::Graph::kInput] = range_of(images);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (degree && is_encrypted_activation(graph, i, client))
      pass.approximations[i] = fit_activation(node, values[node.inputs[0]], pass.ranges[node.inputs[0]],
                                              margin, *degree, pass.fits);
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

void compare(const Batch& exact, const Batch& approximate, Calibration& calibration) {
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
  calibration.relative_error = total == 0 ? std::sqrt(difference) : std::sqrt(difference / total);
  calibration.agreement = static_cast<double>(agreeing) / static_cast<double>(exact.size());
}

bool good_enough(const Calibration& calibration, std::int64_t outputs) {
  return calibration.relative_error <= 0.01 || (outputs > 1 && calibration.agreement >= 0.98);
}

}  // namespace

double Range::largest() const { return std::max(std::abs(low), std::abs(high)); }

Result<Calibration> calibrate(const graph::Graph& graph, std::span<const graph::Tensor> images,
                              const CalibrationOptions& options) {
  if (options.degree && (*options.degree < 2 || *options.degree > kMaxActivationDegree))
    return Error{ErrorCode::kInvalidArgument, "the degree of activations must be 2 to " +
                                                  std::to_string(kMaxActivationDegree) + ", not " +
                                                  std::to_string(*options.degree)};
  if (!(options.margin >= 1 && options.margin <= 16))
    return Error{ErrorCode::kInvalidArgument, "the margin of ranges must be 1 to 16"};
  TACIT_CHECK(check_images(graph, images));
  Batch batch;
  for (const graph::Tensor& image : images) batch.emplace_back(image.data.begin(), image.data.end());

  bool activations = false;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    activations = activations || is_encrypted_activation(graph, i, options.client);
  TACIT_TRY(Pass exact, run(graph, batch, options.margin, std::nullopt, options.client));
  if (!activations) return Calibration{std::move(exact.ranges), std::move(exact.approximations), {}, 0, 1};

  std::vector<int> degrees = {2, 3, 5, 7, 15, 31};
  if (options.degree) degrees = {*options.degree};
  std::optional<Calibration> best;
  for (int degree : degrees) {
    auto pass = run(graph, batch, options.margin, static_cast<std::size_t>(degree), options.client);
    if (!pass.ok()) {
      // Squares after a bad fit may overflow; a better fit may not.
      if (degree == degrees.back() && !best) return std::move(pass).error();
      continue;
    }
    Calibration candidate{std::move(pass->ranges), std::move(pass->approximations), std::move(pass->fits), 0,
                          1};
    compare(exact.outputs, pass->outputs, candidate);
    const bool enough = good_enough(candidate, graph.output_shape().size());
    if (!best || candidate.agreement > best->agreement ||
        (candidate.agreement == best->agreement && candidate.relative_error < best->relative_error))
      best = std::move(candidate);
    if (enough) break;
  }
  return std::move(*best);
}

}  // namespace tacit::compiler
