// SPDX-License-Identifier: Apache-2.0
// Text of others in a message of ours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tacit {

// `text` as valid UTF-8 on one line: control characters and bytes that are not UTF-8 become '?', and what is
// longer than `limit` bytes is cut, with "..." in place of the rest. std::string::npos cuts nothing.
std::string printable(std::string_view text, std::size_t limit = 100);

}  // namespace tacit
