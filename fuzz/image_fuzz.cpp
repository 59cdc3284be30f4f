// SPDX-License-Identifier: Apache-2.0
// Image files of a client: whatever is decoded has all its pixels and becomes a tensor.
//
// Input: a byte that chooses the channels, then the file.
#include "client/image.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

TACIT_FUZZ_TARGET(image) {
  Input in(input);
  const int channels = in.byte() % 2 == 0 ? 1 : 3;
  const ByteView file = in.rest();
  auto image = client::decode_image(file, channels, "image");
  if (!accepted(image)) return;
  const auto size = [](const client::Image& i) {
    return static_cast<std::size_t>(i.channels) * static_cast<std::size_t>(i.height) *
           static_cast<std::size_t>(i.width);
  };
  require(image->channels == channels && image->height >= 1 && image->width >= 1 &&
              image->height <= client::kMaxImageSide && image->width <= client::kMaxImageSide &&
              image->pixels.size() == size(*image),
          "every pixel is there");
  if (size(*image) > 1 << 16) return;
  for (const int wanted : {1, 3}) {
    const plan::Shape shape{wanted, image->height, image->width};
    const auto count = static_cast<std::size_t>(wanted);
    const plan::Preprocessing preprocessing{255, std::vector<double>(count, 0.5),
                                            std::vector<double>(count, 0.25)};
    const auto tensor = client::preprocess(*image, shape, preprocessing, "image");
    require(accepted(tensor) && tensor->size() * static_cast<std::size_t>(channels) == size(*image) * count,
            "an image of the right size becomes a tensor");
    const client::Image converted = client::with_channels(*image, wanted);
    require(converted.channels == wanted && converted.pixels.size() == size(converted),
            "channels can be changed");
  }
}

}  // namespace
}  // namespace tacit::fuzz
