// SPDX-License-Identifier: Apache-2.0
#include <sodium.h>

#include <cstdlib>
#include <string>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

constexpr const Kernels* kAll[] = {&kPortableKernels, &kAvx2Kernels, &kAvx512Kernels};

const Kernels* find(std::string_view name) {
  for (const Kernels* kernels : kAll) {
    if (name == kernels->name) return kernels;
  }
  return nullptr;
}

const Kernels& choose() {
  // libsodium, of which the portable keystream is made, takes its fastest code only once it is initialised. Where that
  // fails, for want of randomness, the keystream is right all the same.
  [[maybe_unused]] const int initialised = sodium_init();
  if (const char* name = std::getenv("TACIT_KERNEL")) {
    const Kernels* forced = find(name);
    if (forced != nullptr && forced->available()) return *forced;
  }
  const Kernels* best = &kPortableKernels;
  for (const Kernels* kernels : kAll) {
    if (kernels->available()) best = kernels;
  }
  return *best;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

Status check_kernel_choice() {
  const char* name = std::getenv("TACIT_KERNEL");
  if (name == nullptr) return {};
  const Kernels* forced = find(name);
  if (forced != nullptr && forced->available()) return {};
  std::string choices;
  for (const Kernels* kernels : kAll) {
    if (kernels->available()) choices += (choices.empty() ? "" : ", ") + std::string(kernels->name);
  }
  return Error{ErrorCode::kInvalidArgument, "TACIT_KERNEL=" + std::string(name) +
                                                " cannot be used on this machine; "
                                                "unset it or choose one of: " +
                                                choices};
}

std::size_t ScalarProduct::tile(const Modulus& q, std::size_t inputs, std::size_t n) {
  const std::size_t width = narrow(q) ? sizeof(std::int32_t) : sizeof(u64);
  std::size_t places = n;
  while (places > kPanel && places * inputs * width > kTileBytes) places /= 2;
  return places;
}

std::span<const Kernels* const> all_kernels() { return kAll; }

}  // namespace tacit::ring
