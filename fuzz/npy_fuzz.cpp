// SPDX-License-Identifier: Apache-2.0
// NumPy's files, as tensors and as integers; a tensor that is written is read as the same bits.
#include <cstring>

#include "base/npy.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

std::size_t product(const std::vector<std::int64_t>& shape) {
  std::size_t elements = 1;
  for (const std::int64_t dimension : shape) elements *= static_cast<std::size_t>(dimension);
  return elements;
}

TACIT_FUZZ_TARGET(npy) {
  if (const auto integers = read_npy_integers(input); accepted(integers))
    require(integers->data.size() == product(integers->shape), "every integer is there");
  const auto read = read_npy(input);
  if (!accepted(read)) return;
  require(read->data.size() == product(read->shape), "every number is there");
  const Bytes written = write_npy(read->shape, read->data);
  const auto again = read_npy(written);
  require(accepted(again) && again->shape == read->shape, "an array that was written can be read");
  require(again->data.size() == read->data.size() &&
              (read->data.empty() ||
               std::memcmp(again->data.data(), read->data.data(), read->data.size() * sizeof(float)) == 0),
          "it has the same numbers");
}

}  // namespace
}  // namespace tacit::fuzz
