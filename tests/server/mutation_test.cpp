// SPDX-License-Identifier: Apache-2.0
// Damaged requests to the whole server over real sockets: never anything but an answer or a closed connection.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "server/application.h"
#include "server/http_server.h"
#include "server/json.h"
#include "server/model_fixture.h"
#include "server/raw_socket.h"
#include "server/temporary_folder.h"
#include "support/seed.h"

namespace tacit::server {
namespace {

using test::kSeed;

class MutationTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector models = {unwrap(runtime::Model::create(package_))};
    ApplicationOptions options;
    options.state = folder_.path();
    options.quota.requests_per_second = 0;
    application_ = unwrap(Application::create(ModelRegistry(models), options));
    HttpOptions http;
    http.timeouts.header = http.timeouts.body_grace = http.timeouts.idle = milliseconds(2000);
    http.timeouts.linger = milliseconds(10);
    server_ = unwrap(HttpServer::start(*application_, http));
  }

  static std::string with_body(const std::string& line, const std::string& fields, ByteView body) {
    return line + " HTTP/1.1\r\nHost: localhost\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(as_text(body));
  }

  int send(const std::string& bytes, bool finish) {
    RawSocket socket(server_->port());
    socket.send(bytes);
    if (finish) socket.finish_sending();
    const auto response = socket.read_response(10);
    return response ? response->status : 0;
  }

  static std::string mutate(std::string bytes, std::size_t head, std::mt19937_64& random) {
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t i = 0; i < changes && !bytes.empty(); ++i) {
      // Mostly in the header, where there is more to break.
      const std::size_t at = random() % (random() % 4 == 0 ? bytes.size() : std::min(head, bytes.size()));
      switch (random() % 5) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 8);
          break;
        case 2:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40));
          break;
        case 3:
          bytes.resize(at + 1);
          break;
        default:
          bytes.insert(at, 1, "\r\n:0%9 \t"[random() % 8]);
          break;
      }
    }
    return bytes;
  }

  // Sends 1,000 damaged versions of a request that is answered with 2xx when it is whole.
  void run(const std::string& request) {
    ASSERT_EQ(send(request, false) / 100, 2);
    std::mt19937_64 random(kSeed);
    std::map<int, int> statuses;
    const std::size_t head = request.find("\r\n\r\n") + 4;
    for (int i = 0; i < 1000; ++i) {
      const std::string damaged = mutate(request, head, random);
      const int status = send(damaged, true);
      ++statuses[status];
      EXPECT_TRUE(status == 0 || (status >= 200 && status < 500))
          << "seed " << kSeed << ", round " << i << ": status " << status;
    }
    ASSERT_EQ(send(request, false) / 100, 2) << "the server is not what it was";
    int refused = 0;
    for (const auto& [status, count] : statuses) refused += status >= 400 || status == 0 ? count : 0;
    EXPECT_GT(refused, 300) << "the damage does too little to test anything";
    EXPECT_GT(statuses[400], 50);
  }

  std::string put_pieces(const TestClient& client, Json& digests) {
    std::string last;
    for (const ckks::KeyRequest& request : package_.plan.keys) {
      const Bytes piece = client.make_piece(request);
      const std::string digest = to_hex(blake2b(piece));
      last = with_body("PUT /v2/keys/pieces/" + digest, "", piece);
      EXPECT_EQ(send(last, false), 201);
      digests.push_back(digest);
    }
    return last;
  }

  const plan::Package package_ = make_package("lenet");
  TemporaryFolder folder_;
  std::unique_ptr<Application> application_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(MutationTest, DamagedRequestsNeverHurt) {
  const TestClient client(unwrap(ckks::Parameters::create(package_.plan.parameters)));
  Json digests = Json::array();
  const std::string put = put_pieces(client, digests);
  const std::string set = Json{{"model", "lenet"}, {"pieces", digests}}.dump();
  const std::string post = with_body("POST /v2/keys", "Content-Type: application/json\r\n", as_bytes(set));
  EXPECT_EQ(send(post, false), 201);

  std::vector<Digest> sorted;
  for (const Json& digest : digests) sorted.push_back(unwrap(digest_from_hex(digest.get<std::string>())));
  std::ranges::sort(sorted);
  const Bytes ciphertext = client.encrypt(std::vector<double>(16, 0.5), package_.client);
  const std::string infer =
      with_body("POST /v2/models/lenet/infer",
                "Inference-Header-Content-Length: 0\r\nTacit-Key-Id: " + to_hex(key_set_id(sorted)) + "\r\n",
                ciphertext);
  for (const std::string& request :
       {std::string("GET /v2/models/lenet/client HTTP/1.1\r\nHost: localhost\r\n\r\n"), post, put, infer}) {
    SCOPED_TRACE(request.substr(0, request.find('\r')));
    run(request);
  }
}

}  // namespace
}  // namespace tacit::server
