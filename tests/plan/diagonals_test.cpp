// SPDX-License-Identifier: Apache-2.0
// Diagonals and their grouping against the rows that they stand for, with rotations of all slots as on ciphertexts.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "plan/key_plan.h"
#include "support/plan_fixture.h"

namespace tacit::plan {
namespace {

using Slots = std::vector<double>;

Slots rotated(const Slots& x, std::int64_t step) {
  const auto n = static_cast<std::int64_t>(x.size());
  Slots out(x.size());
  for (std::int64_t t = 0; t < n; ++t)
    out[static_cast<std::size_t>(t)] = x[static_cast<std::size_t>(((t + step) % n + n) % n)];
  return out;
}

void add(Slots& sum, const Slots& x) {
  for (std::size_t t = 0; t < sum.size(); ++t) sum[t] += x[t];
}

// One random layer between two layouts with everything the tests compare.
struct Case {
  LinearMap map;
  Layout in, out;
  std::size_t in_period, out_period, slots;
  Slots x, expected;  // all slots of all ciphertexts; slots of no output are 0 in `expected`

  Slots input(std::uint32_t ciphertext) const {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(ciphertext * slots);
    return {first, first + static_cast<std::ptrdiff_t>(slots)};
  }
};

void add_to(Slots& sums, std::uint32_t ciphertext, const Slots& x) {
  for (std::size_t t = 0; t < x.size(); ++t) sums[ciphertext * x.size() + t] += x[t];
}

// x holds rubbish where the input has no element, as after a layer with a polynomial.
void fill(Case& c, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  Slots one(c.in_period);
  for (double& v : one) v = uniform(random);
  c.x.resize(c.slots * ciphertext_count(c.in, c.in_period, c.slots));
  for (std::size_t t = 0; t < c.x.size(); ++t) c.x[t] = one[t % c.in_period];
  Slots y(c.out_period, 0);
  const std::vector<SparseRow> rows = c.map.rows();
  for (int co = 0; co < c.out.shape.channels; ++co)
    for (int row = 0; row < c.out.shape.height; ++row)
      for (int column = 0; column < c.out.shape.width; ++column)
        for (const SparseEntry& e : rows[c.out.shape.index(co, row, column)]) {
          const Shape& s = c.in.shape;
          const auto pixels = static_cast<std::uint32_t>(s.height * s.width);
          const int ci = static_cast<int>(e.column / pixels), p = static_cast<int>(e.column % pixels);
          y[c.out.slot(co, row, column)] += e.value * one[c.in.slot(ci, p / s.width, p % s.width)];
        }
  c.expected.resize(c.slots * ciphertext_count(c.out, c.out_period, c.slots));
  for (std::size_t t = 0; t < c.expected.size(); ++t) c.expected[t] = y[t % c.out_period];
}

Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Case c;
  const int gap = 1 << *rc::gen::inRange(0, 3);
  const int size = *rc::gen::inRange(2, 7), grid = size * gap + *rc::gen::inRange(0, 3);
  c.in = {{*rc::gen::inRange(1, 6), size, size}, gap, grid, grid};
  c.map.in = c.in.shape;
  c.map.scale = 0.5;
  const int kind = *rc::gen::inRange(0, 3);
  if (kind == 0) {
    Matrix m{*rc::gen::inRange(1, 80), static_cast<int>(c.in.shape.elements()), {}};
    for (int i = 0; i < m.outputs * m.inputs; ++i)
      m.weights.push_back(std::uniform_real_distribution<float>(-1, 1)(random));
    c.map.pieces = {m};
    c.map.out = {m.outputs, 1, 1};
    c.out = {c.map.out, 1, 1, 1};
  } else {
    const int stride = *rc::gen::inRange(1, 3);
    if (kind == 1) {
      Convolution conv = test::convolution(c.in.shape.channels, *rc::gen::inRange(1, 6),
                                           *rc::gen::inRange(1, 4), stride, *rc::gen::inRange(0, 2));
      for (int i = 0; i < conv.out_channels * conv.in_channels * conv.kernel_height * conv.kernel_width; ++i)
        conv.weights.push_back(std::uniform_real_distribution<float>(-1, 1)(random));
      c.map.pieces = {conv};
    } else {
      c.map.pieces = {test::pooling(*rc::gen::inRange(1, 3), stride)};
    }
    const auto shape = LinearMap::shape_after(c.map.pieces[0], c.in.shape);
    if (!shape.ok()) RC_DISCARD("the kernel is larger than the image");
    c.map.out = *shape;
    c.out = {*shape, gap * stride, grid, grid};
    if (!c.out.fits_grid())
      c.out.grid_height = c.out.grid_width = std::max(shape->height, shape->width) * gap * stride;
  }
  c.in_period = std::bit_ceil(c.in.extent()) << *rc::gen::inRange(0, 2);
  c.out_period = std::bit_ceil(c.out.extent()) << *rc::gen::inRange(0, 2);
  // One ciphertext with room for more, or several.
  const std::size_t longest = std::max(c.in_period, c.out_period);
  const int several = *rc::gen::inRange(0, 4);
  c.slots = several < 2 ? longest << several : std::max<std::size_t>(longest >> (several - 1), 1);
  fill(c, random);
  return c;
}

double largest_difference(const Slots& a, const Slots& b) {
  double largest = 0;
  for (std::size_t t = 0; t < a.size(); ++t) largest = std::max(largest, std::abs(a[t] - b[t]));
  return largest;
}

RC_GTEST_PROP(Diagonals, SumToTheRowsInEverySlot, (std::uint64_t seed)) {
  const Case c = random_case(seed);
  const Diagonals diagonals = make_diagonals(c.map, c.in, c.in_period, c.out, c.out_period, c.slots);
  RC_ASSERT(diagonals.modulus == std::min({c.in_period, c.out_period, c.slots}));
  RC_ASSERT(diagonals.period == std::min(std::max(c.in_period, c.out_period), c.slots));
  Slots sum(c.expected.size(), 0);
  for (const auto& [d, entries] : diagonals.diagonals) {
    RC_ASSERT(d.index < diagonals.modulus);
    RC_ASSERT(entries.size() == diagonals.period);
    RC_ASSERT(std::any_of(entries.begin(), entries.end(), [](double e) { return e != 0; }));
    Slots product = rotated(c.input(d.input), static_cast<std::int64_t>(d.index));
    for (std::size_t t = 0; t < c.slots; ++t) product[t] *= entries[t % diagonals.period];
    add_to(sum, d.output, product);
  }
  for (std::size_t fold : diagonals.folds) add(sum, rotated(sum, static_cast<std::int64_t>(fold)));
  RC_ASSERT(largest_difference(sum, c.expected) < 1e-9);

  const DiagonalIndices indices = diagonal_indices(c.map, c.in, c.in_period, c.out, c.out_period, c.slots);
  RC_ASSERT(indices.indices == diagonals.indices().indices);
  RC_ASSERT(indices.folds == diagonals.folds);
  RC_ASSERT(indices.modulus == diagonals.modulus);
  RC_ASSERT(indices.period == diagonals.period);
}

RC_GTEST_PROP(Bsgs, IsTheSameSumWithNoOtherRotationsThanRequired, (std::uint64_t seed)) {
  const Case c = random_case(seed);
  const Diagonals diagonals = make_diagonals(c.map, c.in, c.in_period, c.out, c.out_period, c.slots);
  const std::size_t width = std::size_t{1} << *rc::gen::inRange(0, static_cast<int>(std::bit_width(c.slots)));
  const int folding = *rc::gen::inRange(0, static_cast<int>(std::bit_width(diagonals.modulus)));
  const std::size_t shift = folding == 0 ? 0 : std::size_t{1} << (folding - 1);
  const bool chained = *rc::gen::arbitrary<bool>();
  const BsgsSplit split{width, shift, chained};
  const ckks::Bsgs bsgs = make_bsgs(diagonals.indices(), split);
  RC_ASSERT(bsgs.products() <= diagonals.diagonals.size());
  RC_ASSERT((shift != 0 ? 2 : 1) * bsgs.products() >= diagonals.diagonals.size());

  constexpr int kLevel = 5;
  std::set<std::pair<std::int64_t, int>> allowed;
  for (const RotationUse& use : required_rotations(diagonals.indices(), split, kLevel))
    allowed.emplace(use.step, use.level);
  const auto rotate_with_key = [&](const Slots& x, std::int64_t step, int level) {
    const auto n = static_cast<std::int64_t>(c.slots);
    std::int64_t key = (step % n + n) % n;
    if (key >= n / 2) key -= n;
    RC_ASSERT(key == 0 || allowed.count({key, level}) == 1);
    return rotated(x, step);
  };

  std::vector<Slots> babies, shifted;
  for (std::size_t i = 0; i < bsgs.babies.size(); ++i) {
    const auto [input, step] = bsgs.babies[i];
    if (i > 0) RC_ASSERT(bsgs.babies[i - 1] < bsgs.babies[i]);
    const auto w = static_cast<std::int64_t>(width);
    if (chained)
      RC_ASSERT(step >= 0 && step < w);
    else
      RC_ASSERT(2 * step >= -w && 2 * step < std::max<std::int64_t>(w, 2));
    babies.push_back(rotate_with_key(c.input(input), step, kLevel));
    shifted.push_back(shift == 0 ? Slots()
                                 : rotate_with_key(rotate_with_key(c.input(input),
                                                                   static_cast<std::int64_t>(shift), kLevel),
                                                   step, kLevel));
  }
  RC_ASSERT(bsgs.babies.size() <= bsgs.inputs() * std::min(width, diagonals.modulus));
  RC_ASSERT(bsgs.groups.size() <= bsgs.outputs() * std::max<std::size_t>(1, diagonals.modulus / width));
  Slots sum(c.expected.size(), 0);
  for (const ckks::BsgsGroup& group : bsgs.groups) {
    RC_ASSERT(!group.terms.empty());
    RC_ASSERT(group.giant % static_cast<std::int64_t>(std::min(width, diagonals.modulus)) == 0);
    Slots inner(c.slots, 0);
    for (const ckks::BsgsTerm& term : group.terms) {
      const auto [input, step] = bsgs.babies[term.baby];
      const auto multiply = [&, input = input](std::optional<std::size_t> index, std::int64_t rotation,
                                               const Slots& by) {
        if (!index) return;
        const std::vector<double> plaintext =
            bsgs_plaintext(diagonals, rotation, group.giant, {group.output, input, *index});
        for (std::size_t t = 0; t < c.slots; ++t) inner[t] += plaintext[t % diagonals.period] * by[t];
      };
      multiply(term.direct, step, babies[term.baby]);
      multiply(term.shifted, step + static_cast<std::int64_t>(shift), shifted[term.baby]);
    }
    add_to(sum, group.output, rotate_with_key(inner, group.giant, kLevel));
  }
  for (std::size_t fold : diagonals.folds)
    add(sum, rotate_with_key(sum, static_cast<std::int64_t>(fold), kLevel - 1));
  RC_ASSERT(largest_difference(sum, c.expected) < 1e-9);
}

// A linear layer between two layouts, each with its period.
struct Layer {
  std::vector<LinearPiece> pieces;
  Layout in;
  std::size_t in_period;
  Layout out;
  std::size_t out_period;
  std::size_t times = 1;  // how often a network has it
};

DiagonalIndices indices_of(const Layer& layer, std::size_t slots) {
  LinearMap map;
  map.in = layer.in.shape;
  map.out = layer.out.shape;
  map.pieces = layer.pieces;
  EXPECT_TRUE(map.validate().ok()) << map.validate().error().to_line();
  return diagonal_indices(map, layer.in, layer.in_period, layer.out, layer.out_period, slots);
}

std::size_t count(const LinearPiece& piece, const Layout& in, std::size_t in_period, const Layout& out,
                  std::size_t out_period, std::size_t slots) {
  return indices_of({{piece}, in, in_period, out, out_period}, slots).indices.size();
}

Convolution filled(Convolution c) {
  const int count = c.out_channels * c.in_channels / c.groups * c.kernel_height * c.kernel_width;
  c.weights.assign(static_cast<std::size_t>(count), 1);
  return c;
}

// Known counts of the hybrid method on a fixed 32x32 grid, one level for each layer.
TEST(DiagonalCounts, OfResNet20AreTheKnownOnes) {
  const std::size_t n = 1 << 14;
  const Layout stage1 = test::grid_layout(16, 32, 32, 1, 32), stage2 = test::grid_layout(32, 16, 16, 2, 32),
               stage3 = test::grid_layout(64, 8, 8, 4, 32);
  EXPECT_EQ(count(filled(test::convolution(16, 16, 3, 1, 1)), stage1, 16384, stage1, 16384, n), 144u);
  EXPECT_EQ(count(filled(test::convolution(16, 32, 3, 2, 1)), stage1, 16384, stage2, 8192, n), 128u);
  EXPECT_EQ(count(filled(test::convolution(16, 32, 1, 2, 0)), stage1, 16384, stage2, 8192, n), 32u);
  EXPECT_EQ(count(filled(test::convolution(32, 32, 3, 1, 1)), stage2, 8192, stage2, 8192, n), 392u);
  EXPECT_EQ(count(filled(test::convolution(32, 64, 3, 2, 1)), stage2, 8192, stage3, 4096, n), 324u);
  EXPECT_EQ(count(filled(test::convolution(32, 64, 1, 2, 0)), stage2, 8192, stage3, 4096, n), 100u);
  EXPECT_EQ(count(filled(test::convolution(64, 64, 3, 1, 1)), stage3, 4096, stage3, 4096, n), 900u);
  EXPECT_EQ(
      count(Matrix{10, 4096, std::vector<float>(40960, 1)}, stage3, 4096, test::vector_layout(10), 16, n),
      16u);
}

// Of a layer, or of several together: the diagonals of the hybrid method; the least number of products over all shifts of
// complex folding, and the least rotations that go with it: babies and giants other than 0, the conjugation and the shift
// of folding, and the sums over copies.
struct Counts {
  std::size_t diagonals = 0, products = 0, rotations = 0;

