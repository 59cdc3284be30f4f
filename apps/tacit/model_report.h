// SPDX-License-Identifier: Apache-2.0
// What compile and inspect say about a model.
#pragma once

#include <utility>
#include <vector>

#include "compiler/record.h"
#include "compiler/report.h"
#include "console.h"

namespace tacit::app {

// A table of the layers and the totals, on standard error.
void say_report(const compiler::Report& report);
// How its parameters were found, what it was measured to lose, and where; nothing where there is no record.
void say_record(const compiler::Record& record);

// {"ring_degree", "log_qp", "levels", "rotations", "products", "key_bytes", "upload_bytes", "estimated_ms"}
// and what else there is to say, the layers among it.
nlohmann::ordered_json report_json(const compiler::Report& report);
// Adds "calibration_images", "agreement", "relative_error", "noise", "search", "activations" and "accuracy" to a report.
void add_record(nlohmann::ordered_json& object, const compiler::Record& record);

// Words that the page uses too. "16x14x14".
std::string shape_text(const plan::Shape& shape);
// Where the values stand: "gap 2 on 32x32, period 4096".
std::string layout_text(const plan::Layout& layout, std::size_t period);
// "2^-14.3"; "0" for 0.
std::string power_text(double value);
// "97.50 %".
std::string percent_text(std::size_t part, std::size_t whole);
// "a polynomial of degree 15", "x times a sign of degrees 7, 15, 27".
std::string form_of(const compiler::ActivationFit& fit);
// The forms of the network that were measured, each with its name.
std::vector<std::pair<std::string, const compiler::NetworkAccuracy*>> measured_forms(
    const compiler::Accuracy& accuracy);
// "most is lost in \"relu2\": its polynomial moves the outputs by 2^-7.1 of the largest one"; empty where nothing was
// measured.
std::string worst_text(const compiler::Accuracy& accuracy);

}  // namespace tacit::app
