// SPDX-License-Identifier: Apache-2.0
// Names and shapes as they appear in one-line messages.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/printable.h"
#include "base/result.h"

namespace tacit::graph {

// printable(text) in double quotes.
std::string in_quotes(std::string_view text);

// For instance "1x3x32x32"; "scalar" for no dimensions.
std::string dims_to_string(std::span<const std::int64_t> dims);

// kOnnxMalformed.
Error malformed_onnx(std::string message);

}  // namespace tacit::graph
