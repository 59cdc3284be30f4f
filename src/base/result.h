// SPDX-License-Identifier: Apache-2.0
// Errors are values: whatever comes from outside is answered with a Result and a reason a person can act on.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tacit {

// What kind of trouble an error is. The server turns it into an HTTP status, the command line into an exit code.
enum class ErrorKind { kInvalid, kNotFound, kConflict, kTooLarge, kUnavailable, kFault };

enum class ErrorCode {
#define TACIT_ERROR(name, text, kind, meaning) name,
#include "base/error_codes.def"
#undef TACIT_ERROR
};

// The code as scripts and clients see it, for instance "file.not-found"; it never changes once released.
std::string_view to_string(ErrorCode code);
ErrorKind kind_of(ErrorCode code);
// The code that has this text; kInternal where there is none.
ErrorCode error_code_from(std::string_view text);
// One sentence on what the code means in general; Error::message says what happened in particular.
std::string_view meaning_of(ErrorCode code);

// One line, without a line break: what is wrong, where, and what to do about it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  // "file.not-found: cannot open model.onnx: ..." as the command line prints it.
  std::string to_line() const;
  // The same error with `context` and ": " put before its message.
  Error within(std::string_view context) &&;
};

// kDataMalformed.
Error malformed_data(std::string message);

// Either a T or an Error. Reading the side that is not there is a programming error (checked in debug builds).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *std::get_if<0>(&checked(0)); }
  const T& value() const& { return const_cast<Result&>(*this).value(); }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & { return *std::get_if<1>(&checked(1)); }
  const Error& error() const& { return const_cast<Result&>(*this).error(); }
  Error&& error() && { return std::move(error()); }

 private:
  std::variant<T, Error>& checked([[maybe_unused]] std::size_t index) {
    assert(state_.index() == index);
    return state_;
  }
  std::variant<T, Error> state_;
};

// Success without a value, or an Error: `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  Error& error() & { return error_; }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool ok_ = true;
};
using Status = Result<void>;

#define TACIT_CONCAT_INNER(a, b) a##b
#define TACIT_CONCAT(a, b) TACIT_CONCAT_INNER(a, b)

// TACIT_TRY(auto x, f()): declares x with f()'s value, or returns f()'s error from the enclosing function.
#define TACIT_TRY(declaration, expression) \
  TACIT_TRY_INNER(TACIT_CONCAT(tacit_result_, __LINE__), declaration, expression)
#define TACIT_TRY_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                            \
  if (!temporary.ok()) return std::move(temporary).error(); \
  declaration = std::move(temporary).value()

// TACIT_CHECK(f()): returns f()'s error from the enclosing function, if it has one.
#define TACIT_CHECK(expression)                                                                       \
  do {                                                                                                \
    if (auto tacit_status = (expression); !tacit_status.ok()) return std::move(tacit_status).error(); \
  } while (false)

}  // namespace tacit
