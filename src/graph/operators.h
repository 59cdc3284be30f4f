// SPDX-License-Identifier: Apache-2.0
// The table of ONNX operators: everything the importer knows about each, including those it refuses.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tacit::graph {

class Lowering;

enum class AttributeType { kInteger, kIntegers, kFloat, kFloats, kString, kTensor };

struct OperatorAttribute {
  std::string_view name;
  AttributeType type;
};

// One row. A supported operator has a `lower` function, which reads its attributes, checks its operands'
// shapes and says what its first output stands for; the operations that it makes bring their shape rule
// (infer_shape) and their executor with them. An operator that is known but refused has none.
struct Operator {
  std::string_view name;
  int min_inputs = 0;
  int max_inputs = 0;  // INT_MAX where there is no limit
  std::span<const OperatorAttribute> attributes;
  Status (*lower)(const Lowering&) = nullptr;
  std::string_view becomes;  // what it turns into, for the documentation
  std::string_view note;  // conditions; for a refused operator what to do instead, as an imperative sentence
};

// All rows, sorted by name.
std::span<const Operator> operators();
// The row of a name, or null.
const Operator* find_operator(std::string_view name);

// The table as a Markdown page: what src/graph/operators.md holds.
std::string operators_page();

// The rows' functions.
namespace lower {
Status conv(const Lowering&);
Status gemm(const Lowering&);
Status matmul(const Lowering&);
Status batch_normalization(const Lowering&);

Status add(const Lowering&);
Status sub(const Lowering&);
Status mul(const Lowering&);
Status div(const Lowering&);
Status neg(const Lowering&);
Status pow(const Lowering&);
Status abs(const Lowering&);
Status ceil(const Lowering&);
Status exp(const Lowering&);
Status floor(const Lowering&);
Status reciprocal(const Lowering&);
Status sqrt(const Lowering&);

Status relu(const Lowering&);
Status leaky_relu(const Lowering&);
Status prelu(const Lowering&);
Status sigmoid(const Lowering&);
Status tanh(const Lowering&);
Status erf(const Lowering&);
Status softplus(const Lowering&);
Status hard_sigmoid(const Lowering&);
Status hard_swish(const Lowering&);
Status elu(const Lowering&);
Status selu(const Lowering&);
Status clip(const Lowering&);
Status max(const Lowering&);
Status min(const Lowering&);
Status softmax(const Lowering&);
Status log_softmax(const Lowering&);
Status arg_max(const Lowering&);

Status average_pool(const Lowering&);
Status global_average_pool(const Lowering&);
Status max_pool(const Lowering&);
Status global_max_pool(const Lowering&);
Status reduce_mean(const Lowering&);
Status pad(const Lowering&);

Status identity(const Lowering&);
Status dropout(const Lowering&);
Status flatten(const Lowering&);
Status reshape(const Lowering&);
Status squeeze(const Lowering&);
Status unsqueeze(const Lowering&);
Status transpose(const Lowering&);

Status constant(const Lowering&);
Status constant_of_shape(const Lowering&);
Status shape(const Lowering&);
Status gather(const Lowering&);
Status concat(const Lowering&);
Status slice(const Lowering&);
Status cast(const Lowering&);
}  // namespace lower

}  // namespace tacit::graph
