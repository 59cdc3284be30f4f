// SPDX-License-Identifier: Apache-2.0
// tacit simulate MODEL.tacit --input X.npy --output Y.npy [--exact] [--json]: what an encrypted run would
// answer, with the noise that theory predicts for it, without encryption.
#include <atomic>
#include <mutex>

#include "base/file.h"
#include "base/parallel.h"
#include "batch.h"
#include "runtime/noise.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct SimulateOptions {
  std::filesystem::path package, input, output;
  std::uint64_t seed = 1;
  bool exact = false, json = false;
};

// Images of one chunk share a noise generator, whose seed depends on the chunk's number only: results do not
// depend on how many threads there are.
constexpr std::size_t kChunk = 32;

class Simulation {
 public:
  Simulation(const plan::Package& package, const Batch& images, const SimulateOptions& options)
      : package_(package),
        images_(images),
        options_(options),
        clear_(package.plan),
        outputs_(images.count * package.client.output_shape().elements()) {}

  Status run() {
    const std::size_t chunks = (images_.count + kChunk - 1) / kChunk;
    ProgressLine progress("simulating " + package_.client.name);
    std::atomic<std::size_t> done = 0;
    std::mutex mutex;
    parallel_for(chunks, [&](std::size_t chunk) {
      Status status = options_.exact ? run_exact(chunk) : run_noisy(chunk);
      const std::size_t finished = ++done;
      const std::lock_guard lock(mutex);
      if (!status.ok() && status_.ok()) status_ = std::move(status);
      progress.update(std::min(finished * kChunk, images_.count), images_.count);
    });
    progress.finish();
    return std::move(status_);
  }

  std::span<const float> outputs() const { return outputs_; }

 private:
  Status run_exact(std::size_t chunk) {
    runtime::ClearArithmetic arithmetic = clear_;
    return run_chunk(chunk, arithmetic);
  }
  Status run_noisy(std::size_t chunk) {
    TACIT_TRY(runtime::NoiseArithmetic arithmetic,
              runtime::NoiseArithmetic::create(clear_, options_.seed + chunk));
    return run_chunk(chunk, arithmetic);
  }

  template <class Arithmetic>
  Status run_chunk(std::size_t chunk, Arithmetic& arithmetic) {
    for (std::size_t i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, images_.count); ++i) {
      auto result = runtime::simulate(package_.client, arithmetic, images_[i]);
      if (!result.ok()) return std::move(result).error().within("image " + std::to_string(i));
      std::copy(result->begin(), result->end(),
                outputs_.begin() + static_cast<std::ptrdiff_t>(i * result->size()));
    }
    return {};
  }

  const plan::Package& package_;
  const Batch& images_;
  const SimulateOptions& options_;
  runtime::ClearArithmetic clear_;
  std::vector<float> outputs_;
  Status status_;
};

Status run(const SimulateOptions& options) {
  TACIT_TRY(const Bytes bytes, read_file(options.package, plan::kMaxPackageBytes));
  auto package = plan::read_package(bytes);
  if (!package.ok()) return std::move(package).error().within(options.package.string());
  TACIT_TRY(const Batch images, load_batch(options.input, package->client.input_shape()));
  const Stopwatch stopwatch;
  Simulation simulation(*package, images, options);
  TACIT_CHECK(simulation.run());
  const double milliseconds = stopwatch.milliseconds();
  TACIT_CHECK(save_batch(options.output, package->client.output_shape(), simulation.outputs()));
  say(std::to_string(images.count) + " images, " +
      format_ms(milliseconds / static_cast<double>(images.count)) + " each" +
      (options.exact ? "" : ", with the noise of encryption"));
  if (options.json)
    print_json({{"count", images.count},
                {"noise", !options.exact},
                {"total_ms", milliseconds},
                {"peak_memory_bytes", peak_memory_bytes()}});
  return {};
}

}  // namespace

void add_simulate(CLI::App& app, Context& context) {
  CLI::App* verb =
      app.add_subcommand("simulate", "Predict what an encrypted run answers, without encryption");
  auto options = std::make_shared<SimulateOptions>();
  verb->add_option("model", options->package, "Compiled model (.tacit)")->required();
  verb->add_option("--input", options->input, "Float32 .npy tensor [n, channels, height, width]")->required();
  verb->add_option("--output", options->output, "Receives [n, outputs...] as .npy")->required();
  verb->add_flag("--exact", options->exact, "Leave the noise out");
  verb->add_option("--seed", options->seed, "Of the noise")->capture_default_str();
  verb->add_flag("--json", options->json, "Print how long it took as one JSON object");
  when_chosen(*verb, context, options, run);
}

}  // namespace tacit::app
