// SPDX-License-Identifier: Apache-2.0
// Operations on ciphertexts, plaintexts and keys at every ring degree, on one thread.
#include <tbb/global_control.h>

#include <functional>
#include <memory>
#include <optional>

#include "ckks/expand.h"
#include "ckks/rerandomise.h"
#include "settings.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ckks::Ciphertext;

// An operation of which everything that it needs exists already.
struct Operation {
  std::size_t transforms = 0;
  // Of the key; none where transforms and key together say little about the time.
  std::optional<std::size_t> streamed_bytes;
  // Whether it succeeded.
  std::function<bool()> run;
};

template <class T>
bool done(const Result<T>& result) {
  benchmark::DoNotOptimize(result);
  return result.ok();
}

Operation rotate(Scheme& s) {
  s.need_rotation(1);
  return {s.switch_transforms(), s.key_bytes(),
          [&s] { return done(s.evaluator.rotate(s.ciphertext, 1, s.keys)); }};
}

Operation hoist(Scheme& s) {
  return {s.digit_transforms(), 0, [&s] { return done(s.evaluator.hoist(s.ciphertext, s.shape)); }};
}

Operation rotate_hoisted(Scheme& s) {
  s.need_rotation(1);
  auto hoisted =
      std::make_shared<const ckks::HoistedCiphertext>(unwrap(s.evaluator.hoist(s.ciphertext, s.shape)));
  return {s.division_transforms(), s.key_bytes(),
          [&s, hoisted] { return done(s.evaluator.rotate_hoisted(*hoisted, 1, s.keys)); }};
}

Operation multiply_relinearise(Scheme& s) {
  s.need_key(ckks::kRelinearisation);
  return {s.switch_transforms(), s.key_bytes(),
          [&s] { return done(s.evaluator.multiply_relinearise(s.ciphertext, s.ciphertext, s.keys)); }};
}

Operation relinearise_rescale(Scheme& s) {
  s.need_key(ckks::kRelinearisation);
  auto product = std::make_shared<const Ciphertext>(unwrap(s.evaluator.multiply(s.ciphertext, s.ciphertext)));
  return {s.switch_transforms(), s.key_bytes(),
          [&s, product] { return done(s.evaluator.relinearise_rescale(*product, s.keys)); }};
}

Operation rescale(Scheme& s) {
  return {2 * s.data_limbs(), 0, [&s] { return done(s.evaluator.rescale(s.ciphertext)); }};
}

Operation multiply_plain(Scheme& s) {
  return {0, {}, [&s] { return done(s.evaluator.multiply_plain(s.ciphertext, s.plaintext)); }};
}

Operation encode(Scheme& s) {
  return {s.data_limbs(), {}, [&s] { return done(s.encoder.encode(s.values, s.scale, s.level())); }};
}

Operation encode_repeated(Scheme& s) {
  const std::span<const double> period(s.values.data(), 1024);
  return {
      s.data_limbs(), {}, [&s, period] { return done(s.encoder.encode(period, s.scale, s.level(), true)); }};
}

Operation decode(Scheme& s) {
  return {s.data_limbs(), {}, [&s] {
            benchmark::DoNotOptimize(s.encoder.decode(s.plaintext));
            return true;
          }};
}

Operation encrypt(Scheme& s) {
  return {s.data_limbs(), {}, [&s] { return done(s.holder.encrypt(s.plaintext)); }};
}

Operation decrypt(Scheme& s) {
  return {0, {}, [&s] { return done(s.holder.decrypt(s.ciphertext)); }};
}

// Of a result, at level 0, with noise of 2^30.
Operation rerandomise(Scheme& s) {
  s.need_rotation(1);
  auto result = std::make_shared<const Ciphertext>(unwrap(s.evaluator.drop(s.ciphertext, 0)));
  return {3, {}, [&s, result, key = s.keys.find_zero(0)] {
            benchmark::DoNotOptimize(
                ckks::rerandomise(s.parameters, *result, *key, 0x1p30, unwrap(ring::fresh_seed())));
            return true;
          }};
}

Operation make_rotation_key(Scheme& s) {
  const std::uint32_t element = ckks::rotation_element(s.parameters, 1);
  return {s.digit_transforms(), {}, [&s, element] { return done(s.holder.make_key({element, s.shape})); }};
}

Operation expand_key(Scheme& s) {
  return {0, {}, [&s] {
            benchmark::DoNotOptimize(ckks::expand_key_half(s.parameters, {}, s.shape));
            return true;
          }};
}

struct OperationEntry {
  const char* name;
  Operation (*prepare)(Scheme&);
};
constexpr OperationEntry kOperations[] = {
    {"rotate", rotate},
    {"hoist", hoist},
    {"rotate_hoisted", rotate_hoisted},
    {"multiply_relinearise", multiply_relinearise},
    {"relinearise_rescale", relinearise_rescale},
    {"rescale", rescale},
    {"multiply_plain", multiply_plain},
    {"encode", encode},
    {"encode_repeated", encode_repeated},
    {"decode", decode},
    {"encrypt", encrypt},
    {"decrypt", decrypt},
    {"rerandomise", rerandomise},
    {"make_rotation_key", make_rotation_key},
    {"expand_key", expand_key},
};

}  // namespace

void register_operations() {
  for (const Setting& setting : kSettings) {
    for (const OperationEntry& entry : kOperations) {
      add(std::string(entry.name) + "/" + std::to_string(setting.log_degree), [=](benchmark::State& state) {
        const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
        const Operation operation = entry.prepare(Scheme::of(setting));
        // Once before, too: the first run finds no memory in the pool.
        bool ok = operation.run();
        for (auto _ : state) ok = ok && operation.run();
        if (!ok) state.SkipWithError("the operation failed");
        count_work(state, operation.transforms, operation.streamed_bytes);
      })->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace tacit::bench
