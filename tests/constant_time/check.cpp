// SPDX-License-Identifier: Apache-2.0
// Makes keys, encrypts and decrypts with every secret marked undefined, so that Valgrind's memcheck reports each branch
// and each address that depends on one (Langley, "ctgrind", 2010). Run by constant_time_test.py.
#include <sodium.h>
#include <valgrind/memcheck.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "constant_time/parameters.h"
#include "ring/kernels/kernels.h"
#include "secret/keygen.h"

namespace tacit {
namespace {

// The operating system's randomness, of which the first `public_seeds` seeds are public and all others secret.
int public_seeds = 0;

const char* name() { return "marking"; }
std::uint32_t random_word() {
  std::uint32_t word;
  randombytes_sysrandom_implementation.buf(&word, sizeof word);
  return word;
}
void fill(void* const buffer, const std::size_t size) {
  randombytes_sysrandom_implementation.buf(buffer, size);
  if (public_seeds > 0) {
    --public_seeds;
  } else {
    VALGRIND_MAKE_MEM_UNDEFINED(buffer, size);
  }
}
randombytes_implementation marking = {name, random_word, nullptr, nullptr, fill, nullptr};

template <class T>
T unwrap(Result<T> result) {
  // That an operation succeeded is no secret.
  VALGRIND_MAKE_MEM_DEFINED(&result, sizeof result);
  return program::unwrap(std::move(result));
}

void declassify(ring::Poly& poly) {
  for (std::size_t i = 0; i < poly.limbs(); ++i)
    VALGRIND_MAKE_MEM_DEFINED(poly.data(i), poly.degree() * sizeof(ring::u64));
}

// A branch on a secret: what the test must see to believe that it sees anything.
int leak(const secret::SecretKey& key) { return key.coefficients()[7] > 0 ? std::rand() : 0; }

int run(bool leaking) {
  const ckks::Parameters parameters = small_parameters();

  const secret::SecretKey key = unwrap(secret::SecretKey::generate(parameters.log_degree()));
  const secret::KeyHolder holder = unwrap(secret::KeyHolder::create(parameters, key));
  for (std::uint32_t element : {ckks::kRelinearisation, ckks::rotation_element(parameters, 1)}) {
    public_seeds = 1;
    unwrap(holder.make_key({element, {1, 1, 1}}));
  }
  public_seeds = 1;
  unwrap(holder.make_public_key());

  ckks::Plaintext plaintext{ring::Poly(parameters.degree(), 2), 1};
  for (std::size_t i = 0; i < 2; ++i) std::ranges::fill(plaintext.poly.limb(i), 12345 + i);
  VALGRIND_MAKE_MEM_UNDEFINED(plaintext.poly.data(0), 2 * parameters.degree() * sizeof(ring::u64));
  public_seeds = 1;
  ckks::SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
  declassify(seeded.c0);
  ckks::Ciphertext ciphertext{{seeded.c0, seeded.c0, seeded.c0}, 1};
  ckks::Plaintext decrypted = unwrap(holder.decrypt(ciphertext));
  if (leaking && leak(key) == 1) std::cerr << "unlikely\n";
  std::cout << ring::kernels().name << "\n";
  return 0;
}

}  // namespace
}  // namespace tacit

int main(int argc, char** argv) {
  tacit::public_seeds = 1;  // libsodium's own canaries
  if (randombytes_set_implementation(&tacit::marking) != 0 || sodium_init() < 0) return 1;
  tacit::public_seeds = 0;
  return tacit::run(argc > 1 && std::strcmp(argv[1], "leak") == 0);
}
