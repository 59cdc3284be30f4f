// SPDX-License-Identifier: Apache-2.0
#include "compiler/lower.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "graph/text.h"

namespace tacit::compiler {

namespace {

// A value of the graph while its layer is being gathered: bias + pieces applied to the network's value
// `base`. Without pieces it is that value.
struct Gathered {
  ValueIndex base = 0;
  std::vector<plan::LinearPiece> pieces;
  std::vector<double> bias;  // empty: zero
  plan::Shape shape;         // of the last piece's result; flattening does not change it
  bool client = false;       // who computes the pieces
};

class Lowering {
 public:
  Lowering(const graph::Graph& graph, const Approximations& approximations, const ClientNodes& client)
      : graph_(graph),
        approximations_(approximations),
        client_(client),
        gathered_(graph.values.size()),
        uses_(graph::count_uses(graph)) {}

  Result<Network> run() {
    const plan::Shape shape = to_plan(graph_.input_shape());
    network_.values.push_back({graph_.input_name, shape, graph::Graph::kInput});
    gathered_[graph::Graph::kInput] = {0, {}, {}, shape};
    for (index_ = 0; index_ < graph_.nodes.size(); ++index_) {
      node_ = &graph_.nodes[index_];
      // Pieces of the other side are a layer of their own.
      const bool reshapes = std::holds_alternative<graph::Reshape>(node_->operation);
      for (graph::ValueId id : node_->inputs)
        if (!reshapes && gathered_[id].client != by_client()) {
          TACIT_CHECK(materialise(id));
          gathered_[id].client = by_client();
        }
      Status status = std::visit([&](const auto& operation) { return lower(operation); }, node_->operation);
      if (!status.ok()) return std::move(status).error().within(where());
      if (!reshapes) gathered_[node_->output].client = by_client();
      // What several layers read is computed once.
      if (uses_[node_->output] > 1) TACIT_CHECK(materialise(node_->output));
    }
    TACIT_TRY(network_.output, materialise(graph_.output));
    return std::move(network_);
  }

 private:
  std::string where() const {
    return "node " + graph::in_quotes(node_->name) + " (" + std::string(graph::name_of(node_->operation)) +
           ")";
  }
  const Gathered& input() const { return gathered_[node_->inputs[0]]; }
  plan::Shape logical(graph::ValueId value) const { return to_plan(graph_.shape_of(value)); }

  // --- linear operations -----------------------------------------------------------------------------------
  Status lower(const graph::Conv& conv) {
    TACIT_CHECK(append_spatial(to_piece(conv)));
    const std::size_t pixels = static_cast<std::size_t>(graph_.shape_of(node_->output).pixels());
    add_bias([&](std::size_t i) { return conv.bias[i / pixels]; });
    return {};
  }
  Status lower(const graph::AveragePool& pool) { return append_spatial(to_piece(pool)); }
  Status lower(const graph::Pad& pad) { return append_spatial(to_piece(pad, logical(node_->inputs[0]))); }
  Status lower(const graph::Dense& dense) {
    plan::Matrix piece;
    piece.outputs = static_cast<int>(dense.out);
    piece.inputs = static_cast<int>(dense.in);
    piece.weights = dense.weights;
    TACIT_CHECK(append(input(), std::move(piece)));
    add_bias([&](std::size_t i) { return dense.bias[i]; });
    return {};
  }
  Status lower(const graph::ChannelAffine& affine) {
    const std::size_t pixels = static_cast<std::size_t>(graph_.shape_of(node_->output).pixels());
    return affine_by([&](std::size_t i) { return affine.scale[i / pixels]; },
                     [&](std::size_t i) { return affine.shift[i / pixels]; });
  }
  Status lower(const graph::ElementAffine& affine) {
    return affine_by([&](std::size_t i) { return affine.scale[i]; },
                     [&](std::size_t i) { return affine.shift[i]; });
  }
  Status lower(const graph::Permute& permute) {
    const graph::Shape& in = graph_.shape_of(node_->inputs[0]);
    if (auto channels = permuted_channels(permute, in)) return append_spatial(std::move(*channels));
    TACIT_TRY(plan::Matrix piece, permutation_matrix(permute));
    return append(input(), std::move(piece));
  }
  // Each input is put in its place among zeros, and the results are added up.
  Status lower(const graph::Concat&) {
    const graph::Shape& shape = graph_.shape_of(node_->output);
    int first = 0;
    std::optional<ValueIndex> sum;
    for (graph::ValueId input : node_->inputs) {
      const plan::Shape in = logical(input);
      TACIT_TRY(plan::Convolution piece, placement(in.channels, first, static_cast<int>(shape.channels)));
      TACIT_TRY(Gathered placed, after_spatial(input, std::move(piece)));
      TACIT_TRY(const ValueIndex part, make_layer(placed, node_->output));
      if (sum && !(network_.values[*sum].shape == placed.shape))
        return Error{ErrorCode::kCompileUnsupported,
                     "joins an image with one that was flattened and shaped again; leave the reshape out"};
      first += in.channels;
      if (sum)
        part_sum(*sum, part, placed.shape);
      else
        sum = part;
    }
    gathered_[node_->output] = {*sum, {}, {}, network_.values[*sum].shape};
    return {};
  }
  void part_sum(ValueIndex& sum, ValueIndex part, const plan::Shape& shape) {
    LayerOperation operation = by_client() ? LayerOperation(ClientLayer{plan::ClearSum{}}) : AddLayer{};
    sum = add_layer(std::move(operation), {sum, part}, shape, node_->output);
  }
  Status lower(const graph::Reshape&) {
    gathered_[node_->output] = input();
    return {};
  }

