// SPDX-License-Identifier: Apache-2.0
// Memory as it is estimated against what the runtime allocates, and what the compiler does with a budget.
#include "runtime/memory.h"

#include "networks.h"
#include "runtime/model.h"

namespace tacit::compiler {
namespace {

using test::Builder;

graph::Graph network() {
  Builder builder({1, 12, 12});
  builder.conv("conv", 4, 3, 2, 1);
  builder.square("square");
  builder.flatten();
  builder.dense("dense", 20);
  builder.activation("tanh", ActivationKind::kTanh);
  builder.dense("last", 5);
  return builder.take();
}

Result<Compiled> compile_with(const Options& options) {
  const graph::Graph graph = network();
  return compile(graph, test::random_images(graph.input_shape(), 16), options);
}

TEST(Memory, PlaintextsAreThoseOfTheModel) {
  for (Mode mode : {Mode::kLatency, Mode::kSmallKeys, Mode::kThroughput}) {
    Options options;
    options.mode = mode;
    const auto result = compile_with(options);
    ASSERT_TRUE(result.ok()) << result.error().to_line();
    const auto estimate = runtime::estimate_memory(result->package.plan);
    ASSERT_TRUE(estimate.ok()) << estimate.error().to_line();
    EXPECT_EQ(*estimate, result->report.memory);
    const auto model = runtime::Model::create(result->package);
    ASSERT_TRUE(model.ok()) << model.error().to_line();
    const auto actual = static_cast<double>((*model)->memory_bytes());
    // By numbers, blocks of rows with common columns also keep zeros.
    const double room = mode == Mode::kThroughput ? 0.5 : 0.01;
    EXPECT_NEAR(static_cast<double>(estimate->plaintexts) / actual, 1, room);
    EXPECT_GT(estimate->ciphertexts, 0u);
    EXPECT_EQ(estimate->total(), estimate->plaintexts + estimate->keys + estimate->ciphertexts);
  }
}

TEST(Memory, KeysAreWhole) {
  const auto result = compile_with({});
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const auto parameters = ckks::Parameters::create(result->package.plan.parameters);
  ASSERT_TRUE(parameters.ok());
  std::uint64_t travelling = 0;
  for (const ckks::KeyRequest& key : result->package.plan.keys)
    travelling += ckks::key_bytes(*parameters, key.shape);
  // A key travels as one half and a seed.
  EXPECT_GT(result->report.memory.keys, 2 * travelling * 9 / 10);
  EXPECT_LT(result->report.memory.keys, 3 * travelling);
}

TEST(Memory, ABudgetIsKeptOrRefused) {
  const auto free = compile_with({});
  ASSERT_TRUE(free.ok()) << free.error().to_line();
  const std::uint64_t needed = free->report.memory.total();
  Options options;
  options.memory_budget = needed;
  const auto same = compile_with(options);
  ASSERT_TRUE(same.ok()) << same.error().to_line();
  EXPECT_EQ(same->report.memory.total(), needed);
  // Fewer and smaller keys are tried before the model is refused.
  options.memory_budget = needed - 1;
  const auto smaller = compile_with(options);
  if (smaller.ok())
    EXPECT_LT(smaller->report.memory.total(), needed);
  else
    EXPECT_EQ(smaller.error().code, ErrorCode::kCompileMemory);
  options.memory_budget = 100'000;
  const auto refused = compile_with(options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCompileMemory);
  for (const char* part : {"--memory", "--refresh", "--layers", "node \""})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
}

TEST(Memory, TheSearchSaysWhichRingWasTakenAndWhy) {
  const auto result = compile_with({});
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const std::vector<RingTrial>& trials = result->record.trials;
  ASSERT_FALSE(trials.empty());
  EXPECT_EQ(std::ranges::count(trials, true, &RingTrial::taken), 1);
  for (const RingTrial& trial : trials) {
    EXPECT_FALSE(trial.verdict.empty());
    EXPECT_LE(trial.log_qp, trial.log_limit);
    if (!trial.taken) continue;
    EXPECT_EQ(std::size_t{1} << trial.log_degree, result->report.ring_degree);
    EXPECT_EQ(trial.memory, result->report.memory.total());
    EXPECT_NEAR(trial.log_qp, result->report.log_qp, 1e-9);
  }
}

}  // namespace
}  // namespace tacit::compiler
