// SPDX-License-Identifier: Apache-2.0
#include "model_report.h"

#include <algorithm>
#include <cmath>

#include "base/printable.h"
#include "graph/text.h"

namespace tacit::app {
namespace {

std::string padded(std::string text, std::size_t width, bool right) {
  if (text.size() >= width) return text;
  const std::string space(width - text.size(), ' ');
  return right ? space + text : text + space;
}

// Columns as wide as their widest cell; the first two and the fourth to the left, numbers to the right.
void say_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  for (const auto& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) line += " " + padded(row[i], widths[i], i >= 4);
    say(line);
  }
}

}  // namespace

std::string shape_text(const plan::Shape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.height) + "x" +
         std::to_string(shape.width);
}

std::string layout_text(const plan::Layout& layout, std::size_t period) {
  return "gap " + std::to_string(layout.gap) + " on " + std::to_string(layout.grid_height) + "x" +
         std::to_string(layout.grid_width) + ", period " + std::to_string(period);
}

std::string power_text(double value) { return value > 0 ? "2^" + format_number(std::log2(value), 1) : "0"; }

std::string percent_text(std::size_t part, std::size_t whole) {
  return format_number(whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole), 2) +
         " %";
}

std::string form_of(const compiler::ActivationFit& fit) {
  if (fit.stages.empty()) return "a polynomial of degree " + std::to_string(fit.degree);
  std::string text = "x times a sign of degrees";
  for (std::size_t i = 0; i < fit.stages.size(); ++i)
    text += (i == 0 ? " " : ", ") + std::to_string(fit.stages[i]);
  return text;
}

std::vector<std::pair<std::string, const compiler::NetworkAccuracy*>> measured_forms(
    const compiler::Accuracy& accuracy) {
  std::vector<std::pair<std::string, const compiler::NetworkAccuracy*>> forms;
  const auto add = [&](const char* name, const compiler::NetworkAccuracy& form) {
    if (form.images > 0) forms.emplace_back(name, &form);
  };
  add("original", accuracy.original);
  add("polynomial", accuracy.polynomial);
  add("simulated noise", accuracy.simulated);
  add("encrypted", accuracy.encrypted);
  return forms;
}

std::string worst_text(const compiler::Accuracy& accuracy) {
  const compiler::LayerLoss* worst = accuracy.worst();
  if (worst == nullptr) return {};
  const bool polynomial = worst->polynomial > worst->noise;
  return "most is lost in " + graph::in_quotes(worst->name) + ": its " +
         (polynomial ? "polynomial" : "noise of encryption") + " moves the outputs by " +
         power_text(worst->largest()) + " of the largest one";
}

void say_report(const compiler::Report& report) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "kind", "shape", "slots", "cts", "level", "rotations", "products", "diagonals", "estimate"}};
  for (const compiler::LayerReport& layer : report.layers)
    rows.push_back({printable(layer.name, 40), layer.kind, shape_text(layer.layout.shape),
                    layout_text(layer.layout, layer.period), std::to_string(layer.ciphertexts),
                    std::to_string(layer.level), std::to_string(layer.rotations),
                    std::to_string(layer.products), std::to_string(layer.diagonals),
                    format_number(layer.estimated_ms, 1) + " ms"});
  say_table(rows);
  say(report.name + ": ring degree " + std::to_string(report.ring_degree) + ", log2 QP " +
      format_number(report.log_qp, 2) + ", scale 2^" + std::to_string(report.scale_bits) + ", " +
      std::to_string(report.levels) + " levels; " + std::to_string(report.rotations) + " rotations and " +
      std::to_string(report.products) + " products, about " + format_ms(report.estimated_ms));
  say(report.name + ": " + std::to_string(report.keys) + " evaluation keys of " +
      format_bytes(report.key_bytes) + " once; for each image " + format_bytes(report.upload_bytes) +
      " up and " + format_bytes(report.download_bytes) + " down");
  say(report.name + ": a server needs about " + format_bytes(report.memory.total()) + " of memory: " +
      format_bytes(report.memory.plaintexts) + " of weights, " + format_bytes(report.memory.keys) +
      " of keys for one client, " + format_bytes(report.memory.ciphertexts) + " while it computes");
  for (const auto& [name, flooding] : report.results)
    say(report.name + ": the result " + printable(name, 40) + " has " +
        format_number(flooding.precision_before, 1) + " bits of precision, " +
        format_number(flooding.precision_after, 1) + " after tacitd has added noise of 2^" +
        format_number(flooding.strength_bits, 1) + " times what it hides");
  for (const compiler::ClientView& view : report.client) {
    const std::string name = printable(view.name, 40);
    if (view.decrypted)
      say("  the client sees " + name + " (" + shape_text(view.shape) + ") in the clear, to compute " +
          view.function);
    if (view.weights > 0)
      say("  the client computes " + name + " and gets its " + std::to_string(view.weights) + " weights");
  }
}

