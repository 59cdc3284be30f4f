// SPDX-License-Identifier: Apache-2.0
// A plan from a file is hostile until validate() has seen it: each test breaks one thing of a good plan.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/plan_fixture.h"

namespace tacit::plan {
namespace {

ErrorCode code_of(const Status& status) { return status.ok() ? ErrorCode::kInternal : status.error().code; }

// The code with which `good`, changed, is refused; kInternal stands for "accepted".
template <class Change>
ErrorCode refused(Plan plan, const Change& change) {
  change(plan);
  const Status status = plan.validate();
  if (!status.ok()) {
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(status.error().message.empty());
  }
  return code_of(status);
}

template <class T>
T& operation(Plan& plan, std::size_t skip = 0) {
  for (Operation& o : plan.operations)
    if (T* found = std::get_if<T>(&o); found != nullptr && skip-- == 0) return *found;
  throw std::logic_error("the plan has no such operation");
}

class Validate : public testing::Test {
 protected:
  const Plan plain = test::make_cryptonets(31);
  const Plan residual = test::make_residual(32);
};

TEST_F(Validate, AcceptsWhatTheBuilderMakes) {
  EXPECT_TRUE(plain.validate().ok());
  EXPECT_TRUE(residual.validate().ok());
}

// A chained layer takes any keys whose rotations make up its own; without them it is refused.
TEST_F(Validate, WantsKeysThatMakeUpChainedRotations) {
  const Plan chained = test::make_chained(plain);
  const auto parameters = ckks::Parameters::create(chained.parameters);
  ASSERT_TRUE(parameters.ok());
  EXPECT_LT(chained.keys.size(), plain.keys.size());
  const auto key_of = [&](Plan& plan, std::int64_t step) {
    return std::ranges::find(plan.keys, ckks::rotation_element(*parameters, step),
                             &ckks::KeyRequest::element);
  };
  // Without the step 2, two of the step 1 do.
  EXPECT_EQ(refused(chained, [&](Plan& p) { p.keys.erase(key_of(p, 2)); }), ErrorCode::kInternal);
  // All odd rotations need the step 1, at the level of the first layer.
  EXPECT_EQ(refused(chained, [&](Plan& p) { p.keys.erase(key_of(p, 1)); }), ErrorCode::kKeyMissing);
  EXPECT_EQ(refused(chained, [&](Plan& p) { key_of(p, 1)->shape.level -= 1; }), ErrorCode::kKeyMissing);
  EXPECT_EQ(refused(chained, [](Plan& p) { p.keys.resize(1); }), ErrorCode::kKeyMissing);
  // Rotated one by one, the layer wants a key for each.
  EXPECT_EQ(refused(chained, [](Plan& p) { operation<Linear>(p).split.chained = false; }),
            ErrorCode::kKeyMissing);
}

TEST_F(Validate, RefusesParametersThatAreInsecureOrInvalid) {
  EXPECT_EQ(refused(plain,
                    [](Plan& p) {
                      p.parameters.log_degree = 12;
                      p.slots = 2048;
                    }),
            ErrorCode::kParametersInsecure);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.parameters.primes[1] += 2; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.parameters.special_primes.clear(); }),
            ErrorCode::kParametersInvalid);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.slots *= 2; }), ErrorCode::kDataMalformed);
}

TEST_F(Validate, RefusesIndicesOutOfRange) {
  constexpr ValueId kFar = 4000000000u;
  EXPECT_EQ(refused(plain, [](Plan& p) { p.input = kFar; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.output = static_cast<ValueId>(p.values.size()); }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).input = kFar; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Square>(p).output = kFar; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).map = 3; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Add>(p).right = kFar; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Product>(p).right = kFar; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Product>(p).right = p.input; }),
            ErrorCode::kDataMalformed);  // another layout
}

TEST_F(Validate, RefusesAScheduleOutOfOrder) {
  EXPECT_EQ(refused(plain, [](Plan& p) { std::swap(p.operations[0], p.operations[1]); }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.operations.push_back(p.operations.back()); }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).output = p.input; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.operations.pop_back(); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values.clear(); }), ErrorCode::kDataMalformed);
}

