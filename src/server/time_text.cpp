// SPDX-License-Identifier: Apache-2.0
#include "server/time_text.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace tacit::server {

std::string time_text(Time time) {
  const std::time_t seconds = time / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(time % 1000));
  return std::string(text.data()) + fraction.data();
}

}  // namespace tacit::server
