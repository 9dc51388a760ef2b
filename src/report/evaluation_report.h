#pragma once

#include <string>

#include "evaluate/perplexity.h"

namespace scant {

/// What an evaluation was of.
struct EvaluationSubject {
  std::string model;
  std::string text;
  std::string reference;  ///< empty without one
  WindowProtocol protocol;
  size_t activation_layers = 0;  ///< linear layers whose inputs are quantized
};

/// One JSON object: perplexity, nll, tokens, windows, seconds, tokens_per_second, protocol,
/// interval, and the divergence if there is a reference.
std::string evaluation_json(const EvaluationSubject& subject, const Evaluation& evaluation);

/// The same for a reader.
std::string evaluation_text(const EvaluationSubject& subject, const Evaluation& evaluation,
                            bool bold);

}  // namespace scant
