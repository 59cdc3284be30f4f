// SPDX-License-Identifier: Apache-2.0
// Small real models, and a client for them: keys, encryption, decryption.
#pragma once

#include <stdexcept>

#include "plan/key_plan.h"
#include "runtime/model.h"
#include "secret/keygen.h"
#include "server/json.h"
#include "support/ckks_fixture.h"

namespace tacit::server {

using test::unwrap;

// x -> (M x)^2 on 16 numbers, M mixing each with the next two; N = 4096.
inline plan::Package make_package(const std::string& name, std::uint64_t seed = 1) {
  const ckks::Parameters parameters = test::make_parameters(12, 26, 22, 2, 28, 1);
  const double scale = 0x1p22;
  const auto prime = [&](int level) { return static_cast<double>(parameters.prime(level).value()); };
  const plan::Layout vector{{16, 1, 1}, 1, 1, 1};
  plan::Package package;
  plan::Plan& plan = package.plan;
  plan.parameters = parameters.literal();
  plan.slots = parameters.slots();
  plan.values = {{"input", vector, 16, 2, scale, 1},
                 {"mixed", vector, 16, 1, scale, 1},
                 {"squared", vector, 16, 0, scale * scale / prime(1), 1}};
  plan.input = 0;
  plan.output = 2;
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  plan::Matrix matrix{16, 16, std::vector<float>(256, 0.0f)};
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t d = 0; d < 3; ++d) matrix.weights[row * 16 + (row + d) % 16] = uniform(random);
  }
  plan.maps.push_back({vector.shape, vector.shape, {matrix}, 1, {}});
  plan.operations = {plan::Linear{0, 1, 0, {1}}, plan::Square{1, 2}};
  plan.keys = plan::key_requests(parameters, plan);
  package.client = plan::client_half_of(plan);
  package.client.name = name;
  package.client.preprocessing.mean.assign(16, 0.0);
  package.client.preprocessing.deviation.assign(16, 1.0);
  return package;
}

inline std::vector<double> expected_outputs(const plan::Package& package, const std::vector<double>& input) {
  const auto& matrix = std::get<plan::Matrix>(package.plan.maps[0].pieces[0]);
  std::vector<double> outputs(16, 0.0);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 16; ++column)
      outputs[row] += matrix.weights[row * 16 + column] * input[column];
    outputs[row] *= outputs[row];
  }
  return outputs;
}

// The JSON of a request for one ciphertext.
inline std::string inference_json(const std::string& key_id, const Bytes& ciphertext) {
  return Json{{"id", "7"},
              {"parameters", {{"key_id", key_id}}},
              {"inputs", Json::array({{{"name", "image"},
                                       {"shape", Json::array({1})},
                                       {"datatype", "BYTES"},
                                       {"parameters", {{"binary_data_size", ciphertext.size() + 4}}}}})}}
      .dump();
}

class TestClient {
 public:
  explicit TestClient(const ckks::Parameters& parameters)
      : parameters_(parameters),
        key_(unwrap(secret::SecretKey::generate(parameters.log_degree()))),
        holder_(unwrap(secret::KeyHolder::create(parameters, key_))),
        encoder_(parameters) {}

  Bytes make_piece(const ckks::KeyRequest& request) const {
    return ckks::write_key(parameters_, unwrap(holder_.make_key(request)));
  }
  Bytes encrypt(const std::vector<double>& values, const plan::ClientHalf& half) const {
    const auto plaintext = unwrap(encoder_.encode(std::span<const double>(values), half.input_value().scale,
                                                  half.input_value().level, true));
    return ckks::write_ciphertext(parameters_, unwrap(holder_.encrypt(plaintext)), holder_.tag());
  }
  std::vector<double> decrypt(ByteView bytes) const {
    const auto tagged = unwrap(ckks::read_ciphertext(parameters_, bytes));
    return encoder_.decode_real(unwrap(holder_.decrypt(tagged.ciphertext)));
  }

 private:
  ckks::Parameters parameters_;
  secret::SecretKey key_;
  secret::KeyHolder holder_;
  ckks::Encoder encoder_;
};

}  // namespace tacit::server