void say_record(const compiler::Record& record) {
  for (const compiler::RingTrial& trial : record.trials)
    say("  ring 2^" + std::to_string(trial.log_degree) + ", secure up to log2 QP " +
        std::to_string(trial.log_limit) + ": " +
        (trial.scale_bits == 0
             ? std::string()
             : "scale 2^" + std::to_string(trial.scale_bits) + ", log2 QP " + format_number(trial.log_qp, 1) +
                   ", noise " + power_text(trial.noise) + ", " + format_bytes(trial.memory) + "; ") +
        (trial.taken ? "taken: " : "") + printable(trial.verdict, 200));
  for (const compiler::ActivationFit& fit : record.fits)
    say("  " + printable(fit.name, 40) + ": " + printable(fit.kind, 40) + " as " + form_of(fit) + " on [-" +
        format_number(fit.range, 3) + ", " + format_number(fit.range, 3) + "], error " +
        format_number(fit.rms, 4) + " (at most " + format_number(fit.largest, 4) + ")");
  const compiler::Accuracy& accuracy = record.accuracy;
  std::vector<std::vector<std::string>> rows = {
      {"network", "images", "right", "agreeing", "largest error", "mean error", "precision"}};
  for (const auto& [name, form] : measured_forms(accuracy))
    rows.push_back({name, std::to_string(form->images),
                    accuracy.labelled ? percent_text(form->right, form->images) : "-",
                    percent_text(form->agreeing, form->images), format_number(form->from_original.largest, 6),
                    format_number(form->from_original.mean, 6),
                    format_number(form->from_original.bits, 1) + " bits"});
  if (rows.size() > 1) {
    say_table(rows);
    say("  outputs are at most " + format_number(accuracy.largest_output, 4) + "; encryption alone leaves " +
        format_number(accuracy.simulated.from_polynomial.bits, 1) + " bits, off by at most " +
        format_number(accuracy.simulated.from_polynomial.largest, 6) + " and by " +
        format_number(accuracy.simulated.from_polynomial.mean, 6) + " in the mean");
  }
  if (const std::string worst = worst_text(accuracy); !worst.empty()) say("  " + worst);
}

namespace {

nlohmann::ordered_json error_json(const compiler::OutputError& error) {
  return {{"largest", error.largest}, {"mean", error.mean}, {"bits", error.bits}};
}

nlohmann::ordered_json accuracy_json(const compiler::Accuracy& accuracy) {
  nlohmann::ordered_json networks = nlohmann::ordered_json::array();
  for (const auto& [name, form] : measured_forms(accuracy)) {
    const auto count = static_cast<double>(form->images);
    nlohmann::ordered_json entry = {{"network", name}, {"images", form->images}};
    // Without labels it is not known.
    entry["accuracy"] = nullptr;
    if (accuracy.labelled) entry["accuracy"] = static_cast<double>(form->right) / count;
    entry["agreement"] = static_cast<double>(form->agreeing) / count;
    entry["error"] = error_json(form->from_original);
    entry["encryption_error"] = error_json(form->from_polynomial);
    networks.push_back(std::move(entry));
  }
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const compiler::LayerLoss& layer : accuracy.layers)
    layers.push_back({{"name", layer.name},
                      {"polynomial", layer.polynomial},
                      {"noise", layer.noise},
                      {"polynomial_so_far", layer.polynomial_so_far},
                      {"noise_so_far", layer.noise_so_far}});
  nlohmann::ordered_json object = {
      {"largest_output", accuracy.largest_output}, {"networks", networks}, {"layers", layers}};
  object["worst_layer"] = nullptr;
  if (const compiler::LayerLoss* worst = accuracy.worst()) object["worst_layer"] = worst->name;
  return object;
}

}  // namespace

