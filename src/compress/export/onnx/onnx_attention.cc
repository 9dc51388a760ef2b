#include "compress/export/onnx/onnx_attention.h"

#include <fmt/format.h>

#include <limits>

#include "compress/export/onnx/onnx_norm.h"

namespace scant {
namespace {

constexpr const char* kBatch = "batch_size";
constexpr const char* kSequence = "sequence_length";
constexpr const char* kPast = "past_sequence_length";
constexpr const char* kKeys = "past_sequence_length + sequence_length";

}  // namespace

void OnnxAttention::add_inputs() {
  graph_.add_input("input_ids", OnnxType::kInt64, {kBatch, kSequence});
  graph_.add_input("attention_mask", OnnxType::kInt64, {kBatch, kKeys});
  graph_.add_input("position_ids", OnnxType::kInt64, {kBatch, kSequence});
  graph_.set_scope("sizes");
  batch_and_sequence_ = graph_.add("Shape", {"input_ids"});
  sequence_ = graph_.add("Shape", {"input_ids"}, {{"start", int64_t{1}}});
  keys_ = graph_.add("Shape", {"attention_mask"}, {{"start", int64_t{1}}});
}

void OnnxAttention::add_outputs() {
  for (const auto& [name, shape] : outputs_) graph_.add_output(name, OnnxType::kFloat, shape);
}

std::string OnnxAttention::by_sequence(const std::string& x, const std::vector<int64_t>& rest) {
  const std::string shape =
      graph_.add("Concat", {batch_and_sequence_, graph_.integers(rest)}, {{"axis", int64_t{0}}});
  return graph_.add("Reshape", {x, shape});
}

std::string OnnxAttention::add(const AttentionSpec& spec, int64_t index, const std::string& x) {
  const std::string scope = fmt::format("block.{}.attention", index);
  const AttentionShape& shape = spec.shape;
  const Heads heads = projected(spec, x, scope);
  const std::string k = with_past(index, "key", shape, heads.k);
  const std::string v = with_past(index, "value", shape, heads.v);
  const std::string mixed = attended(shape, heads.q, k, v, scope);
  const std::string tokens =
      graph_.add("Transpose", {mixed}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return weights_.linear(
      spec.output,
      graph_.add("Reshape", {tokens, graph_.integers({-1, shape.heads * shape.head_dim})}));
}

OnnxAttention::Heads OnnxAttention::projected(const AttentionSpec& spec, const std::string& x,
                                              const std::string& scope) {
  const AttentionShape& shape = spec.shape;
  OnnxGraph::Names parts;
  for (const LinearInfo& layer : spec.projections) parts.push_back(weights_.linear(layer, x));
  graph_.set_scope(scope);
  if (parts.size() == 1) {
    const int64_t kv = shape.kv_heads * shape.head_dim;
    parts = graph_.add_split("Split", 3,
                             {parts[0], graph_.integers({shape.heads * shape.head_dim, kv, kv})},
                             {{"axis", int64_t{1}}});
  }
  Heads heads;
  heads.q = placed(spec, spec.query_norm, parts[0], shape.heads, scope);
  heads.k = placed(spec, spec.key_norm, parts[1], shape.kv_heads, scope);
  heads.v = graph_.add("Transpose", {by_sequence(parts[2], {shape.kv_heads, shape.head_dim})},
                       {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return heads;
}

std::string OnnxAttention::placed(const AttentionSpec& spec, const std::optional<NormSpec>& norm,
                                  const std::string& x, int64_t heads, const std::string& scope) {
  std::string split = by_sequence(x, {heads, spec.shape.head_dim});
  if (norm) split = add_onnx_norm(graph_, weights_, *norm, split, spec.shape.head_dim, scope);
  graph_.set_scope(scope);
  split = graph_.add("Transpose", {split}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return spec.rotary ? rotated(*spec.rotary, split) : split;
}

std::string OnnxAttention::rotated(const Rotary& rotary, const std::string& x) {
  Turn& turn = turns_[&rotary];
  if (turn.cosine.empty()) {
    const std::string positions =
        graph_.add("Cast", {graph_.add("Unsqueeze", {"position_ids", graph_.integers({1, 3})})},
                   {{"to", static_cast<int64_t>(OnnxType::kFloat)}});
    const std::string angles = graph_.add("Mul", {positions, graph_.numbers(rotary.radians())});
    turn.cosine = graph_.add("Cos", {angles});
    turn.sine = graph_.add("Sin", {angles});
  }
  const auto halves =
      graph_.add_split("Split", 2, {x}, {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}});
  const auto times = [&](size_t half, const std::string& by) {
    return graph_.add("Mul", {halves[half], by});
  };
  const std::string first = graph_.add("Sub", {times(0, turn.cosine), times(1, turn.sine)});
  const std::string second = graph_.add("Add", {times(1, turn.cosine), times(0, turn.sine)});
  return graph_.add("Concat", {first, second}, {{"axis", int64_t{-1}}});
}

std::string OnnxAttention::with_past(int64_t index, const std::string& part,
                                     const AttentionShape& shape, const std::string& now) {
  const std::string past = fmt::format("past_key_values.{}.{}", index, part);
  const std::string present = fmt::format("present.{}.{}", index, part);
  graph_.add_input(past, OnnxType::kFloat, {kBatch, shape.kv_heads, kPast, shape.head_dim});
  outputs_.push_back({present, {kBatch, shape.kv_heads, kKeys, shape.head_dim}});
  std::string all = graph_.add("Concat", {past, now}, {{"axis", int64_t{2}}});
  graph_.name_value(all, present);
  return all;
}

std::string OnnxAttention::mask(int64_t window) {
  std::string& mask = masks_[window];
  if (!mask.empty()) return mask;
  const std::string zero = graph_.integer(0), one = graph_.integer(1);
  const auto column = graph_.integers({1});
  const std::string past = graph_.add("Sub", {keys_, sequence_});
  const std::string none = graph_.integers({});
  const std::string count = graph_.add("Reshape", {keys_, none});
  const std::string keys = graph_.add("Range", {zero, count, one});
  const std::string queries =
      graph_.add("Unsqueeze",
                 {graph_.add("Range", {graph_.add("Reshape", {past, none}), count, one}), column});
  std::string sees = graph_.add("LessOrEqual", {keys, queries});
  if (window > 0) {
    const std::string near =
        graph_.add("Less", {graph_.add("Sub", {queries, keys}), graph_.integer(window)});
    sees = graph_.add("And", {sees, near});
  }
  const std::string there = graph_.add(
      "Greater", {graph_.add("Unsqueeze", {"attention_mask", graph_.integers({1, 2})}), zero});
  mask = graph_.add("And", {sees, there});
  return mask;
}

std::string OnnxAttention::attended(const AttentionShape& shape, const std::string& q,
                                    const std::string& k, const std::string& v,
                                    const std::string& scope) {
  const bool grouped = shape.heads != shape.kv_heads;
  graph_.set_scope("mask");
  const std::string seen = mask(shape.window);
  graph_.set_scope(scope);
  std::string queries = graph_.add("Mul", {q, graph_.number(shape.scale)});
  if (grouped) {  // the queries of all heads that share keys are one matrix
    queries =
        graph_.add("Reshape", {queries, graph_.integers({0, shape.kv_heads, -1, shape.head_dim})});
  }
  const std::string turned =
      graph_.add("Transpose", {k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  std::string scores = graph_.add("MatMul", {queries, turned});
  if (grouped) {
    const std::string by_head = graph_.add(
        "Concat", {graph_.integers({0, shape.heads}), sequence_, keys_}, {{"axis", int64_t{0}}});
    scores = graph_.add("Reshape", {scores, by_head});
  }
  scores = graph_.add("Where", {seen, scores, graph_.number(std::numeric_limits<float>::lowest())});
  std::string shares = graph_.add("Softmax", {scores}, {{"axis", int64_t{-1}}});
  if (!grouped) return graph_.add("MatMul", {shares, v});
  const std::string by_keys = graph_.add(
      "Concat", {graph_.integers({0, shape.kv_heads, -1}), keys_}, {{"axis", int64_t{0}}});
  const std::string mixed = graph_.add("MatMul", {graph_.add("Reshape", {shares, by_keys}), v});
  return graph_.add("Reshape", {mixed, graph_.integers({0, shape.heads, -1, shape.head_dim})});
}

}  // namespace scant