TEST_F(Validate, RefusesLayoutsAndPeriods) {
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].period = 1000; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].period = 512; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].period = 8192; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].period = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].layout.gap = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].layout.gap = 2; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].layout.shape.height = 27; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[1].layout.grid_width = -4; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[2].period = 4096; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].name.assign(300, 'x'); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].name = "two\nlines"; }), ErrorCode::kDataMalformed);
}

TEST_F(Validate, RefusesLevelsThatTheOperationsDoNotMake) {
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].level = 6; }), ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].level = -2; }), ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].level = 4; }), ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[2].level = 4; }), ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Polynomial>(p).coefficients.assign(5, 0.1); }),
            ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused(residual, [](Plan& p) { p.values[operation<Add>(p).output].level += 1; }),
            ErrorCode::kLevelMismatch);
  for (int change : {-1, 1})
    EXPECT_EQ(refused(residual, [&](Plan& p) { p.values[operation<Product>(p).output].level += change; }),
              ErrorCode::kLevelMismatch);
}

TEST_F(Validate, RefusesScalesBeyondTheTolerance) {
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[2].scale *= 1 + 0x1p-42; }), ErrorCode::kInternal);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[2].scale *= 1 + 0x1p-38; }), ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].scale = NAN; }), ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].scale = -p.values[0].scale; }),
            ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].scale = INFINITY; }), ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[0].bound = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.values[p.output].bound = 16; }),
            ErrorCode::kScaleMismatch);  // 27 + 5 > 30
  EXPECT_EQ(refused(residual, [](Plan& p) { p.values[operation<Add>(p).right].scale *= 1 + 0x1p-30; }),
            ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused(residual, [](Plan& p) { p.values[operation<Product>(p).output].scale *= 1 + 0x1p-30; }),
            ErrorCode::kScaleMismatch);
}

TEST_F(Validate, RefusesOperationsOutOfTheirDomain) {
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).split.width = 0; }), ErrorCode::kDataMalformed);
  for (std::size_t shift : {3ul, 4096ul, 1ul << 20})
    EXPECT_EQ(refused(plain, [&](Plan& p) { operation<Linear>(p).split.shift = shift; }),
              ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).split.width = 24; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { operation<Linear>(p).split.width = 8192; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { std::swap(operation<Linear>(p).map, operation<Linear>(p, 1).map); }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual,
                    [](Plan& p) {
                      operation<Polynomial>(p).coefficients = {1, 2};
                    }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Polynomial>(p).coefficients.back() = 0; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Polynomial>(p).coefficients[1] = NAN; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(residual, [](Plan& p) { operation<Rescaling>(p).factor = INFINITY; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.maps[0].bias[0] = NAN; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain,
                    [](Plan& p) {
                      auto& weights = std::get_if<Convolution>(&p.maps[0].pieces[0])->weights;
                      std::fill(weights.begin(), weights.end(), 0.0f);
                    }),
            ErrorCode::kDataMalformed);
}

TEST_F(Validate, RefusesAPlanWithoutAnyOneOfItsKeys) {
  for (std::size_t i = 0; i < plain.keys.size(); ++i) {
    EXPECT_EQ(refused(plain, [i](Plan& p) { p.keys.erase(p.keys.begin() + static_cast<std::ptrdiff_t>(i)); }),
              ErrorCode::kKeyMissing)
        << plain.keys[i].element;
    if (plain.keys[i].shape.level == 0) continue;
    EXPECT_EQ(refused(plain, [i](Plan& p) { p.keys[i].shape.level -= 1; }), ErrorCode::kKeyMissing)
        << plain.keys[i].element;
  }
}

TEST_F(Validate, RefusesKeysThatTheParametersDoNotAdmit) {
  EXPECT_EQ(refused(plain, [](Plan& p) { p.keys[1].shape.level = 6; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.keys[1].shape.digit_size = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.keys[1].shape.special_count = 2; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { std::swap(p.keys[1], p.keys[2]); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.keys.insert(p.keys.begin(), p.keys[0]); }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain,
                    [](Plan& p) {
                      p.keys.push_back({16384 + 1, {1, 1, 1}});
                    }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused(plain, [](Plan& p) { p.keys[0].element = 0; }), ErrorCode::kDataMalformed);
}

}  // namespace
}  // namespace tacit::plan
