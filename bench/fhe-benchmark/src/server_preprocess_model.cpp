// SPDX-License-Identifier: Apache-2.0
// server_preprocess_model: checks that both packages load. It is called without a size and before any key is known to the
// server, and loading a package takes milliseconds, so that nothing is left here to be made ahead.
#include <cstdio>

#include "runtime/model.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Status preprocess() {
  for (const std::filesystem::path& path : {latency_package(), throughput_package()}) {
    TACIT_TRY(plan::Package package, read_model(path));
    auto model = runtime::Model::create(std::move(package));
    if (!model.ok()) return std::move(model).error().within(path.string());
    std::printf("         [tacit] %s: %zu bytes of encoded weights\n", path.filename().c_str(),
                (*model)->memory_bytes());
  }
  return {};
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main() {
  return tacit::fhe_benchmark::finish_stage("server_preprocess_model", tacit::fhe_benchmark::preprocess());
}
