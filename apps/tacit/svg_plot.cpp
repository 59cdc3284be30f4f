// SPDX-License-Identifier: Apache-2.0
#include "svg_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/printable.h"
#include "console.h"

namespace tacit::app {
namespace {

std::string number(double value) { return format_number(value, 1); }

std::string line(double x1, double y1, double x2, double y2, std::string_view name) {
  return "<line class=\"" + std::string(name) + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) +
         "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\"/>";
}

// `anchor` is start, middle or end.
std::string text(double x, double y, std::string_view anchor, std::string_view content,
                 std::string_view name = "label") {
  return "<text class=\"" + std::string(name) + "\" x=\"" + number(x) + "\" y=\"" + number(y) +
         "\" text-anchor=\"" + std::string(anchor) + "\">" + escape(content) + "</text>";
}

std::string rectangle(double x, double y, double width, double height, std::string_view name,
                      std::string_view title = {}) {
  std::string result = "<rect class=\"" + std::string(name) + "\" x=\"" + number(x) + "\" y=\"" + number(y) +
                       "\" width=\"" + number(width) + "\" height=\"" + number(height) + "\">";
  if (!title.empty()) result += "<title>" + escape(title) + "</title>";
  return result + "</rect>";
}

std::string begin(double width, double height, std::string_view title) {
  return "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 " + number(width) + " " + number(height) +
         "\" style=\"max-width:" + number(width) + "px\"><title>" + escape(title) + "</title>";
}

std::string series_class(std::size_t i) { return "series-" + std::to_string(i + 1); }

// The series' names with their colours, from x on, in one row.
std::string legend(double x, double y, std::span<const Series> series) {
  std::string result;
  if (series.size() < 2) return result;
  for (std::size_t i = 0; i < series.size(); ++i) {
    result += rectangle(x, y - 9, 10, 10, "fill " + series_class(i));
    result += text(x + 15, y, "start", series[i].name);
    x += 40 + 7 * static_cast<double>(series[i].name.size());
  }
  return result;
}

// 1, 2 or 5 times a power of ten, so that at most about five steps reach `extent`.
double tick_step(double extent) {
  const double power = std::pow(10, std::floor(std::log10(extent / 5)));
  for (double factor : {1.0, 2.0, 5.0})
    if (extent / (factor * power) <= 5) return factor * power;
  return 10 * power;
}

std::string tick_text(double value, double step) {
  return format_number(value, std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6));
}

struct Bounds {
  double low = 0, high = 1;
  // Where a value stands between `bottom` and `top`.
  double place(double value, double bottom, double top) const {
    return bottom + (std::clamp(value, low, high) - low) / (high - low) * (top - bottom);
  }
};

// Horizontal grid lines with their values.
std::string grid(const Bounds& bounds, double step, double left, double right, double bottom, double top,
                 bool logarithmic) {
  std::string result;
  for (double t = std::ceil(bounds.low / step) * step; t <= bounds.high + 1e-9; t += step) {
    const double y = bounds.place(t, bottom, top);
    result += line(left, y, right, y, "grid");
    const double shown = std::abs(t) < step / 2 ? 0 : t;
    result +=
        text(left - 6, y + 4, "end", logarithmic ? "2^" + format_number(shown, 0) : tick_text(shown, step));
  }
  return result;
}

// A polyline through the points that are numbers.
std::string curve(std::span<const double> xs, std::span<const double> ys, std::string_view name) {
  std::string points;
  for (std::size_t i = 0; i < xs.size(); ++i)
    if (std::isfinite(ys[i])) points += (points.empty() ? "" : " ") + number(xs[i]) + "," + number(ys[i]);
  return "<polyline class=\"" + std::string(name) + "\" points=\"" + points + "\"/>";
}

}  // namespace

