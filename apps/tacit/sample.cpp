// SPDX-License-Identifier: Apache-2.0
#include "sample.h"

#include <algorithm>

#include "console.h"
#include "local.h"

namespace tacit::app {

std::size_t sample_size(std::optional<std::size_t> asked, const plan::ClientHalf& half, std::size_t images) {
  if (asked) return std::min(*asked, images);
  std::size_t count = std::min(kSampleImages, images);
  if (half.batch() == 1)
    while (count > 1 && half.estimated_ms * static_cast<double>(count) > kSampleMs) --count;
  return count;
}

Result<compiler::NetworkAccuracy> run_sample(const compiler::Subject& subject,
                                             const compiler::OutputReference& reference, std::size_t count) {
  if (count == 0) return compiler::NetworkAccuracy{};
  ProgressLine keys("keys for an encrypted sample");
  TACIT_TRY(const LocalModel model,
            LocalModel::create(subject.package,
                               [&](std::size_t done, std::size_t total) { keys.update(done, total); }));
  keys.finish();
  const std::vector<std::size_t> which = compiler::spread(subject.images.size(), count);
  std::vector<std::vector<float>> outputs;
  ProgressLine progress("encrypted sample");
  while (outputs.size() < which.size()) {
    const std::size_t first = outputs.size(), end = std::min(which.size(), first + model.half().batch());
    plan::Tensors images;
    for (std::size_t k = first; k < end; ++k) images.push_back(subject.images[which[k]].data);
    const auto show = [&](std::size_t done, std::size_t total) {
      progress.update(first, which.size(),
                      "operation " + std::to_string(done) + " of " + std::to_string(total));
      return true;
    };
    TACIT_TRY(client::BatchPrediction prediction, model.predict(std::move(images), show));
    for (std::vector<float>& output : prediction.outputs) outputs.push_back(std::move(output));
  }
  progress.finish();
  return compiler::compare_outputs(reference, which, outputs);
}

}  // namespace tacit::app