  bool by_client() const { return index_ < client_.size() && client_[index_]; }

  // --- the others ------------------------------------------------------------------------------------------
  Status lower(const graph::Square&) {
    if (by_client()) return client_layer(square_function(), input_shape());
    return element_wise(SquareLayer{});
  }
  Status lower(const Activation& activation) {
    if (by_client()) return client_layer(activation, input_shape());
    if (!approximations_[index_])
      return Error{ErrorCode::kCompileInternal, "has no polynomial to be replaced by"};
    if (const auto* gate = std::get_if<SignGate>(&*approximations_[index_])) return gated(*gate);
    return polynomial(*std::get_if<ChebyshevSeries>(&*approximations_[index_]));
  }
  Status polynomial(const ChebyshevSeries& series) {
    const std::vector<double>& c = series.coefficients;
    if (series.degree() < 2) {
      const double slope = series.degree() == 0 ? 0 : c[1] / series.range;
      return affine_by([&](std::size_t) { return static_cast<float>(slope); },
                       [&](std::size_t) { return c[0]; });
    }
    if (series.degree() == 2) {
      // c0 + c1 t + c2 (2 t^2 - 1) with t = x / range is factor (x + shift)^2 + constant.
      const double factor = 2 * c[2] / (series.range * series.range);
      const double shift = c[1] * series.range / (4 * c[2]);
      if (std::abs(shift) <= kMaxVertex * series.range)
        return element_wise(SquareLayer{factor, shift, c[0] - c[2] - factor * shift * shift});
    }
    return element_wise(PolynomialLayer{series.range, c});
  }
  // x (even + odd p_k(.. p_1(x))): the stages one after the other, the last one with the constants, and a product.
  Status gated(const SignGate& gate) {
    TACIT_TRY(const ValueIndex x, materialise(node_->inputs[0]));
    const plan::Shape shape = network_.values[x].shape;
    ValueIndex value = x;
    double range = gate.range;
    const std::vector<ChebyshevSeries>& stages = gate.sign.stages;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      std::vector<double> coefficients = stages[i].coefficients;
      double largest = i + 1 < stages.size() ? stages[i + 1].range : 1 + gate.sign.error;
      if (i + 1 == stages.size()) {
        for (double& c : coefficients) c *= gate.form.odd;
        coefficients[0] += gate.form.even;
        largest = std::abs(gate.form.even) + std::abs(gate.form.odd) * largest;
      }
      value = add_layer(PolynomialLayer{range, std::move(coefficients)}, {value}, shape, node_->output);
      network_.values[value].largest = largest;
      range = largest;
    }
    emit(ProductLayer{}, {value, x}, shape);
    return {};
  }
  Status lower(const graph::Add&) {
    if (node_->inputs[0] == node_->inputs[1])
      return affine_by([](std::size_t) { return 2.0f; }, [](std::size_t) { return 0.0f; });
    TACIT_TRY(const ValueIndex left, materialise(node_->inputs[0]));
    TACIT_TRY(const ValueIndex right, materialise(node_->inputs[1]));
    if (!(network_.values[left].shape == network_.values[right].shape))
      return Error{ErrorCode::kCompileUnsupported,
                   "adds values of shapes " + to_string(network_.values[left].shape) + " and " +
                       to_string(network_.values[right].shape) +
                       " before flattening; flatten both sides or none before the sum"};
    if (left == right) return affine_by([](std::size_t) { return 2.0f; }, [](std::size_t) { return 0.0f; });
    emit(by_client() ? LayerOperation(ClientLayer{plan::ClearSum{}}) : LayerOperation(AddLayer{}),
         {left, right}, network_.values[left].shape);
    return {};
  }
  Status lower(const graph::Multiply&) {
    if (node_->inputs[0] == node_->inputs[1]) return lower(graph::Square{});
    if (by_client())
      return Error{ErrorCode::kCompileUnsupported,
                   "multiplies two different values, which clients do not; end the encrypted layers after "
                   "it, or leave out "
                   "what comes after them (--layers without --client-rest)"};
    // The first operand's range and scale must be free (ProductLayer): one that nothing else reads and that a layer has just
    // made or is about to make, or else one that an identity makes of it.
    std::size_t first = 0;
    while (first < 2 && !has_free_range(node_->inputs[first])) ++first;
    if (first == 2) {
      first = 0;
      Gathered& operand = gathered_[node_->inputs[0]];
      operand.pieces.emplace_back(plan::Scaling{{1.0f}});
    }
    TACIT_TRY(const ValueIndex left, materialise(node_->inputs[first]));
    TACIT_TRY(const ValueIndex right, materialise(node_->inputs[1 - first]));
    if (!(network_.values[left].shape == network_.values[right].shape))
      return Error{ErrorCode::kCompileUnsupported,
                   "multiplies values of shapes " + to_string(network_.values[left].shape) + " and " +
                       to_string(network_.values[right].shape) +
                       " before flattening; flatten both sides or none before the product"};
    emit(ProductLayer{}, {left, right}, network_.values[left].shape);
    return {};
  }
  bool has_free_range(graph::ValueId value) const {
    if (uses_[value] > 1) return false;
    const Gathered& operand = gathered_[value];
    if (!operand.pieces.empty() || !operand.bias.empty()) return true;
    const auto maker = std::ranges::find(network_.layers, operand.base, &Layer::output);
    return maker != network_.layers.end() && std::holds_alternative<PolynomialLayer>(maker->operation);
  }

