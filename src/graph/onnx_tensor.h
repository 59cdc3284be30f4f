// SPDX-License-Identifier: Apache-2.0
// ONNX's serialised tensors. Only the importer's own files include this: it needs protobuf's headers.
#pragma once

#include <onnx/onnx_pb.h>

#include "graph/constant.h"

namespace tacit::graph {

// Decodes float, double, int64, int32 and bool tensors from raw_data or their typed field. `what` names the
// tensor in messages. onnx.external-data, onnx.unsupported-type, onnx.malformed where the bytes are not as
// many as the dimensions say, onnx.weights-not-finite.
Result<Constant> decode_tensor(const onnx::TensorProto& tensor, const std::string& what);

// "float32", "uint8" ...
std::string type_name(int data_type);

}  // namespace tacit::graph
