// SPDX-License-Identifier: Apache-2.0
#include "plan/checks.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tacit::plan::detail {

Status check_key_requests(const ckks::Parameters& parameters, const std::vector<ckks::KeyRequest>& keys) {
  std::uint32_t previous = 0;
  for (const ckks::KeyRequest& key : keys) {
    const std::string name = "the key request for element " + std::to_string(key.element);
    if (key.element <= previous)
      return Error{ErrorCode::kDataMalformed,
                   name + " is out of order; elements must be ascending, each once"};
    if (key.element % 2 == 0 || key.element >= 2 * parameters.degree())
      return Error{ErrorCode::kDataMalformed, name + " names no automorphism of the ring"};
    if (!parameters.admits(key.shape))
      return Error{ErrorCode::kDataMalformed, name + " has a shape that the parameters do not admit"};
    previous = key.element;
  }
  return {};
}

Status check_period(const Layout& layout, std::size_t period, std::size_t slots, std::string_view what) {
  const std::size_t least = std::bit_ceil(layout.extent());
  if (std::has_single_bit(period) && least <= period && period <= std::max(least, slots)) return {};
  return Error{ErrorCode::kDataMalformed, "the period of " + std::string(what) + " is " +
                                              std::to_string(period) + "; it must be a power of two from " +
                                              std::to_string(least) + " to " +
                                              std::to_string(std::max(least, slots))};
}

Status check_level_and_scale(const ckks::Parameters& parameters, int level, double scale, double bound,
                             std::string_view what) {
  const std::string name(what);
  if (level < 0 || level > parameters.max_level())
    return Error{ErrorCode::kLevelMismatch, name + " is at level " + std::to_string(level) +
                                                "; the parameters have levels 0 to " +
                                                std::to_string(parameters.max_level())};
  if (!(scale >= 1 && scale <= kMaxScale))
    return Error{ErrorCode::kScaleMismatch, "the scale of " + name + " is not between 1 and 2^200"};
  if (!(bound > 0 && bound <= 0x1p100))
    return Error{ErrorCode::kDataMalformed, "the bound of " + name + " is not between 0 and 2^100"};
  double log_modulus = 0;
  for (int i = 0; i <= level; ++i) log_modulus += std::log2(static_cast<double>(parameters.prime(i).value()));
  if (std::log2(scale) + std::log2(bound) + 1 > log_modulus)
    return Error{ErrorCode::kScaleMismatch,
                 name + " does not fit the " + std::to_string(log_modulus) + " bits of modulus at its level"};
  return {};
}

}  // namespace tacit::plan::detail
