// SPDX-License-Identifier: Apache-2.0
#include "model_report.h"

#include <algorithm>
#include <cmath>

#include "graph/text.h"

namespace tacit::app {
namespace {

std::string padded(std::string text, std::size_t width, bool right) {
  if (text.size() >= width) return text;
  const std::string space(width - text.size(), ' ');
  return right ? space + text : text + space;
}

std::string shape_text(const plan::Shape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.height) + "x" +
         std::to_string(shape.width);
}

// Where the values stand: "gap 2 on 32x32, period 4096".
std::string layout_text(const plan::Layout& layout, std::size_t period) {
  return "gap " + std::to_string(layout.gap) + " on " + std::to_string(layout.grid_height) + "x" +
         std::to_string(layout.grid_width) + ", period " + std::to_string(period);
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

void say_report(const compiler::Report& report) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "kind", "shape", "slots", "level", "rotations", "products", "diagonals", "estimate"}};
  for (const compiler::LayerReport& layer : report.layers)
    rows.push_back({graph::printable(layer.name, 40), layer.kind, shape_text(layer.layout.shape),
                    layout_text(layer.layout, layer.period), std::to_string(layer.level),
                    std::to_string(layer.rotations), std::to_string(layer.products),
                    std::to_string(layer.diagonals), format_number(layer.estimated_ms, 1) + " ms"});
  say_table(rows);
  say(report.name + ": ring degree " + std::to_string(report.ring_degree) + ", log2 QP " +
      format_number(report.log_qp, 2) + ", scale 2^" + std::to_string(report.scale_bits) + ", " +
      std::to_string(report.levels) + " levels; " + std::to_string(report.rotations) + " rotations and " +
      std::to_string(report.products) + " products, about " + format_ms(report.estimated_ms));
  say(report.name + ": " + std::to_string(report.keys) + " evaluation keys of " +
      format_bytes(report.key_bytes) + " once; for each image " + format_bytes(report.upload_bytes) +
      " up and " + format_bytes(report.download_bytes) + " down");
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
         {"level", layer.level},
         {"rotations", layer.rotations},
         {"products", layer.products},
         {"diagonals", layer.diagonals},
         {"estimated_ms", layer.estimated_ms}});
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
          {"layers", layers}};
}

}  // namespace tacit::app
