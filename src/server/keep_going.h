// SPDX-License-Identifier: Apache-2.0
// A thread of the server does not end because something threw: as a rule that is std::bad_alloc, and later there is memory again.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/result.h"
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

// What work() gives, or what it throws as an error: kOutOfMemory with the message `no_memory`, or kInternal.
template <class Work>
auto guarded(std::string_view no_memory, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kOutOfMemory, std::string(no_memory)};
  } catch (const std::exception& failure) { return Error{ErrorCode::kInternal, failure.what()}; }
}

}  // namespace tacit::server
