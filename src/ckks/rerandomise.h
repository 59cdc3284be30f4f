// SPDX-License-Identifier: Apache-2.0
// A ciphertext made to tell nothing of how it was computed but its value, as far as added noise can do that
// (docs/decisions/0001-model-privacy.md).
#pragma once

#include "ckks/keys.h"

namespace tacit::ckks {

// c + (u b + e_0, u a + e_1): a fresh encryption of zero is added, with (b, a) the key's zero digit at the ciphertext's level
// (EvaluationKeys::find_zero, not null), u uniform ternary, e_1 centred binomial, and e_0 Gaussian of `deviation`, rounded. c must
// have two parts. `randomness` must be fresh for every call.
Ciphertext rerandomise(const Parameters& parameters, const Ciphertext& c, const SwitchingKey& key,
                       double deviation, const ring::Seed& randomness);

// The variance of a coefficient of u e + e_1 s, e the key's error: what re-randomising adds beside e_0. 2N/3 of the coefficients
// of u and of s are not zero, errors have the variance 21/2 (Cheon, Kim, Kim and Song 2017, lemma 1).
double rerandomisation_variance(const Parameters& parameters);

}  // namespace tacit::ckks
