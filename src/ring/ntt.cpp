// SPDX-License-Identifier: Apache-2.0
#include "ring/ntt.h"

namespace tacit::ring {

u64 smallest_primitive_root(int log_degree, const Modulus& modulus) {
  const u64 q = modulus.value();
  const u64 order = u64{2} << log_degree;
  if ((q - 1) % order != 0) return 0;
  // x^((q-1)/order) has an order dividing 2N, and exactly 2N where its N-th power is -1: half of all x.
  u64 root = 0;
  for (u64 x = 2; root == 0; ++x) {
    u64 candidate = modulus.power(x, (q - 1) / order);
    if (modulus.power(candidate, order / 2) == q - 1) root = candidate;
  }
  // The primitive roots are its odd powers.
  const u64 square = modulus.multiply(root, root);
  u64 smallest = root;
  for (u64 i = 1; i < order / 2; ++i) {
    root = modulus.multiply(root, square);
    if (root < smallest) smallest = root;
  }
  return smallest;
}

NttTable::NttTable(int log_degree_in, const Modulus& modulus_in)
    : log_degree(log_degree_in),
      modulus(modulus_in),
      psi(smallest_primitive_root(log_degree_in, modulus_in)),
      roots(degree()),
      root_quotients(degree()),
      inverse_roots(degree()),
      inverse_root_quotients(degree()) {
  const std::size_t n = degree();
  const u64 inverse_psi = modulus.inverse(psi);
  u64 power = 1, inverse_power = 1;
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t position = reverse_bits(i, log_degree);
    ShoupConstant w = modulus.shoup(power), v = modulus.shoup(inverse_power);
    roots[position] = w.value;
    root_quotients[position] = w.quotient;
    inverse_roots[position] = v.value;
    inverse_root_quotients[position] = v.quotient;
    power = modulus.multiply(power, psi);
    inverse_power = modulus.multiply(inverse_power, inverse_psi);
  }
  inverse_degree = inverse_scale(1);
}

InverseScale NttTable::inverse_scale(u64 c) const {
  const u64 sum = modulus.multiply(c, modulus.inverse(degree()));
  return {modulus.shoup(sum), modulus.shoup(modulus.multiply(sum, inverse_roots[1]))};
}

}  // namespace tacit::ring
