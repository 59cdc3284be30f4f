// SPDX-License-Identifier: Apache-2.0
// Plots as SVG elements for a page: text, title and colours come from the page's style sheet (classes "plot", "axis", "grid",
// "series-1" ...).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tacit::app {

// `text` for HTML and XML, between tags and in attributes. Characters that XML cannot have become '?'.
std::string escape(std::string_view text);

struct Series {
  std::string name;
  std::vector<double> values;  // one for each name of the plot; NaN for none
};

// Horizontal bars, one group for each name, from 0 to the largest value or `most`. `texts`, if not empty, has for each series
// and name what stands behind the bar.
std::string bar_plot(std::string_view title, std::span<const std::string> names,
                     std::span<const Series> series, const std::vector<std::vector<std::string>>& texts,
                     double most = 0);

// Points at equal distances, joined by steps or lines; on a logarithmic axis of powers of two values of 0 stand at the bottom.
enum class Axis { kLinear, kLogarithmic };
std::string layer_plot(std::string_view title, std::span<const std::string> names,
                       std::span<const Series> series, Axis axis);

// A function and the polynomial that stands for it, above the histogram of their argument on [-range, range].
std::string fit_plot(std::string_view title, double range, std::span<const double> histogram,
                     std::span<const double> function, std::span<const double> polynomial);

}  // namespace tacit::app
