// SPDX-License-Identifier: Apache-2.0
// A sample of calibration images through the whole of a freshly compiled model: encrypted, run on ciphertexts, decrypted.
#pragma once

#include <optional>

#include "compiler/accuracy.h"

namespace tacit::app {

inline constexpr std::size_t kSampleImages = 8;
// Without --sample no more images are run than fit this time by the estimate, but at least one.
inline constexpr double kSampleMs = 60'000;

// How many images to run: `asked`, or where nothing was asked the above. A model that takes a batch runs it in one time.
std::size_t sample_size(std::optional<std::size_t> asked, const plan::ClientHalf& half, std::size_t images);

// Makes keys in memory and runs `count` of the subject's images at even distances.
Result<compiler::NetworkAccuracy> run_sample(const compiler::Subject& subject,
                                             const compiler::OutputReference& reference, std::size_t count);

}  // namespace tacit::app
