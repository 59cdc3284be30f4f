// SPDX-License-Identifier: Apache-2.0
// Objects that only our own writers make, as inputs of the targets: what make_corpus begins with.
//
//   fuzz_objects FOLDER         writes FOLDER/TARGET/NAME.bin
#include <cstdio>

#include "base/file.h"
#include "client/api.h"
#include "client/classifier_head.h"
#include "plan/key_plan.h"
#include "secret/key_file.h"
#include "small_server.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

std::filesystem::path root;

void save(const std::string& target, const std::string& name, ByteView bytes) {
  const std::filesystem::path folder = root / target;
  require(make_durable_folder(folder).ok() && write_file_atomic(folder / (name + ".bin"), bytes).ok(),
          "files are kept");
}

// `front`, then `bytes`.
Bytes joined(std::initializer_list<std::uint8_t> front, ByteView bytes) {
  Bytes whole(front);
  whole.insert(whole.end(), bytes.begin(), bytes.end());
  return whole;
}

void write_ciphertexts(const test::Scheme& scheme) {
  for (int level = 0; level <= scheme.parameters.max_level(); ++level) {
    const auto plaintext = test::unwrap(
        scheme.encoder.encode(std::span<const double>(std::vector<double>(4, 0.5)), 0x1p20, level, true));
    const auto fresh = test::unwrap(scheme.holder.encrypt(plaintext));
    const Bytes seeded = ckks::write_ciphertext(scheme.parameters, fresh, scheme.holder.tag());
    const auto expanded = test::unwrap(ckks::read_ciphertext(scheme.parameters, seeded));
    const Bytes computed = ckks::write_ciphertext(scheme.parameters, expanded.ciphertext, expanded.tag);
    for (std::uint8_t operation = 0; operation < 10; ++operation) {
      const std::string name = std::to_string(level) + std::to_string(operation);
      const auto other = static_cast<std::uint8_t>(operation * 7 + 40);
      save("ciphertext", "fresh" + name, joined({operation, other, 0, 0}, ByteView(seeded).first(104)));
      save("ciphertext", "computed" + name,
           joined({operation, other, 0, 0x55}, ByteView(computed).first(72)));
    }
  }
}

void write_keys(const test::Scheme& scheme) {
  for (const ckks::KeyShape shape : {ckks::KeyShape{0, 1, 1}, {1, 1, 1}, {1, 2, 1}, {2, 1, 1}, {2, 3, 1}}) {
    if (!scheme.parameters.admits(shape)) continue;
    for (const std::uint32_t element : {ckks::kRelinearisation, 3u, 8191u}) {
      const Bytes key =
          ckks::write_key(scheme.parameters, test::unwrap(scheme.holder.make_key({element, shape})));
      save("key",
           std::to_string(shape.level) + std::to_string(shape.digit_size) + "-" + std::to_string(element),
           joined({0, 0}, ByteView(key).first(104)));
    }
  }
}

// The same network with what the other one does without.
plan::Package longer_package() {
  plan::Package package = small_package();
  package.client.labels = {"a", "b"};
  package.client.softmax = false;
  package.record = "{}";
  return package;
}

void write_packages() {
  for (const auto& [name, package] :
       {std::pair("small", small_package()), std::pair("labels", longer_package())}) {
    const Bytes file = plan::write_package(package);
    const std::size_t digest = 32, magic = 12;
    save("package", name, joined({0}, ByteView(file).first(file.size() - digest)));
    ByteReader in(ByteView(file).subspan(magic), "package");
    const auto next = [&in] { return test::unwrap(in.raw(test::unwrap(in.u64()))); };
    const ByteView client = next(), server = next(), record = next();
    ByteWriter out;
    out.u8(1);
    for (const ByteView part : {client, record}) {
      out.u16(static_cast<std::uint16_t>(part.size()));
      out.raw(part);
    }
    out.raw(server);
    save("package", std::string(name) + "-parts", std::move(out).take());
    save("client_half", name, client);
  }
}

void write_key_files() {
  for (const int log_degree : {12, 16}) {
    const auto key = test::unwrap(secret::SecretKey::generate(log_degree));
    const std::filesystem::path file = root / "secret.key";
    std::filesystem::remove(file);
    require(secret::save_key(key, "fuzz", file, {1, 8192}).ok(), "a key can be saved");
    save("key_file", std::to_string(log_degree), test::unwrap(read_file(file, 4096)));
    std::filesystem::remove(file);
  }
}

void write_heads() {
  client::ClassifierHead head;
  head.labels = {"no", "yes"};
  head.classifier = {{0, 1, 2}, {1, 1, 2}, {1, 2, 3, 4, 5, 6}, {0, 1}};
  save("head", "plain", client::write_head(head));
  head.model = "tiny";
  save("head", "model", client::write_head(head));
}

void write_requests() {
  const Bytes ciphertext(8, 1);
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}}) {
    const auto request = test::unwrap(
        client::encode_infer_request(std::string(64, 'a'), count - 1, std::vector<Bytes>(count, ciphertext)));
    const std::string length = std::to_string(request.header_bytes), key(64, 'b');
    ByteWriter out;
    out.u8(0);
    for (const std::string& text : {length, std::string(), std::string()}) {
      out.u8(static_cast<std::uint8_t>(text.size()));
      out.raw(as_bytes(text));
    }
    out.raw(request.body);
    save("infer_request", "json" + length, std::move(out).take());
    ByteWriter raw;
    raw.u8(6);
    for (const std::string& text : {std::string("0"), key, std::string("1")}) {
      raw.u8(static_cast<std::uint8_t>(text.size()));
      raw.raw(as_bytes(text));
    }
    raw.raw(ciphertext);
    save("infer_request", "raw", std::move(raw).take());
  }
}

void write_answers() {
  server::InferenceResult result;
  result.model_name = "tiny";
  result.id = "7";
  result.compute_ms = 1.5;
  result.peak_memory_bytes = 1 << 20;
  result.ciphertexts = {Bytes(8, 1), Bytes(3, 2)};
  const server::Response response = server::inference_response(result);
  const std::string length(response.fields.find(server::kInferenceHeaderLength).value_or(""));
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(length.size()));
  out.raw(as_bytes(length));
  out.raw(response.body);
  save("answer", "infer", std::move(out).take());
  ByteWriter http;
  http.u8(4);
  http.raw(as_bytes("HTTP/1.1 200 OK\r\nInference-Header-Content-Length: " + length +
                    "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n"));
  http.raw(response.body);
  save("api", "infer", std::move(http).take());
}

void write_all() {
  const test::Scheme scheme(test::make_parameters(12, 26, 22, 2, 28, 1));
  write_ciphertexts(scheme);
  write_keys(scheme);
  write_packages();
  write_key_files();
  write_heads();
  write_requests();
  write_answers();
}

}  // namespace
}  // namespace tacit::fuzz

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: fuzz_objects FOLDER\n");
    return 2;
  }
  tacit::fuzz::root = arguments[1];
  tacit::fuzz::write_all();
  return 0;
}
