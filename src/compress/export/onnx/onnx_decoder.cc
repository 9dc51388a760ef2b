#include "compress/export/onnx/onnx_decoder.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "compress/export/onnx/onnx_attention.h"
#include "compress/export/onnx/onnx_graph.h"
#include "compress/export/onnx/onnx_norm.h"
#include "compress/export/onnx/onnx_weights.h"
#include "models/structure.h"

namespace scant {
namespace {

/// The graph of the stages. The stream is tokens x features, tokens = batch x sequence.
class Decoder {
 public:
  Decoder(const ExportJob& job, OnnxGraph& graph, OnnxWeights& weights)
      : job_(job), graph_(graph), weights_(weights), attention_(graph, weights) {}

  void build() {
    attention_.add_inputs();
    for (const StageSpec& stage : job_.model.structure().stages) {
      std::visit([&](const auto& spec) { add(spec); }, stage);
    }
    const LinearInfo head = job_.model.head().linear();
    const std::string logits = weights_.linear(head, stream_);
    graph_.set_scope("head");
    graph_.name_value(attention_.by_sequence(logits, {head.outputs}), "logits");
    graph_.add_output("logits", OnnxType::kFloat, {"batch_size", "sequence_length", head.outputs});
    attention_.add_outputs();
  }

 private:
  void add(const EmbeddingSpec& spec) {
    graph_.set_scope("embed");
    const std::string line = graph_.integers({-1});
    stream_ = weights_.rows(spec.tokens, graph_.add("Reshape", {"input_ids", line}));
    if (spec.projection) stream_ = weights_.linear(*spec.projection, stream_);
    if (spec.positions.empty()) return;
    graph_.set_scope("embed");
    std::string positions = graph_.add("Reshape", {"position_ids", line});
    if (spec.position_offset != 0) {
      positions = graph_.add("Add", {positions, graph_.integer(spec.position_offset)});
    }
    const std::string rows = weights_.rows(spec.positions, positions);
    graph_.set_scope("embed");
    stream_ = graph_.add("Add", {stream_, rows});
  }

  void add(const DecoderBlockSpec& spec) {
    const std::string name = fmt::format("block.{}", spec.index);
    const auto half = [&](const NormSpec& norm, const std::string& part, const auto& inner) {
      const std::string scope = name + "." + part;
      if (spec.norm_first) {
        const std::string added =
            inner(add_onnx_norm(graph_, weights_, norm, stream_, job_.model.facts().hidden, scope));
        graph_.set_scope(scope);
        stream_ = graph_.add("Add", {stream_, added});
      } else {
        const std::string added = inner(stream_);
        graph_.set_scope(scope);
        stream_ = add_onnx_norm(graph_, weights_, norm, graph_.add("Add", {stream_, added}),
                                job_.model.facts().hidden, scope);
      }
    };
    half(spec.attention_norm, "attention",
         [&](const std::string& x) { return attention_.add(spec.attention, spec.index, x); });
    half(spec.feed_forward_norm, "feed_forward",
         [&](const std::string& x) { return feed_forward(spec.feed_forward, x, name); });
  }

  void add(const FinalNormSpec& spec) {
    if (spec.norm) {
      stream_ = add_onnx_norm(graph_, weights_, *spec.norm, stream_, job_.model.facts().hidden,
                              "final_norm");
    }
    if (spec.projection) stream_ = weights_.linear(*spec.projection, stream_);
  }

  std::string feed_forward(const FeedForwardSpec& spec, const std::string& x,
                           const std::string& name) {
    const std::string gate = spec.gate ? weights_.linear(*spec.gate, x) : "";
    const std::string up = weights_.linear(spec.up, x);
    graph_.set_scope(name + ".feed_forward");
    const std::string active = activation(spec.activation, spec.gate ? gate : up);
    return weights_.linear(spec.down, spec.gate ? graph_.add("Mul", {active, up}) : active);
  }

  std::string activation(Activation kind, const std::string& x) {
    switch (kind) {
      case Activation::kSilu:
        return graph_.add("Mul", {x, graph_.add("Sigmoid", {x})});
      case Activation::kGelu:
        return graph_.add("Gelu", {x});
      case Activation::kGeluTanh:
        return graph_.add("Gelu", {x}, {{"approximate", std::string("tanh")}});
      case Activation::kRelu:
        break;
    }
    return graph_.add("Relu", {x});
  }

  const ExportJob& job_;
  OnnxGraph& graph_;
  OnnxWeights& weights_;
  OnnxAttention attention_;
  std::string stream_;
};

}  // namespace

ExportResult write_onnx_decoder(const ExportJob& job, const AtomicFolder& folder,
                                Context& context) {
  OnnxGraph graph(folder);
  OnnxWeights weights(job, graph, context);
  Decoder(job, graph, weights).build();
  const int64_t bytes = graph.finish();
  ExportResult result = weights.result();
  result.written_bytes = bytes;
  return result;
}

}  // namespace scant