std::string escape(std::string_view content) {
  std::string result;
  for (char c : printable(content, std::string::npos)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string bar_plot(std::string_view title, std::span<const std::string> names,
                     std::span<const Series> series, const std::vector<std::vector<std::string>>& texts,
                     double most) {
  constexpr double kWidth = 720, kLeft = 200, kRight = 620, kBar = 14, kGap = 8;
  const double group = kBar * static_cast<double>(series.size()) + kGap;
  const double top = series.size() > 1 ? 26 : 6;
  const double height = top + group * static_cast<double>(names.size()) + 4;
  Bounds bounds{0, most};
  for (const Series& one : series)
    for (double value : one.values)
      if (std::isfinite(value)) bounds.high = std::max(bounds.high, value);
  if (bounds.high <= 0) bounds.high = 1;
  std::string result = begin(kWidth, height, title) + legend(kLeft, 14, series);
  result += line(kLeft, top, kLeft, height - 4, "axis");
  for (std::size_t n = 0; n < names.size(); ++n) {
    const double y = top + group * static_cast<double>(n) + kGap / 2;
    result += text(kLeft - 8, y + (group - kGap) / 2 + 4, "end", printable(names[n], 28));
    for (std::size_t s = 0; s < series.size(); ++s) {
      const double value = series[s].values[n];
      if (!std::isfinite(value)) continue;
      const std::string words = texts.empty() ? std::string() : texts[s][n];
      const double end = bounds.place(value, kLeft, kRight), row = y + kBar * static_cast<double>(s);
      result += rectangle(kLeft, row + 1, end - kLeft, kBar - 2, "fill " + series_class(s),
                          names[n] + ": " + words);
      result += text(end + 6, row + kBar - 3, "start", words);
    }
  }
  return result + "</svg>";
}

std::string layer_plot(std::string_view title, std::span<const std::string> names,
                       std::span<const Series> series, Axis axis) {
  constexpr double kLeft = 60, kTop = 30, kBottom = 230, kStep = 46;
  const bool logarithmic = axis == Axis::kLogarithmic;
  const double right = kLeft + std::max(10.0, static_cast<double>(names.size())) * kStep;
  Bounds bounds{0.0, logarithmic ? -1e9 : 0.0};
  const auto scaled = [&](double value) {
    return !logarithmic ? value : value > 0 ? std::log2(value) : -std::numeric_limits<double>::infinity();
  };
  for (const Series& one : series)
    for (double value : one.values)
      if (const double v = scaled(value); std::isfinite(v)) {
        bounds.low = std::min(bounds.low, v);
        bounds.high = std::max(bounds.high, v);
      }
  if (logarithmic) {
    bounds.high = bounds.high < -1e8 ? 0 : std::ceil(bounds.high / 4) * 4;
    bounds.low = std::max(std::floor(bounds.low / 4) * 4, bounds.high - 56);
  }
  if (bounds.high <= bounds.low) bounds.high = bounds.low + (logarithmic ? 4 : 1);
  const double step =
      logarithmic ? (bounds.high - bounds.low > 24 ? 8 : 4) : tick_step(bounds.high - bounds.low);
  std::string result = begin(right + 40, kBottom + 120, title) + legend(kLeft, 16, series);
  result += grid(bounds, step, kLeft, right, kBottom, kTop, logarithmic);
  std::vector<double> xs;
  for (std::size_t n = 0; n < names.size(); ++n) {
    xs.push_back(kLeft + kStep * (static_cast<double>(n) + 0.5));
    const std::string at = number(xs[n] + 4) + " " + number(kBottom + 14);
    result += "<text class=\"label\" text-anchor=\"end\" transform=\"translate(" + at + ") rotate(-45)\">" +
              escape(printable(names[n], 22)) + "</text>";
  }
  for (std::size_t s = 0; s < series.size(); ++s) {
    std::vector<double> ys;
    for (double value : series[s].values) {
      const double v = scaled(value);
      ys.push_back(std::isnan(value) ? value : std::isfinite(v) ? bounds.place(v, kBottom, kTop) : kBottom);
    }
    result += curve(xs, ys, "line " + series_class(s));
    for (std::size_t n = 0; n < ys.size(); ++n) {
      if (!std::isfinite(ys[n])) continue;
      const double value = series[s].values[n];
      const std::string words = !logarithmic ? tick_text(value, step / 100)
                                : value > 0  ? "2^" + format_number(std::log2(value), 1)
                                             : "0";
      result += "<circle class=\"fill " + series_class(s) + "\" r=\"3.5\" cx=\"" + number(xs[n]) +
                "\" cy=\"" + number(ys[n]) + "\"><title>" +
                escape(names[n] + ", " + series[s].name + ": " + words) + "</title></circle>";
    }
  }
  result += line(kLeft, kBottom, right, kBottom, "axis");
  return result + "</svg>";
}

std::string fit_plot(std::string_view title, double range, std::span<const double> histogram,
                     std::span<const double> function, std::span<const double> polynomial) {
  constexpr double kWidth = 420, kLeft = 56, kRight = 404, kTop = 30, kMiddle = 180, kBottom = 250;
  std::string result = begin(kWidth, kBottom + 26, title);
  const Series names[] = {{"function", {}}, {"polynomial", {}}};
  result += legend(kLeft, 16, names);
  Bounds bounds{0, 0};
  for (std::span<const double> values : {function, polynomial})
    for (double v : values) bounds.low = std::min(bounds.low, v), bounds.high = std::max(bounds.high, v);
  if (bounds.high <= bounds.low) bounds.high = bounds.low + 1;
  result += grid(bounds, tick_step(bounds.high - bounds.low), kLeft, kRight, kMiddle, kTop, false);
  const auto draw = [&](std::span<const double> values, const std::string& name) {
    std::vector<double> xs, ys;
    for (std::size_t i = 0; i < values.size(); ++i) {
      xs.push_back(kLeft +
                   (kRight - kLeft) * static_cast<double>(i) / static_cast<double>(values.size() - 1));
      ys.push_back(bounds.place(values[i], kMiddle, kTop));
    }
    result += curve(xs, ys, name);
  };
  if (function.size() > 1) draw(function, "line series-1");
  if (polynomial.size() > 1) draw(polynomial, "line series-2");
  double most = 0;
  for (double share : histogram) most = std::max(most, share);
  const double width = (kRight - kLeft) / std::max<double>(1, static_cast<double>(histogram.size()));
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    if (most <= 0 || histogram[i] <= 0) continue;
    const double height = std::max(0.5, histogram[i] / most * (kBottom - kMiddle - 14));
    result +=
        rectangle(kLeft + width * static_cast<double>(i), kBottom - height, width, height, "fill series-3");
  }
  result += line(kLeft, kBottom, kRight, kBottom, "axis");
  for (const auto& [x, value] : {std::pair{kLeft, -range}, {(kLeft + kRight) / 2, 0.0}, {kRight, range}})
    result += text(x, kBottom + 16, "middle", format_number(value, range < 10 ? 2 : 0));
  result += text(kRight, kMiddle + 12, "end", "how often inputs are seen");
  return result + "</svg>";
}

}  // namespace tacit::app
