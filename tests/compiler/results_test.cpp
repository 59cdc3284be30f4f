// SPDX-License-Identifier: Apache-2.0
// Whole results of compiled networks, decrypted: every slot is one of the declared outputs or zero, and the noise that
// hides how they were computed is there and no more than the precision allows.
#include <complex>

#include "networks.h"
#include "plan/results.h"
#include "runtime/model.h"
#include "support/ckks_fixture.h"

namespace tacit::compiler {
namespace {

using tacit::test::Scheme;
using tacit::test::unwrap;
using test::Builder;

// Slots of one result's ciphertexts after each other.
using Slots = std::vector<std::complex<double>>;

struct Answer {
  plan::ValueId id = 0;
  Slots slots;
  int level = 0;
};

// A client of the model, which keeps all that it is answered.
class Client {
 public:
  explicit Client(std::shared_ptr<const runtime::Model> model)
      : model_(std::move(model)), scheme_(model_->parameters()) {
    scheme_.keys = scheme_.make_keys(model_->plan().keys);
  }

  std::vector<Answer> results;

  std::vector<float> predict(const graph::Tensor& image) {
    const plan::ClientHalf& half = model_->client_half();
    return unwrap(plan::run_steps<runtime::CipherVector>(half, {image.data}, half.output, *this))[0];
  }

  Result<runtime::CipherVector> encrypt(const plan::ClientValue& value, const plan::Tensors& tensors) {
    const plan::ClientHalf& half = model_->client_half();
    const std::size_t count = half.ciphertexts(value), block = std::min(value.period, half.slots);
    TACIT_TRY(const std::vector<double> slots,
              plan::pack(value.layout, value.period, count * block, tensors[0], 1 / value.range));
    runtime::CipherVector made;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<double> values(scheme_.parameters.slots(), 0);
      for (std::size_t t = 0; t < (half.slots == 1 ? 1 : values.size()); ++t)
        values[t] = slots[i * block + t % block];
      made.push_back(scheme_.encrypt(values, value.scale, value.level));
    }
    return made;
  }
  Result<plan::Tensors> decrypt(const plan::ClientValue& value, const runtime::CipherVector& v) {
    std::vector<double> slots;
    for (const ckks::Ciphertext& c : v) {
      EXPECT_EQ(c.level(), value.level);
      const auto part = scheme_.decrypt(c);
      for (std::size_t t = 0; t < model_->client_half().slots; ++t) slots.push_back(part[t].real());
    }
    TACIT_TRY(auto tensor, plan::unpack(value.layout, slots, value.range));
    return plan::Tensors{std::move(tensor)};
  }
  Result<std::vector<runtime::CipherVector>> ask(std::size_t stage,
                                                 std::vector<runtime::CipherVector> inputs) {
    runtime::CipherVector flat;
    for (runtime::CipherVector& input : inputs)
      for (ckks::Ciphertext& c : input) flat.push_back(std::move(c));
    TACIT_TRY(const runtime::CipherVector made, model_->run(scheme_.keys, stage, std::move(flat)));
    std::vector<runtime::CipherVector> outputs;
    plan::ValueId last = ~plan::ValueId{0};
    const std::vector<plan::ValueId> places = model_->output_ciphertexts(stage);
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (places[i] != last) {
        outputs.emplace_back();
        results.push_back({places[i], {}, made[i].level()});
      }
      last = places[i];
      outputs.back().push_back(made[i]);
      const Slots slots = scheme_.decrypt(made[i]);
      results.back().slots.insert(results.back().slots.end(), slots.begin(), slots.end());
    }
    return outputs;
  }

 private:
  std::shared_ptr<const runtime::Model> model_;
  Scheme scheme_;
};

struct Network {
  std::string name;
  graph::Graph graph;
  Options options;
  bool constant = false;  // whether unused slots would hold something without correction
};