  void add(const Counts& other, std::size_t times) {
    diagonals += times * other.diagonals;
    products += times * other.products;
    rotations += times * other.rotations;
  }
};
Counts counts(const Layer& layer, std::size_t slots) {
  const DiagonalIndices diagonals = indices_of(layer, slots);
  const std::size_t plain = diagonals.indices.size();
  Counts best{plain, plain + 1, 0};
  for (const BsgsSplit& split : ckks::splits_for(diagonals.modulus)) {
    if (split.shift == 0 || !std::has_single_bit(split.width)) continue;
    const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
    std::set<std::int64_t> babies, giants;
    for (const auto& baby : bsgs.babies) babies.insert(baby.step);
    for (const auto& group : bsgs.groups) giants.insert(group.giant);
    const Counts candidate{
        plain, bsgs.products(),
        babies.size() - babies.count(0) + giants.size() - giants.count(0) + 2 + diagonals.folds.size()};
    if (std::pair(candidate.products, candidate.rotations) < std::pair(best.products, best.rotations))
      best = candidate;
  }
  return best;
}
Counts counts(const LinearPiece& piece, const Layout& in, std::size_t in_period, const Layout& out,
              std::size_t out_period, std::size_t slots) {
  return counts({{piece}, in, in_period, out, out_period}, slots);
}

// With complex folding at least half of the hybrid method's diagonals are left: 72, 196 and 450 in the three stages.
TEST(DiagonalCounts, OfResNet20UnderComplexFolding) {
  const std::size_t n = 1 << 14;
  const Layout stage1 = test::grid_layout(16, 32, 32, 1, 32), stage2 = test::grid_layout(32, 16, 16, 2, 32),
               stage3 = test::grid_layout(64, 8, 8, 4, 32);
  const Counts one = counts(filled(test::convolution(16, 16, 3, 1, 1)), stage1, 16384, stage1, 16384, n);
  EXPECT_EQ(one.products, 72u);
  EXPECT_LE(one.rotations, 22u);
  const Counts two = counts(filled(test::convolution(32, 32, 3, 1, 1)), stage2, 8192, stage2, 8192, n);
  EXPECT_GE(two.products, 196u);
  EXPECT_LE(two.products, 224u);
  const Counts three = counts(filled(test::convolution(64, 64, 3, 1, 1)), stage3, 4096, stage3, 4096, n);
  EXPECT_GE(three.products, 450u);
  EXPECT_LE(three.products, 480u);
  const Counts down = counts(filled(test::convolution(16, 32, 3, 2, 1)), stage1, 16384, stage2, 8192, n);
  EXPECT_EQ(down.products, 64u);
  const Counts shortcut = counts(filled(test::convolution(16, 32, 1, 2, 0)), stage1, 16384, stage2, 8192, n);
  EXPECT_EQ(shortcut.products, 16u);
  const Counts further = counts(filled(test::convolution(32, 64, 3, 2, 1)), stage2, 8192, stage3, 4096, n);
  EXPECT_GE(further.products, 162u);
  EXPECT_LE(further.products, 180u);
  const Counts last = counts(filled(test::convolution(32, 64, 1, 2, 0)), stage2, 8192, stage3, 4096, n);
  EXPECT_GE(last.products, 50u);
  EXPECT_LE(last.products, 60u);
}

TEST(DiagonalCounts, OfTheCryptoNetsConvolutionAreOneForEachOffset) {
  Convolution c = filled(test::convolution(1, 5, 5, 2, 1));
  c.pad_bottom = c.pad_right = 0;
  const Layout in = test::grid_layout(1, 28, 28, 1, 32), out = test::grid_layout(5, 13, 13, 2, 32);
  // Six row and six column offsets; the fifth channel's block is a multiple of the input's period away.
  EXPECT_EQ(count(c, in, 1024, out, 2048, 4096), 36u);
  // Where the input does not repeat, that block has 25 diagonals of its own.
  EXPECT_EQ(count(c, in, 4096, out, 4096, 4096), 61u);
  EXPECT_LE(counts(c, in, 4096, out, 4096, 4096).products, 44u);
  EXPECT_LE(counts(c, in, 1024, out, 2048, 4096).products, 18u);
}

Counts totals(const std::vector<Layer>& network, std::size_t slots) {
  Counts sum;
  for (const Layer& layer : network) sum.add(counts(layer, slots), layer.times);
  return sum;
}

AveragePooling pooling(int side) {
  AveragePooling pool;
  pool.kernel_height = pool.kernel_width = pool.stride_height = pool.stride_width = side;
  return pool;
}
Matrix full(int outputs, int inputs) {
  return {outputs, inputs,
          std::vector<float>(static_cast<std::size_t>(outputs) * static_cast<std::size_t>(inputs), 1)};
}

// Convolution 5x5 with stride 2, squares, 100, squares, 10; the input does not repeat. Counts worked out by hand give
// 205 diagonals, and 116 products with 57 rotations under complex folding; other splits do with less.
TEST(DiagonalCounts, OfCryptoNets) {
  Convolution c = filled(test::convolution(1, 5, 5, 2, 1));
  c.pad_bottom = c.pad_right = 0;
  const Layout in = test::grid_layout(1, 28, 28, 1, 32), maps = test::grid_layout(5, 13, 13, 2, 32),
               hidden = test::vector_layout(100);
  const Counts sum = totals({{{c}, in, 4096, maps, 2048},
                             {{full(100, 845)}, maps, 2048, hidden, 128},
                             {{full(10, 100)}, hidden, 128, test::vector_layout(10), 16}},
                            4096);
  EXPECT_EQ(sum.diagonals, 205u);
  EXPECT_LE(sum.products, 116u);
  EXPECT_LE(sum.rotations, 57u);
}

// Pools are one layer with what follows them. By hand: 906 diagonals; 468 products and about 125 rotations folded.
TEST(DiagonalCounts, OfLeNet5) {
  const Layout in = test::grid_layout(1, 28, 28, 1, 32), first = test::grid_layout(6, 28, 28, 1, 32),
               second = test::grid_layout(16, 10, 10, 2, 32), third = test::vector_layout(120),
               fourth = test::vector_layout(84);
  const std::vector<Layer> network = {
      {{filled(test::convolution(1, 6, 5, 1, 2))}, in, 8192, first, 8192},
      {{pooling(2), filled(test::convolution(6, 16, 5, 1, 0))}, first, 8192, second, 4096},
      {{pooling(2), full(120, 400)}, second, 4096, third, 128},
      {{full(84, 120)}, third, 128, fourth, 128},
      {{full(10, 84)}, fourth, 128, test::vector_layout(10), 16}};
  const std::size_t by_hand[] = {90, 242, 64, 64, 8};
  Counts sum;
  for (std::size_t i = 0; i < network.size(); ++i) {
    const Counts layer = counts(network[i], 8192);
    EXPECT_LE(layer.products, by_hand[i]);
    sum.add(layer, network[i].times);
  }
  EXPECT_EQ(sum.diagonals, 906u);
  EXPECT_LE(sum.products, 468u);
  EXPECT_LE(sum.rotations, 125u);
}

// By hand: 8,068 diagonals; 4,334 products and 693 rotations folded.
TEST(DiagonalCounts, OfAllOfResNet20) {
  const Layout image = test::grid_layout(3, 32, 32, 1, 32), stage1 = test::grid_layout(16, 32, 32, 1, 32),
               stage2 = test::grid_layout(32, 16, 16, 2, 32), stage3 = test::grid_layout(64, 8, 8, 4, 32);
  const std::vector<Layer> network = {
      {{filled(test::convolution(3, 16, 3, 1, 1))}, image, 16384, stage1, 16384},
      {{filled(test::convolution(16, 16, 3, 1, 1))}, stage1, 16384, stage1, 16384, 6},
      {{filled(test::convolution(16, 32, 3, 2, 1))}, stage1, 16384, stage2, 8192},
      {{filled(test::convolution(16, 32, 1, 2, 0))}, stage1, 16384, stage2, 8192},
      {{filled(test::convolution(32, 32, 3, 1, 1))}, stage2, 8192, stage2, 8192, 5},
      {{filled(test::convolution(32, 64, 3, 2, 1))}, stage2, 8192, stage3, 4096},
      {{filled(test::convolution(32, 64, 1, 2, 0))}, stage2, 8192, stage3, 4096},
      {{filled(test::convolution(64, 64, 3, 1, 1))}, stage3, 4096, stage3, 4096, 5},
      {{pooling(8), full(10, 64)}, stage3, 4096, test::vector_layout(10), 16}};
  const Counts sum = totals(network, 1 << 14);
  EXPECT_EQ(sum.diagonals, 8068u);
  EXPECT_LE(sum.products, 4334u);
  EXPECT_LE(sum.rotations, 693u);
}

TEST(Bsgs, SplitsSmallOffsetsIntoFewSteps) {
  DiagonalIndices diagonals = diagonal_frame(1024, 1024, 4096);
  for (std::size_t d : {0, 1, 31, 32, 33, 991, 992, 993, 1023})  // a 3x3 kernel on rows of 32
    diagonals.indices.push_back({0, 0, d});
  const ckks::Bsgs bsgs = make_bsgs(diagonals, {32});
  EXPECT_EQ(bsgs.babies, (std::vector<ckks::BsgsBaby>{{0, -1}, {0, 0}, {0, 1}}));
  ASSERT_EQ(bsgs.groups.size(), 3u);
  EXPECT_EQ(bsgs.groups[0].giant, -32);
  EXPECT_EQ(bsgs.groups[1].giant, 0);
  EXPECT_EQ(bsgs.groups[2].giant, 32);
  EXPECT_EQ(bsgs.rotated_babies(), 2u);
  EXPECT_EQ(bsgs.rotated_giants(), 2u);
}

TEST(Bsgs, ChainedBabiesAndGiantsAscendFromZero) {
  DiagonalIndices diagonals = diagonal_frame(64, 64, 4096);
  for (std::size_t d = 0; d < 64; ++d) diagonals.indices.push_back({0, 0, d});
  const ckks::Bsgs bsgs = make_bsgs(diagonals, {16, 0, true});
  ASSERT_EQ(bsgs.babies.size(), 16u);
  ASSERT_EQ(bsgs.groups.size(), 4u);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(bsgs.babies[i].step, static_cast<std::int64_t>(i));
  for (std::size_t g = 0; g < 4; ++g) EXPECT_EQ(bsgs.groups[g].giant, static_cast<std::int64_t>(16 * g));
}

TEST(Chains, StepsAreThoseOfTheKeysAtTheLevel) {
  const auto parameters = ckks::Parameters::create(test::make_literal(13, 30, 27, 5));
  ASSERT_TRUE(parameters.ok());
  std::vector<ckks::KeyRequest> keys = {{ckks::kRelinearisation, {5, 1, 1}},
                                        {ckks::conjugation_element(*parameters), {5, 1, 1}}};
  for (const auto& [step, level] : {std::pair{8, 5}, {-8, 3}, {1, 3}, {-2048, 4}, {-1, 2}})
    keys.push_back({ckks::rotation_element(*parameters, step), {level, 1, 1}});
  std::ranges::sort(keys);
  EXPECT_EQ(steps_of(8192, keys, 3), (std::vector<std::int64_t>{1, 8, -8, -2048}));
  EXPECT_EQ(steps_of(8192, keys, 2), (std::vector<std::int64_t>{1, -1, 8, -8, -2048}));
  EXPECT_EQ(steps_of(8192, keys, 5), (std::vector<std::int64_t>{8}));
}

TEST(KeyRequests, OfChainedLayersArePowersOfTwo) {
  const Plan plan = test::make_chained(test::make_cryptonets(21));
  const auto parameters = ckks::Parameters::create(plan.parameters);
  ASSERT_TRUE(parameters.ok());
  std::set<std::uint32_t> powers = {ckks::kRelinearisation};
  for (std::int64_t step : ckks::power_of_two_steps(plan.slots))
    powers.insert(ckks::rotation_element(*parameters, step));
  for (const ckks::KeyRequest& key : plan.keys) EXPECT_TRUE(powers.contains(key.element)) << key.element;
  for (const RotationUse& use : required_rotations(plan))
    EXPECT_TRUE(powers.contains(element_of(*parameters, use))) << use.step;
}

TEST(KeyRequests, HaveEachAutomorphismOnceAtItsHighestLevel) {
  const Plan plan = test::make_cryptonets(20);
  const auto parameters = ckks::Parameters::create(plan.parameters);
  ASSERT_TRUE(parameters.ok());
  std::map<std::uint32_t, int> expected;
  for (const RotationUse& use : required_rotations(plan)) {
    int& level = expected.try_emplace(element_of(*parameters, use), use.level).first->second;
    level = std::max(level, use.level);
  }
  expected[ckks::kRelinearisation] = 4;  // the first square, after the convolution
  ASSERT_EQ(plan.keys.size(), expected.size());
  for (const ckks::KeyRequest& key : plan.keys) EXPECT_EQ(key.shape.level, expected.at(key.element));
  // The last layer folds a period of 128 to 16 at level 0.
  const auto last = required_rotations(plan).back();
  EXPECT_EQ(last.role, RotationRole::kFold);
  EXPECT_EQ(last.step, 16);
  EXPECT_EQ(last.level, 0);
}

}  // namespace
}  // namespace tacit::plan
