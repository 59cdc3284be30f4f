// SPDX-License-Identifier: Apache-2.0
// Reading the client half's JSON field by field.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tacit::plan::detail {

using nlohmann::json;
using nlohmann::ordered_json;

// Above this, JSON's numbers are no longer exact in every language.
inline constexpr std::uint64_t kMaxInteger = std::uint64_t{1} << 53;
inline constexpr std::size_t kMaxStringBytes = 256;

// Reads the fields of one JSON object; its errors name the field with its path.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {}

  static Error error(const std::string& field, std::string_view trouble) {
    return Error{ErrorCode::kJsonMalformed, "client half: field \"" + field + "\" " + std::string(trouble)};
  }

  Result<const json*> find(const std::string& name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) return error(path_ + name, "is missing");
    return &*found;
  }
  Result<Fields> object(const std::string& name) const {
    TACIT_TRY(const json* value, find(name));
    if (!value->is_object()) return error(path_ + name, "must be an object");
    return Fields(*value, path_ + name + ".");
  }
  // Calls read(element, path) for each element of an array of at most `limit`.
  template <class F>
  Status array(const std::string& name, std::size_t limit, const F& read) const {
    TACIT_TRY(const json* value, find(name));
    if (!value->is_array()) return error(path_ + name, "must be an array");
    if (value->size() > limit)
      return error(path_ + name, "has more than " + std::to_string(limit) + " elements");
    std::size_t i = 0;
    for (const json& element : *value)
      TACIT_CHECK(read(element, path_ + name + "[" + std::to_string(i++) + "]"));
    return {};
  }
  template <class T>
  Status integer(const std::string& name, T& out, std::uint64_t limit) const {
    TACIT_TRY(const json* value, find(name));
    return integer(*value, path_ + name, out, limit);
  }
  template <class T>
  static Status integer(const json& value, const std::string& path, T& out, std::uint64_t limit) {
    const auto* number = value.get_ptr<const json::number_unsigned_t*>();
    if (number == nullptr || *number > limit)
      return error(path, "must be an integer from 0 to " + std::to_string(limit));
    out = static_cast<T>(*number);
    return {};
  }
  Status number(const std::string& name, double& out) const {
    TACIT_TRY(const json* value, find(name));
    return number(*value, path_ + name, out);
  }
  static Status number(const json& value, const std::string& path, double& out) {
    if (!value.is_number()) return error(path, "must be a number");
    out = value.get<double>();
    return {};
  }
  Status string(const std::string& name, std::string& out) const {
    TACIT_TRY(const json* value, find(name));
    return string(*value, path_ + name, out);
  }
  static Status string(const json& value, const std::string& path, std::string& out) {
    const auto* text = value.get_ptr<const json::string_t*>();
    if (text == nullptr) return error(path, "must be a string");
    if (text->size() > kMaxStringBytes)
      return error(path, "must have at most " + std::to_string(kMaxStringBytes) + " bytes");
    out = *text;
    return {};
  }
  Status boolean(const std::string& name, bool& out) const {
    TACIT_TRY(const json* value, find(name));
    const auto* flag = value->get_ptr<const json::boolean_t*>();
    if (flag == nullptr) return error(path_ + name, "must be true or false");
    out = *flag;
    return {};
  }

 private:
  const json& object_;
  std::string path_;
};

}  // namespace tacit::plan::detail
