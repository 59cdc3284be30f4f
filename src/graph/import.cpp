// SPDX-License-Identifier: Apache-2.0
#include "graph/import.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <new>
#include <queue>
#include <unordered_set>

#include "base/file.h"
#include "graph/lowering.h"
#include "graph/operators.h"
#include "graph/text.h"
#include "graph/view.h"

namespace tacit::graph {
namespace {

constexpr std::int64_t kMaxBatch = std::int64_t{1} << 20;

Status parse(ByteView bytes, onnx::ModelProto& model) {
  if (bytes.size() > kMaxModelBytes) {
    return Error{ErrorCode::kOnnxTooLarge, "the model has " + std::to_string(bytes.size()) +
                                               " bytes where at most " + std::to_string(kMaxModelBytes) +
                                               " are allowed"};
  }
  google::protobuf::LogSilencer quiet;  // what it would print is in the error
  google::protobuf::io::ArrayInputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetRecursionLimit(64);
  if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return malformed_onnx(
        "this is not an ONNX model, or it is damaged or cut short; export or copy it again");
  }
  if (!model.has_graph() || model.graph().output_size() == 0) {
    return malformed_onnx("this is not an ONNX model: it holds no graph with an output");
  }
  return {};
}

Result<std::int64_t> default_opset(const onnx::ModelProto& model) {
  std::int64_t version = 0;
  for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
    if (!set.domain().empty() && set.domain() != "ai.onnx") continue;
    if (version != 0 && version != set.version())
      return malformed_onnx("the model names two versions of one operator set");
    version = set.version();
  }
  if (version == 0)
    return malformed_onnx("the model does not say which operator set it uses; it may be cut short");
  if (version < kMinOpset || version > kMaxOpset) {
    return Error{ErrorCode::kOnnxOpset, "the model uses operator set " + std::to_string(version) + ", but " +
                                            std::to_string(kMinOpset) + " to " + std::to_string(kMaxOpset) +
                                            " are supported; export it with opset_version=13"};
  }
  return version;
}

std::string dimension_text(const onnx::TensorShapeProto::Dimension& dimension) {
  if (dimension.has_dim_value()) return std::to_string(dimension.dim_value());
  return dimension.dim_param().empty() ? "?" : printable(dimension.dim_param());
}

// Reads one model; lives for one call of import_onnx.
class Importer {
 public:
  Importer(const onnx::ModelProto& model, std::string_view last)
      : model_(model), proto_(model.graph()), last_(last) {}

  Result<Graph> run() {
    TACIT_TRY(state_.opset, default_opset(model_));
    TACIT_CHECK(index_names());
    TACIT_TRY(const onnx::ValueInfoProto* input, find_input());
    TACIT_TRY(state_.input_dims, read_dims(*input));
    TACIT_TRY(output_, find_output());
    TACIT_TRY(order_, sort_nodes());
    mark_needed();
    Result<Graph> graph = lower(*input);
    bool computes = !input_names_.contains(output_);
    if (state_.channel_axis == ChannelAxis::kUnknown && graph.ok() && computes && looks_channels_last())
      state_.channel_axis = ChannelAxis::kLast;
    if (state_.channel_axis != ChannelAxis::kLast) return graph;
    return lower(*input);
  }

 private:
  // Who makes each tensor; no name may stand for two.
  Status index_names() {
    for (const onnx::TensorProto& tensor : proto_.initializer()) {
      if (!initializers_.emplace(tensor.name(), &tensor).second) {
        return malformed_onnx("two initializers have the name " + in_quotes(tensor.name()));
      }
    }
    if (proto_.sparse_initializer_size() > 0) {
      return Error{ErrorCode::kOnnxUnsupportedType,
                   "the model has sparse weights; export it with dense ones"};
    }
    for (const onnx::ValueInfoProto& input : proto_.input()) {
      if (!input_names_.insert(input.name()).second) {
        return malformed_onnx("two inputs have the name " + in_quotes(input.name()));
      }
    }
    for (int i = 0; i < proto_.node_size(); ++i) {
      for (const std::string& name : proto_.node(i).output()) {
        if (name.empty()) continue;
        if (initializers_.contains(name) || input_names_.contains(name) ||
            !producers_.emplace(name, i).second) {
          return malformed_onnx(node_label(proto_.node(i), i) + ": its output " + in_quotes(name) +
                                " has the name of another tensor");
        }
      }
    }
    return {};
  }

