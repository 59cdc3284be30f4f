// SPDX-License-Identifier: Apache-2.0
#include "graph/text.h"

namespace tacit::graph {

std::string in_quotes(std::string_view text) { return '"' + printable(text) + '"'; }

std::string dims_to_string(std::span<const std::int64_t> dims) {
  if (dims.empty()) return "scalar";
  std::string text;
  for (std::int64_t dim : dims) {
    if (!text.empty()) text += 'x';
    text += std::to_string(dim);
  }
  return printable(text);
}

Error malformed_onnx(std::string message) { return Error{ErrorCode::kOnnxMalformed, std::move(message)}; }

}  // namespace tacit::graph
