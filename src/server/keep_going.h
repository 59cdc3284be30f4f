// SPDX-License-Identifier: Apache-2.0
// A thread of the server does not end because something threw: as a rule that is std::bad_alloc, and later there is memory again.
#pragma once

#include <exception>
#include <string_view>

#include "server/log.h"

namespace tacit::server {

// Calls work(). What it throws is logged, as the cause of `trouble`, and goes no further; false then.
template <class Work>
bool keep_going(std::string_view trouble, const Work& work) noexcept {
  try {
    work();
    return true;
  } catch (const std::exception& failure) {
    log_error(trouble, {{"reason", failure.what()}});
    return false;
  }
}

}  // namespace tacit::server
