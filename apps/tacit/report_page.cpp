// SPDX-License-Identifier: Apache-2.0
#include "report_page.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/file.h"
#include "model_report.h"
#include "svg_plot.h"

namespace tacit::app {
namespace {

// The three series have colours that people who see red and green alike can tell apart, in both themes.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6876; --paper: #ffffff; --panel: #f4f6f8; --rule: #d5dbe1;
  --one: #1f6fb2; --two: #d1670a; --three: #7a8794; --four: #2a8a5f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #a2adb8; --paper: #14191f; --panel: #1d242c; --rule: #38424d;
    --one: #6ab0ea; --two: #f3a45c; --three: #8d99a5; --four: #64c79a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 28px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 10px; padding-bottom: 4px; border-bottom: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 6px 0 12px; max-width: 75ch; }
.soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 10px; margin: 18px 0; }
.tile { background: var(--panel); border-radius: 8px; padding: 10px 14px; }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 0; font-size: 21px; font-weight: 600; }
.tile dd small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 130px; }
.n { text-align: right; white-space: nowrap; }
tr.chosen { background: var(--panel); }
.note { background: var(--panel); border-left: 4px solid var(--two); padding: 8px 14px; border-radius: 4px; }
.plot { width: 100%; height: auto; display: block; font: 12px system-ui, sans-serif; }
.plot .label { fill: var(--ink); }
.plot .axis { stroke: var(--soft); }
.plot .grid { stroke: var(--rule); }
.plot .line { fill: none; stroke-width: 2; }
.series-1.fill { fill: var(--one); } .series-2.fill { fill: var(--two); }
.series-3.fill { fill: var(--three); } .series-4.fill { fill: var(--four); }
.series-1.line { stroke: var(--one); } .series-2.line { stroke: var(--two); stroke-dasharray: 6 3; }
.fits { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 18px; }
figure { margin: 0 0 16px; }
figcaption { font-size: 13px; color: var(--soft); }
@media print {
  :root { --ink: #000; --soft: #444; --paper: #fff; --panel: #f2f2f2; --rule: #bbb; --one: #1f6fb2; --two: #d1670a; }
  body { font-size: 11px; } main { max-width: none; padding: 0; } figure, tr, .tile { break-inside: avoid; }
  h2 { break-after: avoid; } .wide { overflow: visible; } }
)";

// A table whose first column names the row.
class Table {
 public:
  // Columns from `numbers` on are numbers.
  Table(std::vector<std::string> heads, std::size_t numbers) : numbers_(numbers) {
    html_ = "<div class=\"wide\" tabindex=\"0\"><table><thead><tr>";
    for (std::size_t i = 0; i < heads.size(); ++i)
      html_ += "<th scope=\"col\"" + align(i) + ">" + escape(heads[i]) + "</th>";
    html_ += "</tr></thead><tbody>";
  }
  void row(const std::vector<std::string>& cells, bool chosen = false) {
    html_ += chosen ? "<tr class=\"chosen\">" : "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i)
      html_ += (i == 0 ? "<th scope=\"row\">" : "<td" + align(i) + ">") + escape(cells[i]) +
               (i == 0 ? "</th>" : "</td>");
    html_ += "</tr>\n";
  }
  std::string take() { return std::move(html_) + "</tbody></table></div>\n"; }

 private:
  std::string align(std::size_t column) const { return column >= numbers_ ? " class=\"n\"" : ""; }
  std::size_t numbers_;
  std::string html_;
};

std::string paragraph(std::string_view content, std::string_view name = "") {
  return "<p" + (name.empty() ? std::string() : " class=\"" + std::string(name) + "\"") + ">" +
         escape(content) + "</p>\n";
}

std::string figure(const std::string& plot, std::string_view caption) {
  return "<figure><div class=\"wide\" tabindex=\"0\">" + plot + "</div><figcaption>" + escape(caption) +
         "</figcaption></figure>\n";
}

std::string tile(std::string_view name, std::string_view value, std::string_view more) {
  return "<div class=\"tile\"><dt>" + escape(name) + "</dt><dd>" + escape(value) + "<small>" + escape(more) +
         "</small></dd></div>";
}

