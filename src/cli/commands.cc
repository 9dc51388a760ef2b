#include "cli/commands.h"

#include <array>

namespace scant {

std::span<const Command> all_commands() {
  static const std::array kCommands = {
      Command{"inspect", "Architecture, layers and per-tensor statistics of a model",
              "  scant inspect assets/quill-llama-5m\n"
              "  scant inspect model.gguf --json > model.json\n",
              add_inspect},
      Command{"tokenize", "Text to token ids and back",
              "  scant tokenize assets/quill-llama-5m \"The old sailor\"\n"
              "  scant tokenize MODEL --text book.txt > ids.json\n"
              "  scant tokenize MODEL --decode \"[489, 744, 3611]\"\n",
              add_tokenize},
      Command{"run", "Continue a text or answer a message",
              "  scant run assets/quill-llama-5m -p \"The old sailor\"\n"
              "  scant run MODEL --chat -p \"Why is the sky blue?\" --temperature 0.7 --top-p 0.9\n"
              "  scant run model.gguf -p - --kv int8 --stop END < prompt.txt\n",
              add_run},
      Command{"eval", "Perplexity of a model on a text, and its divergence from another model",
              "  scant eval assets/quill-llama-5m --text assets/text/books.txt\n"
              "  scant eval OUT --text book.txt --reference MODEL --json\n"
              "  scant eval MODEL --text book.txt --window 512 --stride 256 --max-tokens 65536\n",
              add_eval},
      Command{
          "compress", "Sparsify and quantize a model, in the order that you choose",
          "  scant compress MODEL -o OUT --sparsity 2:4 --weights int8\n"
          "  scant compress MODEL -o OUT --sparsity 50% --weights int4:g128:mse --order joint\n"
          "  scant compress MODEL -o OUT --weights mxfp4 --activations mxfp8_e4m3 --text book.txt\n"
          "  scant compress MODEL --sparsity 2:4 --weights int4 --print-recipe > recipe.yaml\n"
          "  scant compress MODEL -o OUT --recipe recipe.yaml --dry-run\n",
          add_compress},
      Command{"unpack", "A packed model as a dense folder that transformers loads",
              "  scant compress MODEL -o PACKED --sparsity 2:4 --weights int4:g128 --to packed\n"
              "  scant unpack PACKED -o DENSE\n",
              add_unpack},
      Command{"export", "A model in the format of another tool, with the same codes",
              "  scant export PACKED --to compressed-tensors -o OUT\n"
              "  scant export model.gguf --to dense --dtype bf16 -o OUT\n"
              "  scant export --list\n",
              add_export},
      Command{"import", "A quantized model of another tool as a packed one, with its codes",
              "  scant import OTHERS -o PACKED\n"
              "  scant import model.gguf -o PACKED\n",
              add_import},
      Command{"interplay", "Measure how sparsity and quantization errors combine in a model",
              "  scant interplay MODEL --text book.txt --calibration other.txt -o study\n"
              "  scant interplay MODEL --text book.txt --calibration other.txt -o study \\\n"
              "      --sparsity 2:4 --formats int8,int4:g128,mxfp4 --activations\n"
              "  scant interplay MODEL --text book.txt --calibration other.txt -o study \\\n"
              "      --sensitivity 2:4+int4 --max-tokens 16384\n",
              add_interplay},
      Command{"bench", "Speed of a model here, and how near it is to what the machine can do",
              "  scant bench PACKED\n"
              "  scant bench PACKED --compare MODEL OTHER --prompt 512 --generate 128\n",
              add_bench},
      Command{"compare", "Several compressed models against the dense one on the same text",
              "  scant compare MODEL OUT1 OUT2 --text book.txt\n"
              "  scant compare MODEL OUT1 OUT2 --text book.txt --max-tokens 65536 --json\n",
              add_compare},
      Command{"report", "The page of an interplay study, or a comparison of two",
              "  scant report STUDY\n"
              "  scant report STUDY_A STUDY_B -o comparison.html\n",
              add_report},
      Command{"formats", "The number formats, sparsity patterns and combinations that exist",
              "  scant formats\n"
              "  scant formats --support > docs/guide/support.md\n",
              add_formats},
      Command{"completion", "Shell completion script for bash, zsh or fish",
              "  scant completion bash > /etc/bash_completion.d/scant\n"
              "  scant completion zsh > \"${fpath[1]}/_scant\"\n",
              add_completion},
  };
  return kCommands;
}

}  // namespace scant
