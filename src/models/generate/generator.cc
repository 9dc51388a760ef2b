#include "models/generate/generator.h"

#include "core/stopwatch.h"
#include "models/generate/text_stream.h"

namespace scant {
namespace {

/// The loop's state: text goes tokens -> characters -> what is before a stop string.
class Loop {
 public:
  Loop(const Tokenizer& tokenizer, std::span<const int32_t> prompt, const GenerateOptions& options,
       const std::function<void(std::string_view)>& on_text)
      : options_(options), stream_(tokenizer, prompt), stops_(options.stops), on_text_(on_text) {}

  /// False if the text ends with it.
  bool add(int32_t token) {
    if (options_.ends.contains(token)) return end(EndReason::kEndToken);
    result.tokens.push_back(token);
    give(stops_.add(stream_.add(token)));
    if (stops_.found()) return end(EndReason::kStopString);
    if (static_cast<int64_t>(result.tokens.size()) >= options_.max_tokens) {
      return end(EndReason::kMaxTokens);
    }
    return true;
  }
  bool end(EndReason reason) {
    result.reason = reason;
    return false;
  }
  void finish() {
    give(stops_.add(stream_.finish()));
    give(stops_.finish());
  }

  Generation result;

 private:
  void give(const std::string& text) {
    if (text.empty()) return;
    result.text += text;
    on_text_(text);
  }

  const GenerateOptions& options_;
  TextStream stream_;
  StopFinder stops_;
  const std::function<void(std::string_view)>& on_text_;
};

}  // namespace

std::string_view end_reason_name(EndReason reason) {
  switch (reason) {
    case EndReason::kEndToken:
      return "end of text";
    case EndReason::kStopString:
      return "stop string";
    case EndReason::kMaxTokens:
      return "max tokens";
    case EndReason::kContext:
      return "context full";
    case EndReason::kCancelled:
      return "interrupted";
  }
  return "?";
}

Generation generate(const ResidentModel& model, const Tokenizer& tokenizer,
                    std::span<const int32_t> prompt, KvCache& cache, const GenerateOptions& options,
                    Context& context, const std::function<void(std::string_view)>& on_text) {
  Loop loop(tokenizer, prompt, options, on_text);
  Sampler sampler(options.sampler);
  sampler.accept(prompt);
  Stopwatch watch;
  std::vector<float> logits = model.next_logits(prompt, cache, context);
  loop.result.prompt_seconds = watch.seconds();
  watch = Stopwatch();
  // A step that was begun is ended: its token costs little, and the cache stays whole.
  Context steady = context;
  steady.cancelled = [] { return false; };
  while (true) {
    if (context.cancelled()) {
      loop.end(EndReason::kCancelled);
      break;
    }
    const int32_t token = sampler.choose(logits);
    if (!loop.add(token)) break;
    if (cache.positions() >= cache.capacity()) {
      loop.end(EndReason::kContext);
      break;
    }
    sampler.accept(std::span(&token, 1));
    logits = model.next_logits(std::span(&token, 1), cache, steady);
    ++loop.result.steps;
  }
  loop.result.generation_seconds = watch.seconds();
  loop.finish();
  return std::move(loop.result);
}

}  // namespace scant