std::string count(std::uint64_t value) { return std::to_string(value); }

std::string totals(const compiler::Report& report, const compiler::Record& record) {
  std::string html = "<dl class=\"tiles\">";
  html += tile("Estimated latency", format_ms(report.estimated_ms),
               report.batch == 1 ? "on the machine that compiled"
                                 : "for up to " + count(report.batch) + " images at once");
  html += tile("Evaluation keys", format_bytes(report.key_bytes), count(report.keys) + " keys, sent once");
  html += tile("Messages", format_bytes(report.upload_bytes) + " up",
               format_bytes(report.download_bytes) + " down, each prediction");
  html += tile("Server memory", format_bytes(report.memory.total()), "model, one client, one request");
  html += tile("Ring", "N = " + count(report.ring_degree),
               "log2 QP " + format_number(report.log_qp, 1) + ", scale 2^" +
                   count(static_cast<std::uint64_t>(report.scale_bits)));
  html += tile("Levels", count(static_cast<std::uint64_t>(report.levels)),
               count(report.rotations) + " rotations, " + count(report.products) + " products");
  const compiler::Accuracy& accuracy = record.accuracy;
  if (accuracy.simulated.images > 0)
    html += tile("Precision left", format_number(accuracy.simulated.from_polynomial.bits, 1) + " bits",
                 "after the noise of encryption");
  const auto forms = measured_forms(accuracy);
  if (!forms.empty()) {
    const auto& [name, last] = forms.back();
    html += tile(accuracy.labelled ? "Accuracy" : "Agreement",
                 percent_text(accuracy.labelled ? last->right : last->agreeing, last->images),
                 name + ", " + count(last->images) + " images");
  }
  return html + "</dl>\n";
}

std::string accuracy_section(const compiler::Accuracy& accuracy) {
  const auto forms = measured_forms(accuracy);
  if (forms.empty()) return {};
  std::string html = "<h2>Accuracy</h2>\n";
  html += paragraph(
      "Four forms of one network on calibration images: as it was trained; with polynomials in place of its "
      "activations; the same with the noise that encryption is predicted to add; and a sample that was "
      "really encrypted.");
  if (const std::string worst = worst_text(accuracy); !worst.empty()) html += paragraph(worst, "note");
  std::vector<std::string> names;
  std::vector<Series> series;
  std::vector<std::vector<std::string>> texts;
  if (accuracy.labelled) series.push_back({"right", {}}), texts.emplace_back();
  series.push_back({"agrees with the original", {}}), texts.emplace_back();
  for (const auto& [name, form] : forms) {
    names.push_back(name);
    const auto add = [&, images = form->images](std::size_t at, std::size_t part) {
      series[at].values.push_back(static_cast<double>(part) / static_cast<double>(images));
      texts[at].push_back(percent_text(part, images));
    };
    if (accuracy.labelled) add(0, form->right);
    add(series.size() - 1, form->agreeing);
  }
  html += figure(bar_plot("Accuracy of the four networks", names, series, texts, 1),
                 accuracy.labelled
                     ? "Share of images whose largest output is the label's, and the original network's."
                     : "Share of images whose largest output is the original network's.");
  Table table({"network", "images", "right", "agreeing", "largest error", "mean error", "precision",
               "by encryption alone", "precision left"},
              1);
  for (const auto& [name, form] : forms) {
    const compiler::OutputError& all = form->from_original;
    const compiler::OutputError& noise = form->from_polynomial;
    const bool noisy = form == &accuracy.simulated || form == &accuracy.encrypted;
    const auto bits = [](double value) {
      return value >= compiler::kMostBits ? std::string("exact") : format_number(value, 1) + " bits";
    };
    table.row({name, count(form->images), accuracy.labelled ? percent_text(form->right, form->images) : "–",
               percent_text(form->agreeing, form->images), format_number(all.largest, 6),
               format_number(all.mean, 6), bits(all.bits), noisy ? format_number(noise.largest, 6) : "–",
               noisy ? bits(noise.bits) : "–"});
  }
  html += table.take();
  html += paragraph("Errors are those of the outputs, of which the largest is " +
                        format_number(accuracy.largest_output, 4) +
                        ". Precision is log2 of that over the root mean square error.",
                    "soft");
  return html;
}

