// SPDX-License-Identifier: Apache-2.0
#include "compiler/record.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace tacit::compiler {

namespace {

// Above the layers of any plan that can be run, and of any list in a record.
constexpr std::size_t kMaxEntries = std::size_t{1} << 20;

// Whether every number is finite and every list of a length that can be shown.
bool is_sound(const nlohmann::json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (!value.is_structured()) return true;
  if (value.size() > kMaxEntries) return false;
  for (const nlohmann::json& element : value)
    if (!is_sound(element)) return false;
  return true;
}

// Lists within a record are nested four deep; a text that goes deeper is none, and would exhaust the stack.
constexpr int kMaxDepth = 8;

bool is_shallow(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > kMaxDepth)
      return false;
    else if (!quoted && (text[i] == ']' || text[i] == '}'))
      --depth;
  }
  return true;
}

Error malformed() {
  return Error{ErrorCode::kDataMalformed,
               "the package's record of its compilation cannot be read; compile the model again"};
}

}  // namespace

// Found by nlohmann::json through the types.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OutputError, largest, mean, bits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NetworkAccuracy, images, right, agreeing, from_original, from_polynomial)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LayerLoss, name, polynomial, noise, polynomial_so_far, noise_so_far)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Accuracy, labelled, largest_output, original, polynomial, simulated,
                                   encrypted, layers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ActivationFit, name, kind, degree, range, rms, largest, histogram,
                                   function, polynomial, stages)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RingTrial, log_degree, log_limit, scale_bits, log_qp, noise, memory, taken,
                                   verdict)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Record, images, depth, noise_target, noise_limit, memory_budget, trials,
                                   fits, relative_error, agreement, noise, clear_error, accuracy)

std::string to_json(const Record& record) {
  return nlohmann::json(record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Record> record_from_json(std::string_view text) {
  if (!is_shallow(text)) return malformed();
  const nlohmann::json page = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (page.is_discarded() || !is_sound(page)) return malformed();
  try {
    return page.get<Record>();
  } catch (const nlohmann::json::exception&) { return malformed(); }
}

}  // namespace tacit::compiler
