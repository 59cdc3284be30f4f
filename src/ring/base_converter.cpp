// SPDX-License-Identifier: Apache-2.0
#include "ring/base_converter.h"

#include <algorithm>
#include <array>

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

namespace {

// A stream of two functions.
template <class Make, class Finish>
class Stream final : public NttStream {
 public:
  Stream(const Make& make, const Finish& finish) : make_(make), finish_(finish) {}
  void make(std::size_t transform, std::size_t first, u64* words, std::size_t count) const override {
    make_(transform, first, words, count);
  }
  void finish(std::size_t transform, std::size_t first, std::size_t count) const override {
    finish_(transform, first, count);
  }

 private:
  const Make& make_;
  const Finish& finish_;
};

}  // namespace

void BaseConverter::convert(std::span<const Conversion> conversions, const u64* const* y) const {
  if (conversions.empty()) return;
  std::array<StreamedNtt, kMaxTargets> transforms;
  std::ranges::transform(conversions, transforms.begin(), [&](const Conversion& c) {
    return StreamedNtt{&context_->ntt(targets_[c.target]), c.out};
  });
  if (source_count() == 1) {
    for (std::size_t i = 0; i < conversions.size(); ++i)
      kernels().forward_ntt(*transforms[i].table, transforms[i].out, y[0]);
    return;
  }
  const auto make = [&](std::size_t i, std::size_t first, u64* words, std::size_t count) {
    const u64* const factors = factors_[conversions[i].target].data();
    kernels().convert_base(transforms[i].table->modulus, {y, factors, source_count(), words, first}, count);
  };
  const auto finish = [](std::size_t, std::size_t, std::size_t) {};
  kernels().forward_ntt_streamed({transforms.data(), conversions.size()}, Stream(make, finish));
}

void BaseConverter::round_quotient(u64* out, const u64* const* y) const {
  kernels().rounded_quotient({y, inverses_.data(), sources_.size(), out}, context_->degree());
}

void BaseConverter::divide(std::span<const Division> divisions, const u64* const* y) const {
  if (divisions.empty()) return;
  std::array<StreamedNtt, kMaxTargets> transforms;
  std::ranges::transform(divisions, transforms.begin(), [&](const Division& d) {
    return StreamedNtt{&context_->ntt(targets_[d.target]), d.scratch};
  });
  const auto make = [&](std::size_t i, std::size_t first, u64* words, std::size_t count) {
    const std::size_t target = divisions[i].target;
    if (source_count() == 1) {
      const u64 m = context_->modulus(sources_[0]).value();
      kernels().lift_centred(m, lifts_[target], words, y[0] + first, count);
    } else {
      const BaseConversion piece{y, factors_[target].data(), rounded_count(), words, first};
      kernels().convert_base(transforms[i].table->modulus, piece, count);
    }
  };
  const auto finish = [&](std::size_t i, std::size_t first, std::size_t count) {
    const auto& [target, out, dividend, scratch] = divisions[i];
    kernels().subtract_multiply(transforms[i].table->modulus, inverse_products_[target], out + first,
                                dividend + first, scratch + first, count);
  };
  kernels().forward_ntt_streamed({transforms.data(), divisions.size()}, Stream(make, finish));
}

}  // namespace tacit::ring
