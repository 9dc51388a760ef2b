#include "report/evaluation_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace scant {

std::string evaluation_json(const EvaluationSubject& subject, const Evaluation& evaluation) {
  nlohmann::ordered_json json;
  json["model"] = subject.model;
  json["text"] = subject.text;
  json["perplexity"] = evaluation.perplexity;
  json["perplexity_interval_95"] = {evaluation.perplexity_interval.low,
                                    evaluation.perplexity_interval.high};
  json["nll"] = evaluation.nll.value;
  json["tokens"] = evaluation.tokens;
  json["predictions"] = evaluation.predictions;
  json["windows"] = evaluation.windows;
  json["seconds"] = evaluation.seconds;
  json["tokens_per_second"] = evaluation.tokens_per_second;
  const WindowProtocol& protocol = subject.protocol;
  json["protocol"] = {
      {"name", protocol.stride ? "strided" : "fixed"},
      {"window", protocol.window},
      {"stride", protocol.stride ? nlohmann::json(*protocol.stride) : nlohmann::json()},
      {"max_tokens", protocol.max_tokens},
      {"special_tokens", false},
      {"bootstrap_rounds", kBootstrapRounds},
      {"text", protocol.text()}};
  json["per_window"] = {{"nll_sum", evaluation.nll.sums}, {"predictions", evaluation.nll.counts}};
  json["quantized_activation_layers"] = subject.activation_layers;
  if (evaluation.divergence) {
    const Divergence& divergence = *evaluation.divergence;
    json["reference"] = {{"model", subject.reference},
                         {"perplexity", std::exp(evaluation.reference_nll->value)},
                         {"nll", evaluation.reference_nll->value},
                         {"kl_mean", divergence.kl.value},
                         {"kl_p99", divergence.kl_p99},
                         {"top1_agreement", divergence.top1_agreement}};
  }
  return json.dump(2) + "\n";
}

std::string evaluation_text(const EvaluationSubject& subject, const Evaluation& evaluation,
                            bool bold) {
  const char* on = bold ? "\033[1m" : "";
  const char* off = bold ? "\033[0m" : "";
  std::string text;
  text += fmt::format("{}{}{} on {}\n", on, subject.model, off, subject.text);
  text += fmt::format("  perplexity   {}{:.4f}{}  (95% interval {:.3f} to {:.3f})\n", on,
                      evaluation.perplexity, off, evaluation.perplexity_interval.low,
                      evaluation.perplexity_interval.high);
  text += fmt::format("  NLL          {:.6f} nats per token\n", evaluation.nll.value);
  if (evaluation.divergence) {
    const Divergence& divergence = *evaluation.divergence;
    text += fmt::format("  reference    {}, perplexity {:.4f}\n", subject.reference,
                        std::exp(evaluation.reference_nll->value));
    text += fmt::format("  KL           mean {:.6f}, 99th percentile {:.4f} nats\n",
                        divergence.kl.value, divergence.kl_p99);
    text += fmt::format("  same top-1   {:.2f}% of positions\n", 100 * divergence.top1_agreement);
  }
  text += fmt::format("  protocol     {}; {} tokens, {} windows, {} predictions\n",
                      subject.protocol.text(), evaluation.tokens, evaluation.windows,
                      evaluation.predictions);
  if (subject.activation_layers != 0) {
    text += fmt::format("  activations  quantized at the inputs of {} linear layers (scant.json)\n",
                        subject.activation_layers);
  }
  text += fmt::format("  time         {}, {} tokens/s\n", duration_text(evaluation.seconds),
                      count_text(evaluation.tokens_per_second));
  return text;
}

}  // namespace scant