std::string loss_section(const compiler::Accuracy& accuracy) {
  if (accuracy.layers.empty()) return {};
  std::vector<std::string> names;
  std::vector<Series> alone = {{"polynomial", {}}, {"noise", {}}}, gathered = alone;
  for (const compiler::LayerLoss& layer : accuracy.layers) {
    names.push_back(layer.name);
    const auto add = [](Series& series, double value) {
      series.values.push_back(value > 0 ? value : std::numeric_limits<double>::quiet_NaN());
    };
    add(alone[0], layer.polynomial), add(alone[1], layer.noise);
    add(gathered[0], layer.polynomial_so_far), add(gathered[1], layer.noise_so_far);
  }
  std::string html = "<h2>Where precision is lost</h2>\n";
  html +=
      figure(layer_plot("Error of the outputs by layer", names, alone, Axis::kLogarithmic),
             "What each layer costs alone: how far the outputs move (root mean square, beside the largest "
             "output) if only this activation is a polynomial, or only this operation is noisy.");
  html +=
      figure(layer_plot("Error gathered by layer", names, gathered, Axis::kLogarithmic),
             "What has gathered up to each layer: its value's own error, beside the largest number in it.");
  Table table({"layer", "polynomial, alone", "noise, alone", "polynomial, gathered", "noise, gathered"}, 1);
  const compiler::LayerLoss* worst = accuracy.worst();
  for (const compiler::LayerLoss& layer : accuracy.layers)
    table.row({layer.name, power_text(layer.polynomial), power_text(layer.noise),
               power_text(layer.polynomial_so_far), power_text(layer.noise_so_far)},
              &layer == worst);
  return html + table.take();
}

std::string layer_section(const compiler::Report& report) {
  std::string html = "<h2>Layers</h2>\n";
  std::vector<std::string> names;
  Series time{"estimated time", {}}, level{"level after the layer", {}}, scale{"log2 of the scale", {}};
  std::vector<std::vector<std::string>> texts(1);
  for (const compiler::LayerReport& layer : report.layers) {
    names.push_back(layer.name);
    time.values.push_back(layer.estimated_ms);
    texts[0].push_back(format_ms(layer.estimated_ms));
    const bool encrypted = layer.level_after >= 0;
    const double none = std::numeric_limits<double>::quiet_NaN();
    level.values.push_back(encrypted ? layer.level_after : none);
    scale.values.push_back(encrypted ? layer.scale_bits : none);
  }
  html +=
      figure(bar_plot("Time by layer", names, std::span(&time, 1), texts), "Estimated time of each layer.");
  html += figure(layer_plot("Levels and scales", names, std::vector{level, scale}, Axis::kLinear),
                 "Level that is left after each layer, and log2 of the scale that its numbers have there.");
  Table table({"layer", "kind", "shape", "packing", "ciphertexts", "level", "after", "rotations",
               "babies / giants / folds", "products", "diagonals", "time"},
              4);
  for (const compiler::LayerReport& layer : report.layers)
    table.row({layer.name, layer.kind, shape_text(layer.layout.shape),
               layout_text(layer.layout, layer.period), count(layer.ciphertexts), std::to_string(layer.level),
               layer.level_after < 0 ? "client" : std::to_string(layer.level_after), count(layer.rotations),
               count(layer.babies) + " / " + count(layer.giants) + " / " + count(layer.folds),
               count(layer.products), count(layer.diagonals), format_ms(layer.estimated_ms)});
  return html + table.take();
}

std::string fit_section(const compiler::Record& record) {
  if (record.fits.empty()) return {};
  std::string html = "<h2>Activations</h2>\n<div class=\"fits\">";
  for (const compiler::ActivationFit& fit : record.fits)
    html += "<figure>" +
            fit_plot(fit.name + ": " + fit.kind + " and what stands for it", fit.range, fit.histogram,
                     fit.function, fit.polynomial) +
            "<figcaption>" +
            escape(fit.name + ": " + fit.kind + ", " + form_of(fit) + " on ±" + format_number(fit.range, 3) +
                   ", error " + format_number(fit.rms, 4) + ", at most " + format_number(fit.largest, 4)) +
            "</figcaption></figure>\n";
  return html + "</div>\n";
}

