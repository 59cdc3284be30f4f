// SPDX-License-Identifier: Apache-2.0
// Text of others in a message of ours.
#pragma once

#include <algorithm>
#include <string>

namespace tacit {

// `text` with '?' for each control character of ASCII: a message has one line, whatever a file's name or key has in it.
inline std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return text;
}

}  // namespace tacit
