// SPDX-License-Identifier: Apache-2.0
// IDX files of images and labels, plain and compressed.
#include "base/idx.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

TACIT_FUZZ_TARGET(idx) {
  if (const auto images = read_idx_images(input); accepted(images)) {
    require(images->height >= 1 && images->width >= 1 &&
                images->pixels.size() == std::size_t{images->count} * images->height * images->width,
            "every pixel is there");
  }
  const auto labels = read_idx_labels(input);
  const bool plain = input.size() < 2 || input[0] != 0x1F;
  if (accepted(labels) && plain) require(labels->size() == input.size() - 8, "a label is a byte");
  accepted(gunzip(input, 1 << 20, "the input"));
}

}  // namespace
}  // namespace tacit::fuzz