  Status lower(const graph::MaxPool& pool) {
    if (by_client()) {
      if (!(logical(node_->inputs[0]) == input_shape()))
        return Error{ErrorCode::kCompileUnsupported, "reads a reshaped value; leave the reshape out"};
      const plan::MaxPooling piece = to_piece(pool);
      TACIT_TRY(const plan::Shape shape, plan::shape_after(piece, input_shape()));
      return client_layer(piece, shape);
    }
    return Error{
        ErrorCode::kCompileUnsupported,
        "takes maxima, which no layer of a plan does; retrain with average pooling in its place, let the "
        "client take them (--refresh), or end the encrypted layers before it (--layers)"};
  }

  // --- building blocks -------------------------------------------------------------------------------------
  // The node's result is `piece` applied to `source`.
  Status append(Gathered source, plan::LinearPiece piece) {
    TACIT_TRY(gathered_[node_->output], after(std::move(source), std::move(piece)));
    return {};
  }
  Status append_spatial(plan::LinearPiece piece) {
    TACIT_TRY(gathered_[node_->output], after_spatial(node_->inputs[0], std::move(piece)));
    return {};
  }

  static Error too_wide(const std::string& why) {
    return Error{ErrorCode::kCompileTooWide,
                 "cannot be a layer of a plan: " + why + "; use fewer channels or smaller images there"};
  }
  // The graph is valid, so that only sizes beyond those of a plan can be wrong.
  static Result<plan::Shape> shape_after(const plan::LinearPiece& piece, const plan::Shape& in) {
    Result<plan::Shape> shape = plan::LinearMap::shape_after(piece, in);
    if (!shape.ok()) return too_wide(shape.error().message);
    return shape;
  }