  // One pass over the nodes, from the beginning, with the channels where they are known or else thought to
  // be.
  Result<Graph> lower(const onnx::ValueInfoProto& input) {
    ImportState fresh;
    fresh.opset = state_.opset;
    fresh.input_dims = state_.input_dims;
    fresh.batch = fresh.input_dims[0];
    fresh.channel_axis = state_.channel_axis;
    state_ = std::move(fresh);
    ActivationOperand image{Graph::kInput, state_.input_dims};
    if (state_.channel_axis == ChannelAxis::kLast) image = channels_last_view(Graph::kInput, image.dims);
    const Dims dims = state_.channel_axis == ChannelAxis::kLast ? channels_first_dims(state_.input_dims)
                                                                : state_.input_dims;
    state_.graph = make_graph(*image_shape(dims, state_.batch), printable(input.name()));
    state_.operands[input.name()] = Operand{nullptr, std::move(image)};
    for (int index : order_) {
      if (needed_[static_cast<std::size_t>(index)]) TACIT_CHECK(lower_node(index));
    }
    return finish();
  }

  // No operator told where the channels are, but the axes are those of a square grey or coloured image with
  // channels last, which has no channels first that anybody would call an image.
  bool looks_channels_last() const {
    constexpr std::int64_t kLeastSide = 16;
    const Dims& dims = state_.input_dims;
    return dims.size() == 4 && (dims[3] == 1 || dims[3] == 3) && dims[1] == dims[2] && dims[1] >= kLeastSide;
  }

  Result<const onnx::ValueInfoProto*> find_input() {
    // Before version 4 of the format the weights are listed as inputs as well.
    std::vector<const onnx::ValueInfoProto*> inputs;
    std::string names;
    for (const onnx::ValueInfoProto& input : proto_.input()) {
      if (initializers_.contains(input.name())) continue;
      if (inputs.size() < 8) names += (names.empty() ? "" : ", ") + in_quotes(input.name());
      inputs.push_back(&input);
    }
    if (inputs.empty())
      return Error{ErrorCode::kOnnxInput, "the model has no input; it must have one, an image"};
    if (inputs.size() > 1) {
      return Error{ErrorCode::kOnnxMultipleInputs,
                   "the model has " + std::to_string(inputs.size()) + " inputs (" + names +
                       (inputs.size() > 8 ? ", ..." : "") + "); export it with one image as its only input"};
    }
    return inputs.front();
  }

  // The input's dimensions, the batch as 1 where it is dynamic.
  static Result<Dims> read_dims(const onnx::ValueInfoProto& input) {
    std::string name = "the input " + in_quotes(input.name());
    if (!input.type().has_tensor_type()) return Error{ErrorCode::kOnnxInput, name + " is not a tensor"};
    const onnx::TypeProto::Tensor& type = input.type().tensor_type();
    if (type.elem_type() != onnx::TensorProto::FLOAT && type.elem_type() != onnx::TensorProto::DOUBLE) {
      return Error{ErrorCode::kOnnxUnsupportedType, name + " holds " + type_name(type.elem_type()) +
                                                        "; export the model with a float32 input"};
    }
    if (!type.has_shape()) {
      return Error{ErrorCode::kOnnxDynamicShape, name + " has no shape; export it with a fixed one"};
    }
    const onnx::TensorShapeProto& proto = type.shape();
    std::string shape;
    for (int i = 0; i < std::min(proto.dim_size(), 8); ++i)
      shape += (i > 0 ? ", " : "") + dimension_text(proto.dim(i));
    name += " of shape [" + printable(shape) + "]";
    if (proto.dim_size() < 2 || proto.dim_size() > 4) {
      return Error{
          ErrorCode::kOnnxInput,
          name +
              " is not an image; the shape must be [N, channels, height, width], [N, channels, width] or "
              "[N, features]"};
    }
    static constexpr const char* kAxes[] = {"batch", "channels", "height", "width"};
    Dims dims;
    for (int i = 0; i < proto.dim_size(); ++i) {
      // Some exporters write 0 or -1 where a dimension is dynamic.
      bool fixed = proto.dim(i).has_dim_value() && proto.dim(i).dim_value() > 0;
      if (!fixed && i > 0) {
        const char* axis = proto.dim_size() == 4 || i == 1 ? kAxes[i] : "width";
        return Error{
            ErrorCode::kOnnxDynamicShape,
            name + " has no fixed " + axis + "; only the batch may be dynamic, export with a fixed size"};
      }
      dims.push_back(fixed ? proto.dim(i).dim_value() : 1);
    }
    auto elements = element_count(std::span(dims).subspan(1));
    if (!elements.ok() || *elements > kMaxElements || dims[0] > kMaxBatch) {
      return Error{ErrorCode::kOnnxTooLarge, name + " is larger than the " + std::to_string(kMaxElements) +
                                                 " elements or the batch of " + std::to_string(kMaxBatch) +
                                                 " allowed"};
    }
    return dims;
  }

