// SPDX-License-Identifier: Apache-2.0
// tacit models --server URL [--json]: the services offered, with inputs, labels and cost.
#include "base/printable.h"
#include "key_options.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct ModelsOptions {
  ServerOptions server;
  bool json = false;
};

nlohmann::ordered_json describe(const plan::ClientHalf& half) {
  const plan::Shape& in = half.input_shape();
  return {{"name", half.name},
          {"input", {{"channels", in.channels}, {"height", in.height}, {"width", in.width}}},
          {"outputs", half.output_shape().elements()},
          {"labels", half.labels},
          {"ring_degree", std::uint64_t{1} << half.parameters.log_degree},
          {"estimated_ms", half.estimated_ms},
          {"upload_bytes", half.upload_bytes},
          {"download_bytes", half.download_bytes},
          {"key_bytes", half.key_bytes}};
}

void say_model(const plan::ClientHalf& half) {
  const plan::Shape& in = half.input_shape();
  say(half.name);
  say("  input: " +
      std::string(in.channels == 1   ? "grey"
                  : in.channels == 3 ? "RGB"
                                     : std::to_string(in.channels) + "-channel") +
      " images, " + std::to_string(in.width) + " wide, " + std::to_string(in.height) + " high");
  std::string labels;
  for (const std::string& label : half.labels) labels += (labels.empty() ? "" : ", ") + printable(label);
  say(labels.empty() ? "  outputs: " + std::to_string(half.output_shape().elements())
                     : "  labels: " + labels);
  say("  cost: about " + format_ms(half.estimated_ms) + " of computing, " + format_bytes(half.upload_bytes) +
      " sent, " + format_bytes(half.download_bytes) + " received for each image; " +
      format_bytes(half.key_bytes) + " of evaluation keys once");
}

Status models(const ModelsOptions& options) {
  TACIT_TRY(client::Api api, options.server.connect());
  TACIT_TRY(std::vector<client::OfferedModel> offered, api.list_models());
  auto list = nlohmann::ordered_json::array();
  for (const client::OfferedModel& model : offered) {
    if (!model.trouble.empty()) {
      say(model.name + " cannot be used at the moment: " + model.trouble);
      continue;
    }
    TACIT_TRY(plan::ClientHalf half, client::fetch_client_half(api, model.name));
    if (!options.json) say_model(half);
    list.push_back(describe(half));
  }
  if (list.empty()) say(api.url() + " offers no model that can be used");
  if (options.json) print_json({{"models", std::move(list)}});
  return {};
}

}  // namespace

void add_models(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("models", "Show the models that a server offers");
  auto options = std::make_shared<ModelsOptions>();
  options->server.declare(*verb);
  verb->add_flag("--json", options->json, "Print them as one JSON object");
  when_chosen(*verb, context, options, models);
}

}  // namespace tacit::app
