// SPDX-License-Identifier: Apache-2.0
// tacit run MODEL.tacit --input X.npy --output Y.npy [--json]: encrypt, execute, decrypt, all on this
// machine.
#include "base/process.h"
#include "batch.h"
#include "local.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct RunOptions {
  std::filesystem::path package, input, output;
  bool json = false;
};

Status run(const RunOptions& options) {
  TACIT_CHECK(forbid_dumps());
  ProgressLine keys("making evaluation keys");
  TACIT_TRY(LocalModel model, LocalModel::open(options.package, [&](std::size_t done, std::size_t total) {
              done == total ? keys.finish() : keys.update(done, total);
            }));
  const plan::ClientHalf& half = model.half();
  TACIT_TRY(Batch images, load_batch(options.input, half.input_shape()));

  Costs costs;
  std::vector<float> outputs;
  ProgressLine progress("running " + half.name + " encrypted");
  for (std::size_t i = 0; i < images.count; i += half.batch()) {
    auto show = [&](std::size_t done, std::size_t total) {
      progress.update(i, images.count, "operation " + std::to_string(done) + " of " + std::to_string(total));
      return true;
    };
    plan::Tensors together;
    for (std::size_t j = i; j < std::min(images.count, i + half.batch()); ++j)
      together.emplace_back(images[j].begin(), images[j].end());
    auto prediction = model.predict(std::move(together), show);
    if (!prediction) return std::move(prediction).error().within("image " + std::to_string(i));
    for (const std::vector<float>& output : prediction->outputs)
      outputs.insert(outputs.end(), output.begin(), output.end());
    costs.add(*prediction, prediction->outputs.size());
  }
  progress.finish();
  costs.key_bytes = model.key_bytes();
  costs.peak_memory_bytes = peak_memory_bytes();
  TACIT_CHECK(save_batch(options.output, half.output_shape(), outputs));
  say(costs.summary());
  if (options.json) {
    nlohmann::ordered_json object;
    costs.write(object);
    print_json(object);
  }
  return {};
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("run", "Encrypt, execute and decrypt on this machine");
  auto options = std::make_shared<RunOptions>();
  verb->add_option("model", options->package, "Compiled model (.tacit)")->required();
  verb->add_option("--input", options->input, "Float32 .npy tensor [n, channels, height, width]")->required();
  verb->add_option("--output", options->output, "Receives [n, outputs...] as .npy")->required();
  verb->add_flag("--json", options->json, "Print what it cost as one JSON object");
  when_chosen(*verb, context, options, run);
}

}  // namespace tacit::app
