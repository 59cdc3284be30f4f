// SPDX-License-Identifier: Apache-2.0
#include "ckks/keys.h"

#include <algorithm>

namespace tacit::ckks {

std::uint32_t rotation_element(const Parameters& parameters, std::int64_t step) {
  const auto slots = static_cast<std::int64_t>(parameters.slots());
  const u64 mask = 2 * parameters.degree() - 1;
  auto exponent = static_cast<u64>((step % slots + slots) % slots);
  u64 element = 1;
  for (u64 power = 3; exponent != 0; exponent >>= 1, power = power * power & mask) {
    if (exponent & 1) element = element * power & mask;
  }
  return static_cast<std::uint32_t>(element);
}

std::uint32_t conjugation_element(const Parameters& parameters) {
  return static_cast<std::uint32_t>(2 * parameters.degree() - 1);
}

std::size_t zero_digit(const KeyShape& shape, int level) {
  return std::min(static_cast<std::size_t>(level / shape.digit_size) + 1, shape.digits());
}

std::size_t key_memory_bytes(const Parameters& parameters, const KeyShape& shape, KeyForm form) {
  const std::vector<ring::Modulus> moduli = parameters.extended_moduli(shape.level, shape.special_count);
  return (form == KeyForm::kWhole ? 2 : 1) *
         ring::Constants::memory_bytes(parameters.degree(), moduli, shape.digits());
}

void EvaluationKeys::insert(SwitchingKey key) {
  const std::uint32_t element = key.request.element;
  keys_.insert_or_assign(element, std::move(key));
}

Result<const SwitchingKey*> EvaluationKeys::find(std::uint32_t element, int level) const {
  const auto found = keys_.find(element);
  if (found != keys_.end() && found->second.request.shape.level >= level) return &found->second;
  const std::string what = element == kRelinearisation
                               ? "the relinearisation key"
                               : "the Galois key for element " + std::to_string(element);
  return Error{ErrorCode::kKeyMissing,
               what + " at level " + std::to_string(level) +
                   " is not among the evaluation keys; make and upload keys for this model"};
}

const SwitchingKey* EvaluationKeys::find_zero(int level) const {
  for (const auto& [element, key] : keys_)
    if (zero_digit(key.request.shape, level) < key.request.shape.digits()) return &key;
  return nullptr;
}

std::size_t EvaluationKeys::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [element, key] : keys_) { bytes += key.b.memory_bytes() + key.a.memory_bytes(); }
  return bytes;
}

}  // namespace tacit::ckks
