// SPDX-License-Identifier: Apache-2.0
// tacit inspect MODEL.tacit [--report FILE.html] [--json]: what a compiled model needs and costs, and what it was measured to
// lose when it was compiled.
#include "base/file.h"
#include "model_report.h"
#include "report_page.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct InspectOptions {
  std::filesystem::path package, report;
  bool json = false;
};

Status run(const InspectOptions& options) {
  TACIT_TRY(const Bytes bytes, read_file(options.package, plan::kMaxPackageBytes));
  auto package = plan::read_package(bytes);
  if (!package.ok()) return std::move(package).error().within(options.package.string());
  TACIT_TRY(const compiler::Report report, compiler::describe(*package));
  compiler::Record record;
  if (!package->record.empty()) {
    auto read = compiler::record_from_json(package->record);
    if (!read.ok()) return std::move(read).error().within(options.package.string());
    record = std::move(read).value();
  }
  if (!options.report.empty()) TACIT_CHECK(write_report_page(options.report, report, record));
  say_report(report);
  say_record(record);
  if (options.json) {
    nlohmann::ordered_json object = report_json(report);
    add_record(object, record);
    print_json(object);
  }
  return {};
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("inspect", "Show what a compiled model needs and costs");
  auto options = std::make_shared<InspectOptions>();
  verb->add_option("model", options->package, "Compiled model (.tacit)")->required();
  verb->add_option("--report", options->report, "Receives the report as one HTML page");
  verb->add_flag("--json", options->json, "Print it as one JSON object");
  when_chosen(*verb, context, options, run);
}

}  // namespace tacit::app
