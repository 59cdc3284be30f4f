// SPDX-License-Identifier: Apache-2.0
// A client's walk through the steps of a client half, written once for every way in which values travel: as bytes to a server,
// as ciphertexts in one process, or as plain numbers in a simulation.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "plan/client_half.h"

namespace tacit::plan {

// One tensor of an image, row-major, for each image of a batch.
using Tensors = std::vector<std::vector<float>>;

// Travelling: what a value is between client and server. `way` has
//   encrypt(const ClientValue&, const Tensors&) -> Result<Travelling>
//   decrypt(const ClientValue&, const Travelling&) -> Result<Tensors>
//   ask(stage, std::vector<Travelling> inputs) -> Result<std::vector<Travelling>>, in the order of the request's outputs
// The half must be valid, the images as many as a request takes. The value `last` is returned: the output, or another one.
template <class Travelling, class Way>
Result<Tensors> run_steps(const ClientHalf& half, Tensors images, std::uint32_t last, Way&& way) {
  std::vector<std::optional<Tensors>> clear(half.values.size());
  std::vector<std::optional<Travelling>> travelling(half.values.size());
  clear[half.input] = std::move(images);
  const auto decrypted = [&](std::uint32_t value) -> Status {
    if (clear[value]) return {};
    TACIT_TRY(clear[value], way.decrypt(half.values[value], *travelling[value]));
    return {};
  };
  std::size_t stage = 0;
  for (const Step& step : half.steps) {
    if (clear[last] || travelling[last]) break;
    if (const auto* request = std::get_if<Request>(&step)) {
      std::vector<Travelling> inputs;
      for (std::uint32_t value : request->inputs) {
        if (!travelling[value]) {
          TACIT_TRY(travelling[value], way.encrypt(half.values[value], *clear[value]));
        }
        inputs.push_back(*travelling[value]);
      }
      TACIT_TRY(std::vector<Travelling> outputs, way.ask(stage++, std::move(inputs)));
      for (std::size_t i = 0; i < outputs.size(); ++i)
        travelling[request->outputs[i]] = std::move(outputs[i]);
      continue;
    }
    const auto& computation = *std::get_if<Computation>(&step);
    for (std::uint32_t value : computation.inputs) TACIT_CHECK(decrypted(value));
    const Shape& shape = half.values[computation.inputs[0]].layout.shape;
    Tensors& made = clear[computation.output].emplace();
    for (std::size_t image = 0; image < clear[computation.inputs[0]]->size(); ++image) {
      std::vector<std::span<const float>> inputs;
      inputs.reserve(computation.inputs.size());
      for (std::uint32_t value : computation.inputs) inputs.push_back((*clear[value])[image]);
      made.push_back(apply(computation.function, shape, inputs));
    }
  }
  TACIT_CHECK(decrypted(last));
  return std::move(*clear[last]);
}

}  // namespace tacit::plan
