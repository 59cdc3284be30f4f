// SPDX-License-Identifier: Apache-2.0
// Random small networks either compile to a plan that computes the same, or are refused by the compiler's own
// codes.
#include <rapidcheck.h>

#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

int between(int low, int high) { return *rc::gen::inRange(low, high + 1); }
bool chance() { return *rc::gen::arbitrary<bool>(); }

// One linear layer that fits what is there.
void add_linear(Builder& builder, const std::string& name) {
  const graph::Shape shape = builder.shape();
  const int side = static_cast<int>(std::min(shape.height, shape.width));
  switch (between(0, 4)) {
    case 0:
    case 1: {
      const int kernel = between(1, std::min(3, side));
      const int groups = shape.channels % 2 == 0 && chance() ? 2 : 1;
      builder.conv(name, groups * between(1, 4), kernel, between(1, 2), between(0, kernel - 1), groups);
      break;
    }
    case 2: {
      const int kernel = between(1, std::min(3, side));
      builder.pool(name, kernel, between(1, 2), between(0, kernel - 1), chance());
      break;
    }
    case 3: {
      const auto channels = static_cast<std::size_t>(shape.channels);
      builder.then(graph::ChannelAffine{builder.normal(channels, 1), builder.normal(channels, 0.5)}, name);
      break;
    }
    default:
      builder.flatten(name + "-flat");
      builder.dense(name, between(1, 20));
  }
}

graph::Graph random_network() {
  const auto seed = *rc::gen::arbitrary<std::uint32_t>();
  Builder builder({between(1, 3), between(1, 9), between(1, 9)}, seed);
  const int layers = between(1, 6);
  bool residual = false;
  for (int i = 0; i < layers; ++i) {
    const std::string number = std::to_string(i);
    switch (between(0, 4)) {
      case 0:
        builder.square("square" + number);
        break;
      case 2: {
        const graph::ValueId skip = builder.last();
        const graph::ValueId body =
            builder.then(builder.conv_of(builder.shape(), between(1, 3), 1), "branch" + number);
        builder.add(graph::Concat{}, "join" + number, {skip, body});
        break;
      }
      case 1: {
        if (residual || builder.shape().pixels() < 4) break;
        residual = true;
        const graph::ValueId skip = builder.last();
        const graph::ValueId body = builder.then(
            builder.conv_of(builder.shape(), builder.shape().channels, 3, 1, 1), "body" + number);
        builder.add(graph::Add{}, "sum" + number, {skip, body});
        break;
      }
      default:
        add_linear(builder, "linear" + number);
    }
  }
  return builder.take();
}

TEST(RandomNetworks, ComputeTheSameOrAreRefused) {
  int compiled = 0, total = 0;
  const bool passed = rc::check("compiled plans agree with the graph", [&] {
    ++total;
    const graph::Graph graph = random_network();
    const auto images = test::random_images(graph.input_shape(), 6);
    const auto result = compile(graph, images, {});
    if (!result.ok()) {
      const std::string code(to_string(result.error().code));
      RC_LOG() << result.error().to_line() << "\n";
      RC_ASSERT(code.starts_with("compile."));
      RC_ASSERT(result.error().code != ErrorCode::kCompileInternal);
      return;
    }
    ++compiled;
    const double difference = test::clear_difference(result->package, graph, images);
    const double noise = test::noise_difference(result->package, images);
    RC_LOG() << "difference " << difference << ", noise " << noise << "\n";
    RC_ASSERT(difference < 1e-4);
    RC_ASSERT(noise < 16 * kNoiseLimit);
  });
  EXPECT_TRUE(passed);
  EXPECT_GE(2 * compiled, total) << "too many networks were refused for the test to mean anything";
}

}  // namespace
}  // namespace tacit::compiler
