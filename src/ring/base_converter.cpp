// SPDX-License-Identifier: Apache-2.0
#include "ring/base_converter.h"

#include "ring/kernels/kernels.h"

namespace tacit::ring {

BaseConverter::BaseConverter(const Context& context, std::vector<std::size_t> sources,
                             std::vector<std::size_t> targets)
    : context_(&context), sources_(std::move(sources)), targets_(std::move(targets)) {
  // M / m_j modulo q, as the product of the other sources.
  auto cofactor = [&](std::size_t j, const Modulus& q) {
    u64 product = 1;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (i != j) product = q.multiply(product, q.reduce(context.modulus(sources_[i]).value()));
    }
    return product;
  };
  for (std::size_t j = 0; j < sources_.size(); ++j) {
    const Modulus& m = context.modulus(sources_[j]);
    scales_.push_back(context.ntt(sources_[j]).inverse_scale(m.inverse(cofactor(j, m))));
    inverses_.push_back(1.0 / static_cast<double>(m.value()));
  }
  for (std::size_t target : targets_) {
    const Modulus& q = context.modulus(target);
    std::vector<u64> row;
    for (std::size_t j = 0; j < sources_.size(); ++j) row.push_back(q.to_montgomery(cofactor(j, q)));
    const u64 product = cofactor(sources_.size(), q);
    row.push_back(q.to_montgomery(q.negate(product)));
    factors_.push_back(std::move(row));
    products_.push_back(q.shoup(product));
    inverse_products_.push_back(q.shoup(q.inverse(product)));
    if (sources_.size() == 1) {
      const u64 half = context.modulus(sources_[0]).value() / 2;
      lifts_.push_back((half + q.value() - 1) / q.value() * q.value());
    }
  }
}

const u64* BaseConverter::convert(std::size_t t, u64* scratch, const u64* const* y, std::size_t n) const {
  if (sources_.size() == 1) return y[0];
  kernels().convert_base(context_->modulus(targets_[t]), {y, factors_[t].data(), sources_.size(), scratch},
                         n);
  return scratch;
}

void BaseConverter::round_quotient(u64* out, const u64* const* y, std::size_t n) const {
  kernels().rounded_quotient({y, inverses_.data(), sources_.size(), out}, n);
}

void BaseConverter::convert_rounded(std::size_t t, u64* out, const u64* const* y, std::size_t n) const {
  if (sources_.size() == 1) {
    kernels().lift_centred(context_->modulus(sources_[0]).value(), lifts_[t], out, y[0], n);
  } else {
    kernels().convert_base(context_->modulus(targets_[t]), {y, factors_[t].data(), rounded_count(), out}, n);
  }
}

}  // namespace tacit::ring