graph::Graph dense_last() {
  Builder builder({1, 10, 10});
  builder.conv("conv", 4, 3, 2, 1);
  builder.activation("tanh", ActivationKind::kTanh);
  builder.flatten();
  builder.dense("dense", 5);
  return builder.take();
}
graph::Graph pooled_last() {
  Builder builder({2, 8, 8});
  builder.conv("conv", 5, 3, 1, 1);
  builder.square("square");
  builder.pool("pool", 4, 4);
  return builder.take();
}
graph::Graph features() {
  Builder builder({1, 10, 10});
  builder.conv("conv1", 3, 3, 1, 1);
  builder.activation("sigmoid", ActivationKind::kSigmoid);
  builder.conv("conv2", 2, 3, 1, 1);
  return builder.take();
}
graph::Graph refreshed() {
  Builder builder({1, 8, 8});
  builder.conv("conv1", 3, 3, 1, 1);
  builder.activation("relu", ActivationKind::kRelu);
  builder.conv("conv2", 3, 3, 2, 1);
  builder.activation("relu2", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("dense", 3);
  return builder.take();
}

std::vector<Network> networks() {
  std::vector<Network> all;
  all.push_back({"dense", dense_last(), {}});
  all.push_back({"pooled", pooled_last(), {}});
  all.push_back({"features", features(), {}, true});
  all.back().options.layers = ":2";
  all.push_back({"refreshed", refreshed(), {}});
  all.back().options.refresh = true;
  all.push_back({"throughput", pooled_last(), {}});
  all.back().options.mode = Mode::kThroughput;
  all.push_back({"small keys", dense_last(), {}});
  all.back().options.mode = Mode::kSmallKeys;
  return all;
}

// The largest number in a slot that has no element, and the largest that differs from its element's.
struct Strays {
  double unused = 0, copies = 0;
};
Strays strays(const plan::Plan& plan, const Answer& result, const Slots& exact) {
  const plan::Value& value = plan.values[result.id];
  const std::vector<bool> used = plan::used_slots(value.layout, value.period);
  Strays found;
  for (std::size_t t = 0; t < result.slots.size(); ++t) {
    const std::size_t place = t % value.period;
    const std::complex<double> expected = used[place] ? exact[place] : 0.0;
    double& largest = used[place] ? found.copies : found.unused;
    largest = std::max(largest, std::abs(result.slots[t] - expected));
  }
  return found;
}

class Results : public testing::TestWithParam<std::size_t> {};

TEST_P(Results, HoldTheirElementsAndNothingElse) {
  const Network network = networks()[GetParam()];
  SCOPED_TRACE(network.name);
  const auto images = test::random_images(network.graph.input_shape(), 4);
  auto compiled = compile(network.graph, images, network.options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  const plan::Plan plan = compiled->package.plan;

  // What every value holds in the clear; the plan's own unused slots with it.
  runtime::ClearArithmetic clear(plan);
  std::vector<Slots> exact(plan.values.size());
  double constant = 0;
  unwrap(runtime::simulate(compiled->package.client, clear, images[0].data,
                           [&](plan::ValueId id, const runtime::ClearVector& v) {
                             exact[id].assign(v.slots.begin(), v.slots.end());
                           }));
  for (const plan::Stage& stage : plan::stages_of(plan)) {
    const std::vector<double> unused = plan::unused_slots(plan, stage);
    for (std::size_t i = 0; i < stage.outputs.size(); ++i) {
      const plan::Value& value = plan.values[stage.outputs[i]];
      const std::vector<bool> used = plan::used_slots(value.layout, value.period);
      for (std::size_t t = 0; t < exact[stage.outputs[i]].size() && plan.slots > 1; ++t) {
        if (used[t % value.period]) continue;
        EXPECT_NEAR(exact[stage.outputs[i]][t].real(), unused[i], 1e-9) << value.name << ", slot " << t;
        constant = std::max(constant, std::abs(unused[i]));
      }
    }
  }
  if (network.constant) {
    EXPECT_GT(constant, 0.05) << "there is nothing to take away, so the test shows nothing";
  }

  for (int bits : {0, 20}) {
    const runtime::FloodingOptions options{bits, 9};
    Client client(unwrap(runtime::Model::create(compiled->package, options)));
    const std::vector<float> outputs = client.predict(images[0]);
    ASSERT_FALSE(client.results.empty());
    for (const Answer& result : client.results) {
      const plan::Value& value = plan.values[result.id];
      EXPECT_EQ(result.level, plan::result_level(plan, result.id));
      EXPECT_GT(value.noise, 0) << value.name;
      const runtime::Flooding flooding = runtime::flooding_of(
          unwrap(ckks::Parameters::create(plan.parameters)), value, result.id != plan.output, options);
      const double error = value.bound * std::exp2(-flooding.precision_after);
      if (plan.slots == 1) continue;  // slots belong to images, all ciphertexts to elements
      // The simulated noise is that of two images; what is left of eight deviations covers the largest of thousands of slots.
      const Strays found = strays(plan, result, exact[result.id]);
      EXPECT_LT(found.unused, 12 * error) << value.name << " with " << bits;
      if (bits > 0) {
        EXPECT_GT(found.unused + found.copies, error) << value.name << ": no noise was added";
        EXPECT_GE(flooding.strength_bits, 0);
      }
      // With client steps the clear run's later stages see other inputs.
      if (client.results.size() == 1) {
        EXPECT_LT(found.copies, 12 * error) << value.name << " with " << bits;
      }
    }
    // Logits within 1% of the largest that was seen.
    const plan::Value& output = plan.values[plan.output];
    const double percent = 0.01 * output.bound * std::abs(output.range);
    const auto expected = unwrap(runtime::simulate(compiled->package.client, clear, images[0].data));
    for (std::size_t i = 0; i < outputs.size(); ++i)
      EXPECT_NEAR(outputs[i], expected[i], percent) << i << " with " << bits;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Results, testing::Range(std::size_t{0}, std::size_t{6}));

// The other way round: without the correction, features behind a sigmoid tell what its polynomial makes of zero.
TEST(UnusedSlots, WouldOtherwiseTellThePolynomialAtZero) {
  const Network network = networks()[2];
  auto compiled =
      compile(network.graph, test::random_images(network.graph.input_shape(), 4), network.options);
  ASSERT_TRUE(compiled.ok());
  const plan::Plan& plan = compiled->package.plan;
  const double held = plan::unused_slots(plan, plan::stages_of(plan)[0]).at(0);
  EXPECT_NEAR(held * plan.values[plan.output].range, 0.5, 0.05) << "a sigmoid's value at 0";
}

}  // namespace
}  // namespace tacit::compiler
