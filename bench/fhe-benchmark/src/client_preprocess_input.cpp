// SPDX-License-Identifier: Apache-2.0
// client_preprocess_input SIZE: the suite's pixels to the network's inputs, in the clear.
#include <array>

#include "base/npy.h"
#include "file_bundle.h"
#include "pixels.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Status preprocess(const Instance& instance) {
  TACIT_TRY(const MappedFile text, MappedFile::open(instance.test_pixels()));
  auto inputs = read_inputs(as_text(text.bytes()));
  if (!inputs.ok()) return std::move(inputs).error().within(instance.test_pixels().string());
  TACIT_CHECK(make_empty_folder(instance.intermediate()));
  const std::array<std::int64_t, 2> shape = {static_cast<std::int64_t>(inputs->size() / kInputs),
                                             static_cast<std::int64_t>(kInputs)};
  return write_bytes(instance.inputs(), write_npy(shape, *inputs));
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("client_preprocess_input", argc, argv,
                                         tacit::fhe_benchmark::preprocess);
}