void add_record(nlohmann::ordered_json& object, const compiler::Record& record) {
  object["calibration_images"] = record.images;
  object["agreement"] = record.agreement;
  object["relative_error"] = record.relative_error;
  object["noise"] = record.noise;
  nlohmann::ordered_json trials = nlohmann::ordered_json::array();
  for (const compiler::RingTrial& trial : record.trials)
    trials.push_back({{"ring_degree", std::uint64_t{1} << (trial.log_degree & 31)},
                      {"log_limit", trial.log_limit},
                      {"scale_bits", trial.scale_bits},
                      {"log_qp", trial.log_qp},
                      {"noise", trial.noise},
                      {"memory_bytes", trial.memory},
                      {"taken", trial.taken},
                      {"verdict", trial.verdict}});
  object["search"] = {{"levels", record.depth},
                      {"noise_target", record.noise_target},
                      {"noise_limit", record.noise_limit},
                      {"memory_budget", record.memory_budget},
                      {"rings", trials}};
  nlohmann::ordered_json fits = nlohmann::ordered_json::array();
  for (const compiler::ActivationFit& fit : record.fits)
    fits.push_back({{"name", fit.name},
                    {"kind", fit.kind},
                    {"degree", fit.degree},
                    {"stages", fit.stages},
                    {"range", fit.range},
                    {"error", fit.rms},
                    {"largest_error", fit.largest}});
  object["activations"] = fits;
  object["accuracy"] = accuracy_json(record.accuracy);
}

nlohmann::ordered_json report_json(const compiler::Report& report) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const compiler::LayerReport& layer : report.layers)
    layers.push_back(
        {{"name", layer.name},
         {"kind", layer.kind},
         {"shape", {layer.layout.shape.channels, layer.layout.shape.height, layer.layout.shape.width}},
         {"gap", layer.layout.gap},
         {"grid", {layer.layout.grid_height, layer.layout.grid_width}},
         {"period", layer.period},
         {"ciphertexts", layer.ciphertexts},
         {"level", layer.level},
         {"level_after", layer.level_after},
         {"scale_bits", layer.scale_bits},
         {"rotations", layer.rotations},
         {"products", layer.products},
         {"diagonals", layer.diagonals},
         {"babies", layer.babies},
         {"giants", layer.giants},
         {"folds", layer.folds},
         {"estimated_ms", layer.estimated_ms}});
  nlohmann::ordered_json client = nlohmann::ordered_json::array();
  for (const compiler::ClientView& view : report.client)
    client.push_back({{"name", view.name},
                      {"function", view.function},
                      {"shape", {view.shape.channels, view.shape.height, view.shape.width}},
                      {"decrypted", view.decrypted},
                      {"weights", view.weights}});
  return {{"name", report.name},
          {"ring_degree", report.ring_degree},
          {"log_qp", report.log_qp},
          {"levels", report.levels},
          {"rotations", report.rotations},
          {"products", report.products},
          {"key_bytes", report.key_bytes},
          {"upload_bytes", report.upload_bytes},
          {"estimated_ms", report.estimated_ms},
          {"download_bytes", report.download_bytes},
          {"keys", report.keys},
          {"scale_bits", report.scale_bits},
          {"batch", report.batch},
          {"memory",
           {{"plaintexts", report.memory.plaintexts},
            {"keys", report.memory.keys},
            {"ciphertexts", report.memory.ciphertexts},
            {"total", report.memory.total()}}},
          {"client", client},
          {"layers", layers}};
}

}  // namespace tacit::app