  // `piece` applied to `source`, which gives as many elements as the node's result has.
  Result<Gathered> after(Gathered source, plan::LinearPiece piece) const {
    plan::LinearMap map;
    map.in = source.shape;
    TACIT_TRY(map.out, shape_after(piece, source.shape));
    map.pieces.push_back(std::move(piece));
    source.shape = map.out;
    if (!source.bias.empty()) source.bias = multiply(map, source.bias);
    source.pieces.push_back(std::move(map.pieces.front()));
    if (source.shape.elements() != static_cast<std::size_t>(graph_.shape_of(node_->output).size()))
      return Error{ErrorCode::kCompileInternal,
                   "has " + std::to_string(source.shape.elements()) + " elements as a layer, " +
                       graph::to_string(graph_.shape_of(node_->output)) + " in the graph"};
    return source;
  }

  // The same of a piece that depends on rows and columns. Where the value stands in the slots in another
  // shape, its matrix does it.
  Result<Gathered> after_spatial(graph::ValueId value, plan::LinearPiece piece) const {
    const plan::Shape in = logical(value);
    const Gathered& source = gathered_[value];
    if (in == source.shape) return after(source, std::move(piece));
    plan::LinearMap map;
    map.in = in;
    TACIT_TRY(map.out, shape_after(piece, in));
    const std::size_t inputs = in.elements(), outputs = map.out.elements();
    if (inputs > kMaxMatrix / outputs)
      return Error{ErrorCode::kCompileUnsupported, "reads a reshaped value of " + std::to_string(inputs) +
                                                       " elements, for which it would become a " +
                                                       "matrix of more than " + std::to_string(kMaxMatrix) +
                                                       " weights; leave the reshape out"};
    map.pieces.push_back(std::move(piece));
    plan::Matrix matrix;
    matrix.outputs = static_cast<int>(outputs);
    matrix.inputs = static_cast<int>(inputs);
    matrix.weights.assign(inputs * outputs, 0.0f);
    const std::vector<plan::SparseRow> rows = map.rows();
    for (std::size_t o = 0; o < outputs; ++o)
      for (const plan::SparseEntry& entry : rows[o])
        matrix.weights[o * inputs + entry.column] = static_cast<float>(entry.value);
    return after(source, std::move(matrix));
  }

  template <class Scale, class Shift>
  Status affine_by(const Scale& scale, const Shift& shift) {
    const std::size_t elements = input().shape.elements();
    plan::Scaling piece;
    for (std::size_t i = 0; i < elements; ++i) piece.factor.push_back(scale(i));
    // One factor, or one for each channel, where that says the same.
    const std::size_t channels = static_cast<std::size_t>(input().shape.channels),
                      pixels = elements / channels;
    auto constant_over = [&](std::size_t run) {
      for (std::size_t i = 0; i < elements; ++i)
        if (piece.factor[i] != piece.factor[i / run * run]) return false;
      return true;
    };
    if (constant_over(elements))
      piece.factor.resize(1);
    else if (pixels > 1 && constant_over(pixels)) {
      for (std::size_t c = 0; c < channels; ++c) piece.factor[c] = piece.factor[c * pixels];
      piece.factor.resize(channels);
    }
    if (piece.factor.size() == 1 && piece.factor[0] == 1.0f)
      gathered_[node_->output] = input();
    else
      TACIT_CHECK(append(input(), std::move(piece)));
    add_bias(shift);
    return {};
  }

