#include "formats/best_scale.h"

namespace scant {

BlockScale choose_scale(const NumberFormat& format, const BlockStatistics& statistics,
                        ConstMatrixView values) {
  return std::visit(
      [&]<typename T>(const T& element) -> BlockScale {
        if constexpr (!ElementScaledByStatistics<T>) {
          return {};
        } else {
          const BlockCodec<T> codec(element, format);
          if (format.rules().two_level) return {codec.tensor_scale(statistics.absmax()), 0};
          return best_scale(codec, format.mse, statistics, 1.0f, [&](BlockScale effective) {
            double sum = 0.0;
            for (int64_t r = 0; r < values.rows; ++r) {
              sum += codec.squared_error({values.row(r), nullptr, values.cols}, effective);
            }
            return sum;
          });
        }
      },
      format.element);
}

}  // namespace scant