  // Kahn's algorithm, the earliest node that is ready first, so that a sorted file keeps its order.
  Result<std::vector<int>> sort_nodes() {
    auto count = static_cast<std::size_t>(proto_.node_size());
    std::vector<std::vector<int>> readers(count);
    std::vector<int> waiting(count, 0);
    for (int i = 0; i < proto_.node_size(); ++i) {
      for (const std::string& name : proto_.node(i).input()) {
        if (name.empty() || initializers_.contains(name) || input_names_.contains(name)) continue;
        auto producer = producers_.find(name);
        if (producer == producers_.end()) {
          return malformed_onnx(node_label(proto_.node(i), i) + ": its input " + in_quotes(name) +
                                " does not exist");
        }
        readers[static_cast<std::size_t>(producer->second)].push_back(i);
        ++waiting[static_cast<std::size_t>(i)];
      }
    }
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (std::size_t i = 0; i < count; ++i) {
      if (waiting[i] == 0) ready.push(static_cast<int>(i));
    }
    std::vector<int> order;
    while (!ready.empty()) {
      int node = ready.top();
      ready.pop();
      order.push_back(node);
      for (int reader : readers[static_cast<std::size_t>(node)]) {
        if (--waiting[static_cast<std::size_t>(reader)] == 0) ready.push(reader);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (waiting[i] != 0) {
        int index = static_cast<int>(i);
        return malformed_onnx(node_label(proto_.node(index), index) +
                              ": its input depends on its own output");
      }
    }
    return order;
  }

  // The nodes that the output depends on; what else the file holds is not looked at.
  void mark_needed() {
    needed_.assign(order_.size(), false);
    needed_names_.insert(output_);
    for (auto index = order_.rbegin(); index != order_.rend(); ++index) {
      const onnx::NodeProto& node = proto_.node(*index);
      for (const std::string& name : node.output()) {
        if (name.empty() || !needed_names_.contains(name)) continue;
        needed_[static_cast<std::size_t>(*index)] = true;
        needed_names_.insert(node.input().begin(), node.input().end());
        break;
      }
    }
  }

  Status lower_node(int index) {
    const onnx::NodeProto& node = proto_.node(index);
    std::string what = node_label(node, index);
    bool standard = node.domain().empty() || node.domain() == "ai.onnx";
    const Operator* row = standard ? find_operator(node.op_type()) : nullptr;
    if (row == nullptr || row->lower == nullptr) {
      const std::string advice = row != nullptr ? std::string(row->note) : "replace it by supported ones";
      std::string domain = standard ? "" : " of the domain " + in_quotes(node.domain());
      return Error{ErrorCode::kOnnxUnsupportedOperator,
                   what + ": the operator " + printable(node.op_type()) + domain + " is not supported; " +
                       advice +
                       ", or end the network before it (--layers :NODE, "
                       "the name of the last one to encrypt) and run the "
                       "rest on the decrypted features"};
    }
    for (int i = 1; i < node.output_size(); ++i) {
      if (node.output(i).empty() || !needed_names_.contains(node.output(i))) continue;
      return Error{
          ErrorCode::kOnnxUnsupportedOperator,
          what + ": its output " + in_quotes(node.output(i)) +
              " is used, but only its first output is supported; export the network without what reads it"};
    }
    for (const std::string& name : node.input()) { TACIT_CHECK(decode_initializer(name)); }
    Lowering lowering(state_, node, index, *row);
    TACIT_CHECK(lowering.check());
    TACIT_CHECK(row->lower(lowering));
    bool is_output = node.output(0) == output_;
    return is_output && state_.operands.at(node.output(0)).constant == nullptr ? lowering.settle_output()
                                                                               : Status();
  }

  // Weights are decoded when the first node reads them.
  Status decode_initializer(const std::string& name) {
    auto tensor = initializers_.find(name);
    if (name.empty() || tensor == initializers_.end() || state_.operands.contains(name)) return {};
    TACIT_TRY(Constant constant, decode_tensor(*tensor->second, "the tensor " + in_quotes(name)));
    state_.operands[name] = Operand{std::make_shared<const Constant>(std::move(constant)), {}};
    return {};
  }

  // Of the node at which the graph is to end, or else the only one that the file has.
  Result<std::string> find_output() const {
    if (!last_.empty()) {
      for (const onnx::NodeProto& node : proto_.node())
        if (node.name() == last_ && node.output_size() > 0) return node.output(0);
      return Error{ErrorCode::kOnnxOutput, "the model has no node " + in_quotes(last_)};
    }
    if (proto_.output_size() == 1) return proto_.output(0).name();
    std::string names;
    for (int i = 0; i < std::min(proto_.output_size(), 8); ++i) {
      names += (i > 0 ? ", " : "") + in_quotes(proto_.output(i).name());
    }
    return Error{ErrorCode::kOnnxOutput, "the model has " + std::to_string(proto_.output_size()) +
                                             " outputs (" + names + "); export it with one"};
  }

  Result<Graph> finish() {
    const std::string& name = output_;
    auto found = state_.operands.find(name);
    if (found == state_.operands.end() && !initializers_.contains(name)) {
      return malformed_onnx("the output " + in_quotes(name) + " does not exist");
    }
    if (found == state_.operands.end() || found->second.constant != nullptr) {
      return Error{ErrorCode::kOnnxOutput, "the output " + in_quotes(name) + " does not depend on the input"};
    }
    Graph graph = std::move(state_.graph);
    graph.output = found->second.activation.value;
    graph.output_function = found->second.activation.function;
    graph.output_name = printable(name);
    if (Status valid = validate(graph); !valid.ok())
      return Error{ErrorCode::kInternal, valid.error().message};
    return graph;
  }

  const onnx::ModelProto& model_;
  const onnx::GraphProto& proto_;
  const std::string last_;
  std::string output_;  // the tensor that becomes the graph's
  ImportState state_;
  std::unordered_map<std::string, const onnx::TensorProto*> initializers_;
  std::unordered_set<std::string> input_names_;
  std::unordered_map<std::string, int> producers_;
  std::vector<int> order_;  // of the nodes, each after those that it reads
  std::vector<bool> needed_;
  std::unordered_set<std::string> needed_names_;
};

}  // namespace

Result<Graph> import_onnx(ByteView bytes, std::string_view last) {
  try {
    onnx::ModelProto model;
    TACIT_CHECK(parse(bytes, model));
    return Importer(model, last).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kOutOfMemory, "there is not enough memory to read this model"};
  }
}

Result<Graph> load_onnx(const std::filesystem::path& path, std::string_view last) {
  TACIT_TRY(Bytes bytes, read_file(path, kMaxModelBytes));
  Result<Graph> graph = import_onnx(bytes, last);
  if (!graph.ok()) return std::move(graph).error().within(printable(path.string(), 1000));
  return graph;
}

}  // namespace tacit::graph