  // Adds bias(i) to element i of the node's result.
  template <class Bias>
  void add_bias(const Bias& bias) {
    Gathered& result = gathered_[node_->output];
    std::vector<double> sum = result.bias;
    sum.resize(result.shape.elements(), 0);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(bias(i));
    if (std::any_of(sum.begin(), sum.end(), [](double x) { return x != 0; }))
      result.bias = std::move(sum);
    else
      result.bias.clear();
  }

  const plan::Shape& input_shape() const { return input().shape; }

  // x x, as a function.
  static Activation square_function() {
    FunctionStep product;
    product.kind = FunctionStep::Kind::kProduct;
    return {ActivationKind::kFunction, 0, 0, {product}};
  }

  Status client_layer(plan::ClientFunction function, const plan::Shape& shape) {
    TACIT_TRY(const ValueIndex in, materialise(node_->inputs[0]));
    emit(ClientLayer{std::move(function)}, {in}, shape);
    return {};
  }

  Status element_wise(LayerOperation operation) {
    TACIT_TRY(const ValueIndex in, materialise(node_->inputs[0]));
    emit(std::move(operation), {in}, network_.values[in].shape);
    return {};
  }

  // The node's result is a layer of its own.
  void emit(LayerOperation operation, std::vector<ValueIndex> inputs, plan::Shape shape) {
    const ValueIndex made = add_layer(std::move(operation), std::move(inputs), shape, node_->output);
    gathered_[node_->output] = {made, {}, {}, shape};
  }

  ValueIndex add_layer(LayerOperation operation, std::vector<ValueIndex> inputs, plan::Shape shape,
                       graph::ValueId source) {
    const std::string name = node_name(source);
    const ValueIndex made = network_.values.size();
    network_.values.push_back({name, shape, source});
    network_.layers.push_back({std::move(operation), name, std::move(inputs), made});
    return made;
  }

  std::string node_name(graph::ValueId value) const {
    for (const graph::Node& node : graph_.nodes)
      if (node.output == value) return node.name;
    return graph_.input_name;
  }

  // The value as one of the network: what has been gathered for it becomes a linear layer.
  Result<ValueIndex> materialise(graph::ValueId value) {
    Gathered& gathered = gathered_[value];
    if (gathered.pieces.empty() && gathered.bias.empty()) return gathered.base;
    TACIT_TRY(const ValueIndex made, make_layer(gathered, value));
    gathered = {made, {}, {}, network_.values[made].shape, gathered.client};
    return made;
  }

  // A linear layer of what has been gathered, whose pieces it takes.
  Result<ValueIndex> make_layer(Gathered& gathered, graph::ValueId source) {
    LinearLayer layer;
    layer.map.in = network_.values[gathered.base].shape;
    layer.map.out = gathered.shape;
    layer.map.pieces = std::move(gathered.pieces);
    layer.map.bias = std::move(gathered.bias);
    if (layer.map.pieces.empty()) layer.map.pieces.emplace_back(plan::Scaling{{1.0f}});
    if (Status valid = layer.map.validate(); !valid.ok())
      return too_wide(valid.error().message).within("node " + graph::in_quotes(node_name(source)));
    LayerOperation operation = std::move(layer);
    if (gathered.client)
      operation = ClientLayer{plan::ClearLinear{std::move(std::get_if<LinearLayer>(&operation)->map)}};
    return add_layer(std::move(operation), {gathered.base}, gathered.shape, source);
  }

  const graph::Graph& graph_;
  const Approximations& approximations_;
  const ClientNodes& client_;
  std::vector<Gathered> gathered_;  // by graph value
  std::vector<int> uses_;
  Network network_;
  std::size_t index_ = 0;
  const graph::Node* node_ = nullptr;
};

}  // namespace

Result<Network> lower(const graph::Graph& graph, const Approximations& approximations,
                      const ClientNodes& client) {
  return Lowering(graph, approximations, client).run();
}

}  // namespace tacit::compiler
