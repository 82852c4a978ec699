// The layout of weights that the products of decoding read (common/products.h): panels of outputs, the last only as wide as it
// must be, in whole vectors; within one [input][output], in bfloat16 [pair of inputs][output][2], inputs up to a multiple of
// `depth`. Every step of RL lays out all weights anew.
#include <algorithm>

#include "common/transpose.h"

namespace {

inline int64_t up_to(int64_t size, int64_t step) { return (size + step - 1) / step * step; }

template <typename T>
void in_panels(const T* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t depth, T* out) {
    constexpr int64_t IN_WORD = sizeof(uint32_t) / sizeof(T), IN_BLOCK = LANES * IN_WORD;
    int64_t padded = up_to(inputs, depth), all = up_to(outputs, LANES);
#pragma omp parallel for schedule(dynamic, 1) if (outputs * inputs >= 1 << 15)
    for (int64_t first = 0; first < all; first += panel) {
        int64_t width = std::min(panel, all - first);
        T* to = out + first * padded;
        for (int64_t n = 0; n < width; n += LANES)
            for (int64_t k = 0; k < padded; k += IN_BLOCK) {
                Words words[LANES]{};
                int64_t here = std::clamp<int64_t>(inputs - k, 0, IN_BLOCK);
                for (int64_t i = 0; i < std::min<int64_t>(LANES, outputs - first - n); i++)
                    memcpy(words + i, weight + (first + n + i) * inputs + k, here * sizeof(T));
                transpose_16(words);
                for (int64_t j = 0; j < std::min<int64_t>(LANES, (padded - k) / IN_WORD); j++)
                    write(to + (k + j * IN_WORD) * width + n * IN_WORD, words[j]);
            }
    }
}

}  // namespace

extern "C" {

void in_panels_f32(const float* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t depth, float* out) {
    in_panels(weight, outputs, inputs, panel, depth, out);
}

void in_panels_bf16(const bfloat16* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t depth, bfloat16* out) {
    in_panels(weight, outputs, inputs, panel, depth, out);
}
}
