// SPDX-License-Identifier: Apache-2.0
// The server's log: lines on standard error, written by a thread of its own so that nobody waits for a slow reader.
// Lines never hold bodies, keys or ciphertexts.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tacit::server {

// "debug", "info", "warning", "error" or "off"; kInvalidArgument. Until it is called nothing is logged.
Status start_log(std::string_view level);
// Writes what is left.
void stop_log();

void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);

}  // namespace tacit::server
