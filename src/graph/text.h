// SPDX-License-Identifier: Apache-2.0
// Names and shapes as they appear in one-line messages.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tacit::graph {

// `text` as valid UTF-8 on one line: control characters and bytes that are not UTF-8 become '?', and what is
// longer than `limit` bytes is cut, with "..." in place of the rest.
std::string printable(std::string_view text, std::size_t limit = 100);

// printable(text) in double quotes.
std::string in_quotes(std::string_view text);

// For instance "1x3x32x32"; "scalar" for no dimensions.
std::string dims_to_string(std::span<const std::int64_t> dims);

// kOnnxMalformed.
Error malformed_onnx(std::string message);

}  // namespace tacit::graph
