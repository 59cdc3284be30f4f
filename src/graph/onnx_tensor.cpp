// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "graph/text.h"

namespace tacit::graph {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and is copied as it is");

Error wrong_count(const std::string& what, std::int64_t expected, std::size_t found, const char* unit) {
  return Error{ErrorCode::kOnnxMalformed, what + " has " + std::to_string(found) + " " + unit +
                                              " where its dimensions ask for " + std::to_string(expected) +
                                              "; the file is damaged"};
}

// The elements from raw_data as T where it is there, else from the typed field; each converted to To.
template <class To, class T, class Field>
Result<std::vector<To>> elements(const onnx::TensorProto& tensor, const Field& field, std::int64_t count,
                                 const std::string& what) {
  auto size = static_cast<std::size_t>(count);
  std::vector<To> result;
  if (tensor.has_raw_data()) {
    const std::string& raw = tensor.raw_data();
    if (raw.size() != size * sizeof(T)) {
      return wrong_count(what, count * static_cast<std::int64_t>(sizeof(T)), raw.size(), "bytes");
    }
    result.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      T element;
      std::memcpy(&element, raw.data() + i * sizeof(T), sizeof(T));
      result[i] = static_cast<To>(element);
    }
  } else {
    if (static_cast<std::size_t>(field.size()) != size) {
      return wrong_count(what, count, static_cast<std::size_t>(field.size()), "elements");
    }
    result.reserve(size);
    for (auto element : field) result.push_back(static_cast<To>(static_cast<T>(element)));
  }
  return result;
}

template <class Element>
Result<Constant> finish(const onnx::TensorProto& tensor, Result<std::vector<Element>> data) {
  if (!data.ok()) return std::move(data).error();
  return Constant{{tensor.dims().begin(), tensor.dims().end()}, std::move(data).value()};
}

}  // namespace

std::string type_name(int data_type) {
  switch (data_type) {
    case onnx::TensorProto::FLOAT:
      return "float32";
    case onnx::TensorProto::DOUBLE:
      return "float64";
    case onnx::TensorProto::FLOAT16:
      return "float16";
    case onnx::TensorProto::BFLOAT16:
      return "bfloat16";
    case onnx::TensorProto::INT64:
      return "int64";
    case onnx::TensorProto::INT32:
      return "int32";
    case onnx::TensorProto::INT16:
      return "int16";
    case onnx::TensorProto::INT8:
      return "int8";
    case onnx::TensorProto::UINT8:
      return "uint8";
    case onnx::TensorProto::BOOL:
      return "bool";
    case onnx::TensorProto::STRING:
      return "string";
    default:
      return "type " + std::to_string(data_type);
  }
}

Result<Constant> decode_tensor(const onnx::TensorProto& tensor, const std::string& what) {
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL || tensor.external_data_size() > 0) {
    return Error{ErrorCode::kOnnxExternalData,
                 what +
                     " is kept in another file; save the model as one file: in Python, "
                     "onnx.save(onnx.load(\"model.onnx\"), \"single.onnx\")"};
  }
  if (tensor.has_segment()) {
    return Error{ErrorCode::kOnnxMalformed, what + " is only a segment of a tensor, which is not supported"};
  }
  std::vector<std::int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  Result<std::int64_t> count = element_count(dims);
  if (!count.ok()) return std::move(count).error().within(what);

  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::DOUBLE: {
      bool narrow = tensor.data_type() == onnx::TensorProto::FLOAT;
      TACIT_TRY(Constant constant,
                finish(tensor, narrow ? elements<float, float>(tensor, tensor.float_data(), *count, what)
                                      : elements<float, double>(tensor, tensor.double_data(), *count, what)));
      for (float value : constant.floats()) {
        if (!std::isfinite(value)) {
          return Error{
              ErrorCode::kOnnxWeightsNotFinite,
              what + " has an element that is infinite, NaN or beyond float32; train or export again"};
        }
      }
      return constant;
    }
    case onnx::TensorProto::INT64:
      return finish(tensor, elements<std::int64_t, std::int64_t>(tensor, tensor.int64_data(), *count, what));
    case onnx::TensorProto::INT32:
      return finish(tensor, elements<std::int64_t, std::int32_t>(tensor, tensor.int32_data(), *count, what));
    case onnx::TensorProto::BOOL:
      return finish(tensor, elements<std::int64_t, std::uint8_t>(tensor, tensor.int32_data(), *count, what));
    default:
      return Error{ErrorCode::kOnnxUnsupportedType,
                   what + " holds " + type_name(tensor.data_type()) +
                       "; export the model with float32 weights, not quantised"};
  }
}

}  // namespace tacit::graph
