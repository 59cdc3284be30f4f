// SPDX-License-Identifier: Apache-2.0
#include "graph/convolve.h"

#include <algorithm>

#include "graph/taps.h"

namespace tacit::graph {
namespace {

// Output channels that are summed together: as many as fit the registers, fewer where a group has fewer.
std::size_t block_size(const Conv& conv) {
  std::int64_t outputs = conv.out_channels / conv.groups;
  return outputs >= 8 ? 8 : outputs >= 4 ? 4 : outputs >= 2 ? 2 : 1;
}

template <std::size_t kBlock>
struct Block {
  const Conv& conv;
  const Shape& input;
  const Shape& output;

  // One block of up to kBlock output channels, the first of them `channel`, for all places.
  void run(const double* weights, const float* in, std::int64_t channel, std::int64_t channels,
           float* out) const {
    for (std::int64_t y = 0; y < output.height; ++y) {
      std::int64_t top = y * conv.stride.height - conv.pads.top;
      Taps rows = taps_inside(top, conv.dilation.height, conv.kernel.height, input.height);
      for (std::int64_t x = 0; x < output.width; ++x) {
        double sums[kBlock] = {};
        for (std::int64_t k = 0; k < channels; ++k)
          sums[k] = conv.bias[static_cast<std::size_t>(channel + k)];
        accumulate(weights, in, top, x * conv.stride.width - conv.pads.left, rows, sums);
        for (std::int64_t k = 0; k < channels; ++k) {
          out[(channel + k) * output.pixels() + y * output.width + x] = static_cast<float>(sums[k]);
        }
      }
    }
  }

 private:
  void accumulate(const double* weights, const float* in, std::int64_t top, std::int64_t left, Taps rows,
                  double (&sums)[kBlock]) const {
    Taps columns = taps_inside(left, conv.dilation.width, conv.kernel.width, input.width);
    const std::int64_t row_step = conv.dilation.height * input.width;
    double local[kBlock];
    std::copy(sums, sums + kBlock, local);
    for (std::int64_t i = 0; i < conv.in_channels / conv.groups; ++i) {
      const float* plane = in + i * input.pixels() + top * input.width + left;
      for (std::int64_t r = rows.begin; r < rows.end; ++r) {
        const float* row = plane + r * row_step;
        const double* w =
            weights + ((i * conv.kernel.height + r) * conv.kernel.width + columns.begin) * kBlock;
        for (std::int64_t s = columns.begin; s < columns.end; ++s, w += kBlock) {
          double value = row[s * conv.dilation.width];
          for (std::size_t k = 0; k < kBlock; ++k) local[k] += w[k] * value;
        }
      }
    }
    std::copy(local, local + kBlock, sums);
  }
};

template <std::size_t kBlock>
void convolve_blocks(const Conv& conv, const double* weights, const Shape& input, const float* in,
                     const Shape& output, float* out) {
  std::int64_t outputs = conv.out_channels / conv.groups, inputs = conv.in_channels / conv.groups;
  std::int64_t block_weights =
      inputs * conv.kernel.height * conv.kernel.width * static_cast<std::int64_t>(kBlock);
  Block<kBlock> block{conv, input, output};
  for (std::int64_t g = 0; g < conv.groups; ++g) {
    for (std::int64_t o = 0; o < outputs; o += kBlock, weights += block_weights) {
      std::int64_t channels = std::min<std::int64_t>(kBlock, outputs - o);
      block.run(weights, in + g * inputs * input.pixels(), g * outputs + o, channels, out);
    }
  }
}

}  // namespace

std::vector<double> prepare_weights(const Conv& conv) {
  std::size_t block = block_size(conv);
  auto outputs = static_cast<std::size_t>(conv.out_channels / conv.groups);
  auto groups = static_cast<std::size_t>(conv.groups);
  std::size_t length = conv.weights.size() / static_cast<std::size_t>(conv.out_channels);
  std::size_t blocks = (outputs + block - 1) / block;
  std::vector<double> prepared(groups * blocks * block * length, 0.0);
  for (std::size_t o = 0; o < static_cast<std::size_t>(conv.out_channels); ++o) {
    std::size_t group = o / outputs, within = o % outputs;
    double* to = &prepared[(group * blocks + within / block) * block * length + within % block];
    for (std::size_t i = 0; i < length; ++i) to[i * block] = conv.weights[o * length + i];
  }
  return prepared;
}

void convolve(const Conv& conv, const std::vector<double>& prepared, const Shape& input, const float* in,
              const Shape& output, float* out) {
  switch (block_size(conv)) {
    case 8:
      return convolve_blocks<8>(conv, prepared.data(), input, in, output, out);
    case 4:
      return convolve_blocks<4>(conv, prepared.data(), input, in, output, out);
    case 2:
      return convolve_blocks<2>(conv, prepared.data(), input, in, output, out);
    default:
      return convolve_blocks<1>(conv, prepared.data(), input, in, output, out);
  }
}

}  // namespace tacit::graph
