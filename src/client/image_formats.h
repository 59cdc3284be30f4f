// SPDX-License-Identifier: Apache-2.0
// The kinds of image files that are read: PNG and JPEG by libpng and libjpeg-turbo, PGM and PPM here. With the channels that the file
// has, 1 or 3; alpha is dropped; samples of 16 bits become 8. image.malformed; data.too-large for more than kMaxImageSide rows or columns.
#pragma once

#include "client/image.h"

namespace tacit::client {

Result<Image> decode_png(ByteView bytes, std::string_view name);
Result<Image> decode_jpeg(ByteView bytes, std::string_view name);
// Binary PGM or PPM (netpbm's pgm(5) and ppm(5): P5, P6).
Result<Image> decode_pnm(ByteView bytes, std::string_view name);

// What has no such form, or is damaged.
Error malformed_image(std::string_view name);

}  // namespace tacit::client
