// SPDX-License-Identifier: Apache-2.0
#include "ring/base_converter.h"

#include <array>
#include <optional>

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

// The coefficients of a conversion to one target.
class BaseConverter::Converted final : public NttStream {
 public:
  // Of the first `terms` sources, or of all and the quotient.
  Converted(const BaseConverter& converter, std::size_t target, std::size_t terms, const u64* const* y)
      : q_(&converter.context_->modulus(converter.targets_[target])),
        y_(y),
        factors_(converter.factors_[target].data()),
        terms_(terms) {}

  void make(std::size_t first, u64* words, std::size_t count) const override {
    kernels().convert_base(*q_, {y_, factors_, terms_, words, first}, count);
  }
  void finish(std::size_t, std::size_t) const override {}

 private:
  const Modulus* q_;
  const u64* const* y_;
  const u64* factors_;
  std::size_t terms_;
};

// Those of a rounded conversion, whose values are what is left of a division.
class BaseConverter::Divided final : public NttStream {
 public:
  Divided(const BaseConverter& converter, const Division& division, const u64* const* y)
      : converter_(&converter),
        division_(division),
        converted_(converter, division.target, converter.rounded_count(), y),
        y_(y) {}

  void make(std::size_t first, u64* words, std::size_t count) const override {
    if (converter_->source_count() > 1) return converted_.make(first, words, count);
    const Modulus& m = converter_->context_->modulus(converter_->sources_[0]);
    kernels().lift_centred(m.value(), converter_->lifts_[division_.target], words, y_[0] + first, count);
  }
  void finish(std::size_t first, std::size_t count) const override {
    const auto& [target, out, dividend, scratch] = division_;
    kernels().subtract_multiply(converter_->context_->modulus(converter_->targets_[target]),
                                converter_->inverse_products_[target], out + first, dividend + first,
                                scratch + first, count);
  }

 private:
  const BaseConverter* converter_;
  Division division_;
  Converted converted_;
  const u64* const* y_;
};

namespace {

// The transforms of up to kMaxTargets streams.
template <class Stream>
class Transforms {
 public:
  template <class... Arguments>
  void add(const NttTable& table, u64* out, const Arguments&... arguments) {
    transforms_[count_] = {&table, out, &streams_[count_].emplace(arguments...)};
    ++count_;
  }
  void run() const {
    if (count_ > 0) kernels().forward_ntt_streamed({transforms_.data(), count_});
  }

 private:
  std::array<std::optional<Stream>, BaseConverter::kMaxTargets> streams_;
  std::array<StreamedNtt, BaseConverter::kMaxTargets> transforms_;
  std::size_t count_ = 0;
};

}  // namespace

void BaseConverter::convert(std::span<const Conversion> conversions, const u64* const* y) const {
  Transforms<Converted> transforms;
  for (const auto& [target, out] : conversions) {
    const NttTable& table = context_->ntt(targets_[target]);
    if (source_count() == 1) {
      kernels().forward_ntt(table, out, y[0]);
    } else {
      transforms.add(table, out, *this, target, source_count(), y);
    }
  }
  transforms.run();
}

void BaseConverter::round_quotient(u64* out, const u64* const* y) const {
  kernels().rounded_quotient({y, inverses_.data(), sources_.size(), out}, context_->degree());
}

void BaseConverter::divide(std::span<const Division> divisions, const u64* const* y) const {
  Transforms<Divided> transforms;
  for (const Division& division : divisions)
    transforms.add(context_->ntt(targets_[division.target]), division.scratch, *this, division, y);
  transforms.run();
}

}  // namespace tacit::ring
