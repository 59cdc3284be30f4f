// SPDX-License-Identifier: Apache-2.0
// The verbs of `tacit`, one file each: verb_<name>.cpp defines add_<name>, which declares the subcommand with
// its options and says what is to be done when it was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "base/result.h"
#include "console.h"

namespace tacit::app {

// What the command line was found to ask for.
struct Context {
  // Set by the chosen verb's callback while the arguments are parsed, called by main afterwards. An error is
  // printed as "tacit: <code>: <message>"; argument.invalid gives exit code 2, every other error 1.
  std::function<Status()> run;
};

// Makes `options`, an object that the verb's CLI11 options are bound to, live as long as the verb, and has
// `run(options)` called if the verb is chosen:
//
//   CLI::App* verb = app.add_subcommand("inspect", "Show what a compiled model needs");
//   auto options = std::make_shared<Options>();
//   verb->add_option("model", options->path, "Compiled model (.tacit)")->required();
//   when_chosen(*verb, context, options, run_inspect);
template <class Options>
void when_chosen(CLI::App& verb, Context& context, std::shared_ptr<Options> options,
                 Status (*run)(const Options&)) {
  verb.callback([&context, options, run] { context.run = [options, run] { return run(*options); }; });
}

void add_compile(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_simulate(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_keys(CLI::App& app, Context& context);
void add_models(CLI::App& app, Context& context);
void add_predict(CLI::App& app, Context& context);
void add_features(CLI::App& app, Context& context);
void add_fit(CLI::App& app, Context& context);
void add_classify(CLI::App& app, Context& context);
void add_evaluate(CLI::App& app, Context& context);

}  // namespace tacit::app
