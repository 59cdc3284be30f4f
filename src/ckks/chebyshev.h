// SPDX-License-Identifier: Apache-2.0
// Polynomials in Chebyshev form on encrypted (or simulated) vectors, with the fewest levels and an exact final scale.
//
// A polynomial p = sum c_i T_i is divided by T_k, k = 2^m the largest power not above its degree, with
// T_(k+i) = 2 T_k T_i - T_(k-i):  p = q T_k + r,  q_0 = c_k,  q_i = 2 c_(k+i),  r_j = c_j - c_(2k-j).
// Divided all the way down, p becomes a sum over the products B_i = prod T_(2^b) over the bits b of i: then a T_i that is
// not a power of two costs one product and no subtraction, whose operand would have to be brought to the same scale.
// Small i are precomputed (baby steps), larger ones evaluated by division (giant steps; Paterson and Stockmeyer 1973;
// Chen, Chillotti and Song 2019, section 4). B_i is ceil(log2 i) levels down, a sum of them one more; where that is too
// deep, division goes on, so that degree d always takes ceil(log2(d + 1)) levels. Scales are computed from the target
// backwards: q is evaluated at target q_l / scale(T_k).
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tacit::ckks {

// What the evaluation computes with. Each vector has a level l and a scale; operations whose operands have different
// levels first drop the higher one, which changes no scale. "Exactly" means up to rounding of doubles.
//   level(v), scale(v); prime(l): q_l
//   multiply(a, b), square(a)   relinearised and rescaled: from level l to l - 1, scale_a scale_b / q_l
//   add(a, b)                   of equal scale (relative 2^-40); the result has a's
//   add_scalar(v, c), double_value(v)   v + c in every slot; v + v; level and scale stay
//   drop(v, l)                  the same vector at a lower (or the same) level
//   weighted_sum(v, c, l, s)    sum c_i v_i, each c_i encoded at s q_(l+1) / scale(v_i), then rescaled once: at level l
//                               exactly with scale s; every v_i is at level l + 1 or above, one c_i for each v_i
template <class A>
concept ChebyshevArithmetic = requires(A& a, const typename A::Vector& v,
                                       std::span<const typename A::Vector* const> vectors,
                                       std::span<const double> coefficients, double c, int level) {
  requires std::movable<typename A::Vector>;
  { a.level(v) } -> std::convertible_to<int>;
  { a.scale(v) } -> std::convertible_to<double>;
  { a.prime(level) } -> std::convertible_to<double>;
  { a.multiply(v, v) } -> std::same_as<Result<typename A::Vector>>;
  { a.square(v) } -> std::same_as<Result<typename A::Vector>>;
  { a.add(v, v) } -> std::same_as<Result<typename A::Vector>>;
  { a.add_scalar(v, c) } -> std::same_as<Result<typename A::Vector>>;
  { a.double_value(v) } -> std::same_as<Result<typename A::Vector>>;
  { a.drop(v, level) } -> std::same_as<Result<typename A::Vector>>;
  { a.weighted_sum(vectors, coefficients, level, c) } -> std::same_as<Result<typename A::Vector>>;
};

// Levels that a polynomial of this degree (at least 1) takes: ceil(log2(degree + 1)).
constexpr int chebyshev_depth(std::size_t degree) { return static_cast<int>(std::bit_width(degree)); }

namespace detail {

// The vectors B_i of the leaves: levels that they lie below B_1.
constexpr int basis_depth(std::size_t i) { return i <= 1 ? 0 : static_cast<int>(std::bit_width(i - 1)); }

// Either constant + sum of terms (index i >= 1, coefficient of B_i), or quotient * T_(2^power) + remainder.
struct ChebyshevNode {
  double constant = 0;
  std::vector<std::pair<std::size_t, double>> terms;
  int power = -1;
  std::unique_ptr<ChebyshevNode> quotient, remainder;

  bool split() const { return power >= 0; }
  bool is_constant() const { return !split() && terms.empty(); }
};

struct ChebyshevDivision {
  int power = 0;
  std::vector<double> quotient, remainder;
};

// Without trailing zeros; at least one coefficient.
inline std::vector<double> trimmed(std::vector<double> p) {
  while (p.size() > 1 && p.back() == 0) p.pop_back();
  if (p.empty()) p.push_back(0);
  return p;
}

// By the largest T_(2^m) of degree at most that of p, which is at least 1.
inline ChebyshevDivision divide(std::span<const double> p) {
  const std::size_t degree = p.size() - 1;
  const std::size_t k = std::bit_floor(degree);
  ChebyshevDivision result;
  result.power = static_cast<int>(std::bit_width(k)) - 1;
  result.remainder.assign(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(k));
  for (std::size_t i = 0; k + i <= degree; ++i) {
    result.quotient.push_back(i == 0 ? p[k] : 2 * p[k + i]);
    if (i > 0) result.remainder[k - i] -= p[k + i];
  }
  result.remainder = trimmed(std::move(result.remainder));
  return result;
}

// Adds the coefficients of p with respect to B_(offset + i).
inline void add_products(std::span<const double> p, std::size_t offset, ChebyshevNode& node) {
  if (p.size() == 1) {
    if (offset == 0)
      node.constant += p[0];
    else if (p[0] != 0)
      node.terms.emplace_back(offset, p[0]);
    return;
  }
  const ChebyshevDivision parts = divide(p);
  add_products(parts.remainder, offset, node);
  add_products(parts.quotient, offset + (std::size_t{1} << parts.power), node);
}

// A tree for p within `depth` levels that precomputes B_i for i < 2^baby_bits only.
inline std::unique_ptr<ChebyshevNode> build_chebyshev(std::vector<double> p, int depth, int baby_bits) {
  auto node = std::make_unique<ChebyshevNode>();
  p = trimmed(std::move(p));
  add_products(p, 0, *node);
  bool fits = true;
  for (const auto& [i, coefficient] : node->terms)
    fits = fits && (i < (std::size_t{1} << baby_bits) || std::has_single_bit(i)) && basis_depth(i) < depth;
  if (fits) return node;
  ChebyshevDivision parts = divide(p);
  node = std::make_unique<ChebyshevNode>();
  node->power = parts.power;
  node->quotient = build_chebyshev(std::move(parts.quotient), depth - 1, baby_bits);
  node->remainder = build_chebyshev(std::move(parts.remainder), depth, baby_bits);
  return node;
}

// The vectors B_i, i > 1, that have to be computed for B_i.
inline void require_basis(std::size_t i, std::set<std::size_t>& needed) {
  if (i <= 1 || !needed.insert(i).second) return;
  if (std::has_single_bit(i)) {
    require_basis(i / 2, needed);
  } else {
    require_basis(std::bit_floor(i), needed);
    require_basis(i - std::bit_floor(i), needed);
  }
}

// Products of two vectors at the splits; what else is needed goes into `needed`.
inline std::size_t count_splits(const ChebyshevNode& node, std::set<std::size_t>& needed) {
  for (const auto& [i, coefficient] : node.terms) require_basis(i, needed);
  if (!node.split()) return 0;
  require_basis(std::size_t{1} << node.power, needed);
  return (node.quotient->is_constant() ? 0u : 1u) + count_splits(*node.quotient, needed) +
         count_splits(*node.remainder, needed);
}

inline std::size_t count_products(const ChebyshevNode& root) {
  std::set<std::size_t> needed;
  const std::size_t splits = count_splits(root, needed);
  return splits + needed.size();
}

// The tree with the fewest products of two vectors.
inline std::unique_ptr<ChebyshevNode> plan_chebyshev(const std::vector<double>& coefficients) {
  const int depth = chebyshev_depth(coefficients.size() - 1);
  std::unique_ptr<ChebyshevNode> best;
  for (int bits = 1; bits <= depth; ++bits) {
    auto tree = build_chebyshev(coefficients, depth, bits);
    if (!best || count_products(*tree) < count_products(*best)) best = std::move(tree);
  }
  return best;
}

template <ChebyshevArithmetic A>
class ChebyshevEvaluation {
 public:
  using Vector = typename A::Vector;

  ChebyshevEvaluation(A& arithmetic, Vector x) : arithmetic_(arithmetic) { basis_.emplace(1, std::move(x)); }

  Result<Vector> evaluate(const ChebyshevNode& node, int target_level, double target_scale) {
    if (!node.split()) {
      std::vector<const Vector*> vectors;
      std::vector<double> coefficients;
      for (const auto& [i, coefficient] : node.terms) {
        TACIT_TRY(const Vector* vector, basis(i));
        vectors.push_back(vector);
        coefficients.push_back(coefficient);
      }
      TACIT_TRY(Vector sum, arithmetic_.weighted_sum(vectors, coefficients, target_level, target_scale));
      return with_constant(std::move(sum), node.constant);
    }
    TACIT_TRY(const Vector* power, basis(std::size_t{1} << node.power));
    TACIT_TRY(Vector product, times_quotient(*node.quotient, *power, target_level, target_scale));
    if (node.remainder->is_constant()) return with_constant(std::move(product), node.remainder->constant);
    TACIT_TRY(Vector remainder, evaluate(*node.remainder, target_level, target_scale));
    return arithmetic_.add(product, remainder);
  }

 private:
  Result<Vector> times_quotient(const ChebyshevNode& quotient, const Vector& power, int target_level,
                                double target_scale) {
    if (quotient.is_constant()) {
      const Vector* const vectors[] = {&power};
      const double coefficients[] = {quotient.constant};
      return arithmetic_.weighted_sum(vectors, coefficients, target_level, target_scale);
    }
    const double quotient_scale =
        target_scale * arithmetic_.prime(target_level + 1) / arithmetic_.scale(power);
    TACIT_TRY(Vector value, evaluate(quotient, target_level + 1, quotient_scale));
    return arithmetic_.multiply(value, power);
  }

  Result<Vector> with_constant(Vector v, double constant) {
    if (constant == 0) return v;
    return arithmetic_.add_scalar(v, constant);
  }

  Result<const Vector*> basis(std::size_t i) {
    if (const auto found = basis_.find(i); found != basis_.end()) return &found->second;
    TACIT_TRY(Vector made, std::has_single_bit(i) ? doubled(i) : combined(i));
    return &basis_.emplace(i, std::move(made)).first->second;
  }
  // T_i = 2 T_(i/2)^2 - 1.
  Result<Vector> doubled(std::size_t i) {
    TACIT_TRY(const Vector* half, basis(i / 2));
    TACIT_TRY(Vector square, arithmetic_.square(*half));
    TACIT_TRY(Vector twice, arithmetic_.double_value(square));
    return arithmetic_.add_scalar(twice, -1);
  }
  Result<Vector> combined(std::size_t i) {
    TACIT_TRY(const Vector* high, basis(std::bit_floor(i)));
    TACIT_TRY(const Vector* low, basis(i - std::bit_floor(i)));
    return arithmetic_.multiply(*high, *low);
  }

  A& arithmetic_;
  std::map<std::size_t, Vector> basis_;  // nodes stay where they are
};

}  // namespace detail

// Products of two vectors (relinearisations) that evaluate_chebyshev takes; degree at least 1.
inline std::size_t chebyshev_products(std::span<const double> coefficients) {
  return detail::count_products(
      *detail::plan_chebyshev(detail::trimmed({coefficients.begin(), coefficients.end()})));
}

// sum coefficients[i] T_i(x) for |x| <= 1, at `target_level`, at least chebyshev_depth(degree) below x, exactly with
// `target_scale`. The degree is at least 1 and the coefficients are finite: kInvalidArgument otherwise; kLevelMismatch
// where there are not levels enough.
template <ChebyshevArithmetic A>
Result<typename A::Vector> evaluate_chebyshev(A& arithmetic, const typename A::Vector& x,
                                              std::span<const double> coefficients, int target_level,
                                              double target_scale) {
  using Vector = typename A::Vector;
  const std::vector<double> p = detail::trimmed({coefficients.begin(), coefficients.end()});
  for (double c : p)
    if (!std::isfinite(c))
      return Error{ErrorCode::kInvalidArgument, "a coefficient of the polynomial is not a finite number"};
  if (p.size() < 2)
    return Error{ErrorCode::kInvalidArgument, "the polynomial is constant; it must have degree 1 at least"};
  const int start = target_level + chebyshev_depth(p.size() - 1);
  if (target_level < 0 || start > arithmetic.level(x))
    return Error{ErrorCode::kLevelMismatch, "a polynomial of degree " + std::to_string(p.size() - 1) +
                                                " needs " + std::to_string(chebyshev_depth(p.size() - 1)) +
                                                " levels above level " + std::to_string(target_level) +
                                                ", but its input is at level " +
                                                std::to_string(arithmetic.level(x))};
  const auto tree = detail::plan_chebyshev(p);
  TACIT_TRY(Vector input, arithmetic.drop(x, start));
  detail::ChebyshevEvaluation<A> evaluation(arithmetic, std::move(input));
  return evaluation.evaluate(*tree, target_level, target_scale);
}

}  // namespace tacit::ckks
