#include "models/generate/generator.h"

#include <gmock/gmock.h>

#include "models/generate/end_tokens.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

class Generator : public testing::Test {
 protected:
  Generation run(const GenerateOptions& options, int64_t capacity = 100) {
    KvCache cache(KvType::kF32, capacity);
    pieces_.clear();
    return generate(resident_, *tokenizer_, prompt_, cache, options, context_,
                    [&](std::string_view text) { pieces_.emplace_back(text); });
  }
  std::string streamed() const {
    std::string all;
    for (const std::string& piece : pieces_) all += piece;
    return all;
  }

  std::unique_ptr<Model> model_ = Model::open(SCANT_SOURCE_DIR "/assets/quill-llama-5m");
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(model_->checkpoint());
  ThreadPool threads_{2};
  Context context_{.threads = threads_};
  ResidentModel resident_{*model_, model_->weights(), context_};
  std::vector<int32_t> prompt_ = tokenizer_->encode("The old sailor");
  std::vector<std::string> pieces_;
};

TEST_F(Generator, StreamsWhatItReturns) {
  GenerateOptions options;
  options.max_tokens = 20;
  const Generation made = run(options);
  EXPECT_EQ(made.reason, EndReason::kMaxTokens);
  EXPECT_EQ(made.tokens.size(), 20u);
  EXPECT_EQ(made.steps, 19);
  EXPECT_EQ(made.text, streamed());
  EXPECT_GT(pieces_.size(), 10u);
}

TEST_F(Generator, AnEndTokenIsNotPartOfTheText) {
  GenerateOptions options;
  options.max_tokens = 20;
  const Generation whole = run(options);
  options.ends = {whole.tokens[5]};
  const Generation made = run(options);
  EXPECT_EQ(made.reason, EndReason::kEndToken);
  EXPECT_LE(made.tokens.size(), 5u);
  EXPECT_TRUE(whole.text.starts_with(made.text));
}

TEST_F(Generator, StopsBetweenTokensWhenTheUserAsks) {
  GenerateOptions options;
  int asked = 0;
  context_.cancelled = [&] { return ++asked > 30; };
  const Generation made = run(options);
  EXPECT_EQ(made.reason, EndReason::kCancelled);
  EXPECT_GT(made.tokens.size(), 3u);
  EXPECT_EQ(made.text, streamed());
}

TEST_F(Generator, AContextThatIsFullEndsTheText) {
  GenerateOptions options;
  const Generation made = run(options, 10);
  EXPECT_EQ(made.reason, EndReason::kContext);
  EXPECT_EQ(made.tokens.size(), 11 - prompt_.size());
}

TEST_F(Generator, EndTokensAreThoseOfTheConfigurationAndTheTokenizer) {
  EXPECT_THAT(end_tokens(model_->checkpoint(), *tokenizer_), testing::ElementsAre(1));
  const auto checkpoint =
      std::make_shared<MemoryCheckpoint>(SCANT_SOURCE_DIR "/assets/quill-llama-5m");
  checkpoint->edit_config()["eos_token_id"] = {5, 7};
  EXPECT_THAT(end_tokens(*checkpoint, *tokenizer_), testing::ElementsAre(1, 5, 7));
  checkpoint->edit_config()["eos_token_id"] = 4096;
  EXPECT_THAT(message_of([&] { end_tokens(*checkpoint, *tokenizer_); }),
              testing::HasSubstr("eos_token_id has 4096; expected token ids below 4096"));
}

}  // namespace
}  // namespace scant
