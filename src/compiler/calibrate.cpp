// SPDX-License-Identifier: Apache-2.0
#include "compiler/calibrate.h"

#include <cmath>

#include "graph/text.h"

namespace tacit::compiler {

namespace {

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

}  // namespace

Result<Calibration> calibrate(const graph::Graph& graph, std::span<const graph::Tensor> images,
                              const DegreeOptions& options) {
  if (options.degree && (*options.degree < 2 || *options.degree > kMaxActivationDegree))
    return Error{ErrorCode::kInvalidArgument, "the degree of activations must be 2 to " +
                                                  std::to_string(kMaxActivationDegree) + ", not " +
                                                  std::to_string(*options.degree)};
  if (!(options.agreement > 0 && options.agreement <= 1))
    return Error{ErrorCode::kInvalidArgument, "the agreement wanted must be more than 0 and at most 1"};
  if (!(options.margin >= 1 && options.margin <= 16))
    return Error{ErrorCode::kInvalidArgument, "the margin of ranges must be 1 to 16"};
  TACIT_CHECK(check_images(graph, images));
  Batch batch;
  for (const graph::Tensor& image : images) batch.emplace_back(image.data.begin(), image.data.end());

  const Choices none(graph.nodes.size());
  TACIT_TRY(const Pass exact, forward(graph, batch, options.margin, none));
  TACIT_TRY(const Choices choices, choose_degrees(graph, batch, exact.outputs, options));
  TACIT_TRY(Pass pass, forward(graph, batch, options.margin, choices));
  const Agreement found = compare(exact.outputs, pass.outputs);
  return Calibration{std::move(pass.ranges), std::move(pass.approximations), std::move(pass.fits),
                     found.relative_error, found.agreement};
}

}  // namespace tacit::compiler