std::string parameter_section(const compiler::Report& report, const compiler::Record& record) {
  std::string html = "<h2>Parameters, and why</h2>\n";
  if (!record.trials.empty()) {
    html += paragraph(
        "The network takes " + std::to_string(record.depth) +
        " levels. Rings were tried from the smallest that holds its values; in each the smallest "
        "scale with noise below " +
        power_text(record.noise_target) +
        " of the largest output, or else the largest scale if its noise is "
        "below " +
        power_text(record.noise_limit) + ". log2 QP stays below the bound for 128 bits of security." +
        (record.memory_budget == 0 ? std::string()
                                   : " A server may need " + format_bytes(record.memory_budget) + "."));
    Table table({"ring", "result", "secure log2 QP", "log2 QP", "scale", "noise", "server memory"}, 2);
    for (const compiler::RingTrial& trial : record.trials) {
      const bool any = trial.scale_bits > 0;
      table.row({"N = 2^" + std::to_string(trial.log_degree), (trial.taken ? "taken: " : "") + trial.verdict,
                 std::to_string(trial.log_limit), any ? format_number(trial.log_qp, 1) : "–",
                 any ? "2^" + std::to_string(trial.scale_bits) : "–", any ? power_text(trial.noise) : "–",
                 any ? format_bytes(trial.memory) : "–"},
                trial.taken);
    }
    html += table.take();
  }
  html += "<h3>Server memory</h3>\n";
  const std::vector<std::string> names = {"weights, encoded", "one client's keys",
                                          "ciphertexts of one request"};
  const std::uint64_t parts[] = {report.memory.plaintexts, report.memory.keys, report.memory.ciphertexts};
  Series bytes{"bytes", {}};
  std::vector<std::vector<std::string>> texts(1);
  for (std::uint64_t part : parts) {
    bytes.values.push_back(static_cast<double>(part));
    texts[0].push_back(format_bytes(part));
  }
  return html + figure(bar_plot("Server memory", names, std::span(&bytes, 1), texts),
                       "Estimated: " + format_bytes(report.memory.total()) + " in all.");
}

std::string client_section(const compiler::Report& report) {
  if (report.client.empty()) return {};
  std::string html = "<h2>What clients see of the network</h2>\n";
  html += paragraph(
      "Clients of this model compute some of it themselves. What they decrypt on the way tells them more of "
      "the "
      "network than its outputs do, and weights of layers that they compute are public. Somebody who asks "
      "often "
      "may learn the layers between from that.",
      "note");
  Table table({"value or layer", "the client", "shape", "numbers it decrypts", "weights it gets"}, 2);
  for (const compiler::ClientView& view : report.client)
    table.row({view.name, "computes " + view.function, shape_text(view.shape),
               view.decrypted ? count(view.shape.elements()) : "–",
               view.weights > 0 ? count(view.weights) : "–"});
  return html + table.take();
}

}  // namespace

std::string report_page(const compiler::Report& report, const compiler::Record& record) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>" +
      escape(report.name) + ": compile report</title><style>" + std::string(kStyle) +
      "</style></head>\n<body><main>\n";
  html += "<h1>" + escape(report.name) + "</h1>\n";
  html +=
      paragraph("Compiled for encrypted inference" +
                    (record.images == 0 ? std::string()
                                        : ", calibrated on " + std::to_string(record.images) + " images") +
                    ". For the model's owner: this page shows weights' effects and calibration data.",
                "soft");
  html += totals(report, record);
  html += accuracy_section(record.accuracy) + loss_section(record.accuracy);
  html += layer_section(report) + fit_section(record) + parameter_section(report, record);
  html += client_section(report);
  return html + "</main></body></html>\n";
}

Status write_report_page(const std::filesystem::path& path, const compiler::Report& report,
                         const compiler::Record& record) {
  return write_file_atomic(path, as_bytes(report_page(report, record)));
}

}  // namespace tacit::app
