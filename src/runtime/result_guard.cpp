// SPDX-License-Identifier: Apache-2.0
#include "runtime/result_guard.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/wiped.h"
#include "ckks/rerandomise.h"
#include "plan/results.h"

namespace tacit::runtime {

using ckks::Ciphertext;

Result<ResultGuard> ResultGuard::create(const EncodedPlan& encoded, const std::vector<plan::Stage>& stages,
                                        const FloodingOptions& options) {
  const plan::Plan& plan = encoded.plan();
  const ckks::Parameters& parameters = encoded.evaluator().parameters();
  if (options.bits > 0 && !plan::can_rerandomise(plan.keys, plan::highest_result_level(plan)))
    return Error{
        ErrorCode::kKeyMissing,
        "the package asks for no key that serves to re-randomise results; compile the model again, or "
        "set privacy.flooding_bits to 0"};
  ResultGuard guard(encoded);
  for (const plan::Stage& stage : stages) {
    const std::vector<double> unused = plan::unused_slots(plan, stage);
    std::vector<Output>& outputs = guard.outputs_.emplace_back();
    std::vector<Flooding>& flooding = guard.flooding_.emplace_back();
    for (std::size_t i = 0; i < stage.outputs.size(); ++i) {
      const plan::ValueId id = stage.outputs[i];
      TACIT_TRY(outputs.emplace_back(),
                guard.prepare(plan.values[id], plan::result_level(plan, id), unused[i]));
      flooding.push_back(flooding_of(parameters, plan.values[id], id != plan.output, options));
    }
  }
  return guard;
}

Result<ResultGuard::Output> ResultGuard::prepare(const plan::Value& value, int level, double unused) const {
  const std::size_t slots = encoded_->plan().slots;
  Output output{level, {}};
  // Where an image has one slot, there are ciphertexts for elements only.
  if (slots == 1 || unused == 0) return output;
  const std::size_t count = ciphertext_count(value.layout, value.period, slots);
  const std::vector<bool> used = plan::used_slots(value.layout, value.period);
  if (std::ranges::all_of(used, [](bool u) { return u; })) return output;
  const ckks::Encoder encoder(encoded_->evaluator().parameters());
  const std::size_t block = std::min(value.period, slots);
  for (std::size_t c = 0; c < count; ++c) {
    std::vector<double> correction(block);
    for (std::size_t t = 0; t < block; ++t) correction[t] = used[c * block + t] ? 0 : -unused;
    TACIT_TRY(ckks::Plaintext encoded, encoder.encode(correction, value.scale, level, true));
    output.correction.push_back(std::move(encoded));
  }
  return output;
}

Result<CipherVector> ResultGuard::apply(std::size_t stage, std::size_t output, CipherVector result,
                                        const ckks::EvaluationKeys& keys) const {
  const ckks::Evaluator& evaluator = encoded_->evaluator();
  const Output& prepared = outputs_[stage][output];
  const double deviation = flooding_[stage][output].deviation;
  const ckks::SwitchingKey* const key = deviation > 0 ? keys.find_zero(prepared.level) : nullptr;
  if (deviation > 0 && key == nullptr)
    return Error{ErrorCode::kKeyMissing, "no evaluation key serves to re-randomise results at level " +
                                             std::to_string(prepared.level)};
  AlignedVector<Status> statuses(result.size());
  parallel_for(result.size(), [&](std::size_t i) {
    const auto guarded = [&]() -> Result<Ciphertext> {
      Ciphertext c = std::move(result[i]);
      if (c.level() > prepared.level) { TACIT_TRY(c, evaluator.drop(c, prepared.level)); }
      if (!prepared.correction.empty()) { TACIT_TRY(c, evaluator.add_plain(c, prepared.correction[i])); }
      if (key == nullptr) return c;
      TACIT_TRY(ring::Seed seed, ring::fresh_seed());
      c = ckks::rerandomise(evaluator.parameters(), c, *key, deviation, seed);
      wipe(seed.data(), seed.size());
      return c;
    }();
    if (guarded.ok())
      result[i] = *guarded;
    else
      statuses[i] = guarded.error();
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return result;
}

}  // namespace tacit::runtime
