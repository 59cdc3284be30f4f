// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <iterator>

namespace tacit {
namespace {

struct Entry {
  std::string_view text;
  ErrorKind kind;
  std::string_view meaning;
};

constexpr Entry kEntries[] = {
#define TACIT_ERROR(name, text, kind, meaning) {text, ErrorKind::kind, meaning},
#include "base/error_codes.def"
#undef TACIT_ERROR
};

const Entry& entry(ErrorCode code) { return kEntries[static_cast<std::size_t>(code)]; }

}  // namespace

std::string_view to_string(ErrorCode code) { return entry(code).text; }
ErrorCode error_code_from(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kEntries); ++i)
    if (kEntries[i].text == text) return static_cast<ErrorCode>(i);
  return ErrorCode::kInternal;
}
ErrorKind kind_of(ErrorCode code) { return entry(code).kind; }
std::string_view meaning_of(ErrorCode code) { return entry(code).meaning; }

std::string Error::to_line() const { return std::string(to_string(code)) + ": " + message; }

Error Error::within(std::string_view context) && {
  message = std::string(context) + ": " + message;
  return std::move(*this);
}

Error malformed_data(std::string message) { return Error{ErrorCode::kDataMalformed, std::move(message)}; }

}  // namespace tacit
