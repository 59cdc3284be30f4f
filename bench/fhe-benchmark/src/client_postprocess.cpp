// SPDX-License-Identifier: Apache-2.0
// client_postprocess SIZE: the digit with the largest output, a line for each image.
#include <algorithm>
#include <string>

#include "base/npy.h"
#include "file_bundle.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Status postprocess(const Instance& instance) {
  TACIT_TRY(const NpyArray outputs, load_npy(instance.outputs()));
  if (outputs.shape.size() != 2 || outputs.shape[1] < 1)
    return Error{ErrorCode::kTensorShape,
                 instance.outputs().string() + " is not a table of outputs; run client_decrypt_decode first"};
  const std::ptrdiff_t classes = outputs.shape[1];
  std::string predictions;
  for (auto row = outputs.data.begin(); row != outputs.data.end(); row += classes)
    predictions += std::to_string(std::max_element(row, row + classes) - row) + "\n";
  return write_bytes(instance.predictions(), as_bytes(predictions));
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("client_postprocess", argc, argv, tacit::fhe_benchmark::postprocess);
}
