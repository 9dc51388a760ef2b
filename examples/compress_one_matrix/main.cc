// Compresses one random matrix in every order and prints what each costs.
// Build: cmake -S examples/compress_one_matrix -B build/example -DCMAKE_PREFIX_PATH=PREFIX
#include <cstdio>

#include "core/random.h"
#include "formats/size.h"
#include "methods/compressed_matrix.h"

int main() {
  scant::ThreadPool threads;
  scant::Context context{threads};

  const scant::CounterRandom random(/*seed=*/1, /*stream=*/0);
  scant::Matrix weight(256, 512);
  for (int64_t i = 0; i < weight.size(); ++i) {
    weight.data()[i] = 0.02f * random.normal(static_cast<uint64_t>(i));
  }

  scant::CompressionSpec spec;
  spec.pattern = scant::SparsityPattern::parse("50%");
  spec.format = scant::NumberFormat::parse("int4:g64", scant::Role::kWeight);
  for (const char* order : {"sparsify-first", "quantize-first", "joint"}) {
    spec.order = scant::parse_order(order);
    const scant::CompressedMatrix compressed =
        scant::compress_matrix(weight.view(), spec, scant::Statistics{}, context);
    const scant::StoredSize size = scant::stored_size(weight.rows(), weight.cols(), *spec.format,
                                                      spec.pattern, compressed.mask->kept());
    std::printf("%-15s relative error %.5f, %.3f bits per weight\n", order,
                compressed.error.relative, size.bits_per_weight());
  }
}
