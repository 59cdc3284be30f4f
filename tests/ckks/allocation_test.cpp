// SPDX-License-Identifier: Apache-2.0
// Operations on ciphertexts that were done before allocate nothing: their memory comes from the pool.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>

#include "ckks/linear_transform.h"
#include "ckks/scalar_matrix.h"
#include "support/ckks_fixture.h"

// The sanitizers have an operator new of their own, and under the address sanitizer nothing is pooled.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting) ++allocations;
  if (void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment))
    return block;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
// Not inlined, or GCC sees `free` for what it knows to come from `new`.
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  std::free(block);
}

namespace tacit::ckks {
namespace {

using test::kScale;
using test::unwrap;

std::size_t allocations_of(const std::function<void()>& work) {
  allocations = 0;
  counting = true;
  work();
  counting = false;
  return allocations;
}

TEST(Allocations, AreSeen) {
  // Kept where the compiler cannot see that nobody looks: it may leave out what is only made and deleted.
  static std::vector<int>* volatile kept = nullptr;
  EXPECT_EQ(allocations_of([] {
              kept = new std::vector<int>(3);
              delete kept;
            }),
            2u);
}

TEST(Allocations, OfOperationsAreNoneOnceTheyWereDone) {
  test::Scheme s(test::make_parameters(13, 45, 35, 3, 49, 1));
  const KeyShape shape{3, 1, 1};
  for (std::int64_t step : {1, 2, 3, 4, 8, -4, -8}) s.add_rotation(step, shape);
  s.add_key(kRelinearisation, shape);
  s.add_key(conjugation_element(s.parameters), shape);
  const std::vector<double> values = s.random_vector();
  const Plaintext plain = unwrap(s.encoder.encode(values, kScale, 3));
  const Ciphertext x = s.encrypt(values, kScale, 3);
  const Evaluator& e = s.evaluator;
  const Ciphertext product = unwrap(e.multiply(x, x));
  const HoistedCiphertext hoisted = unwrap(e.hoist(x, shape));
  LinearTransform::Diagonals diagonals{16, {}};
  for (std::size_t d = 0; d < 16; ++d) diagonals.values[d] = {0.5, -0.25};
  const auto transform =
      unwrap(LinearTransform::create(s.encoder, diagonals, {3, 1, 1, 1}, kScale, BsgsSplit{4}));
  for (const KeyRequest& request : transform.key_requests(s.parameters)) s.add_key(request.element, shape);

  const std::vector<double> biases(3, 0.5);
  const auto matrix = unwrap(ScalarMatrix::create(s.parameters, 2, {{{0, 1}, {1, -2}}, {{1, 0.5}}, {{0, 3}}},
                                                  biases, {3, kScale, kScale}));
  const std::vector<Ciphertext> pair = {x, x};

  const std::pair<const char*, std::function<bool()>> operations[] = {
      {"add", [&] { return e.add(x, x).ok(); }},
      {"subtract", [&] { return e.subtract(x, x).ok(); }},
      {"negate", [&] { return e.negate(x).size() == 2; }},
      {"add_plain", [&] { return e.add_plain(x, plain).ok(); }},
      {"multiply_plain", [&] { return e.multiply_plain(x, plain).ok(); }},
      {"multiply", [&] { return e.multiply(x, x).ok(); }},
      {"relinearise", [&] { return e.relinearise(product, s.keys).ok(); }},
      {"relinearise_rescale", [&] { return e.relinearise_rescale(product, s.keys).ok(); }},
      {"multiply_relinearise", [&] { return e.multiply_relinearise(x, x, s.keys).ok(); }},
      {"rescale", [&] { return e.rescale(x).ok(); }},
      {"drop", [&] { return e.drop(x, 1).ok(); }},
      {"rotate", [&] { return e.rotate(x, 1, s.keys).ok(); }},
      {"conjugate", [&] { return e.conjugate(x, s.keys).ok(); }},
      {"hoist", [&] { return e.hoist(x, shape).ok(); }},
      {"rotate_hoisted", [&] { return e.rotate_hoisted(hoisted, 1, s.keys).ok(); }},
      {"scalar matrix", [&] { return matrix.apply(e, pair).ok(); }},
      {"linear transform", [&] { return transform.apply(e, x, s.keys).ok(); }},
  };
  for (const auto& [name, run] : operations) {
    // How many blocks two threads have out at once varies a little: the pool has them all after a few rounds.
    for (int round = 0; round < 20; ++round) ASSERT_TRUE(run()) << name;
    std::size_t least = SIZE_MAX;
    for (int round = 0; round < 5; ++round)
      least = std::min(least, allocations_of([&] { static_cast<void>(run()); }));
    EXPECT_EQ(least, 0u) << name;
  }
}

}  // namespace
}  // namespace tacit::ckks

#endif
