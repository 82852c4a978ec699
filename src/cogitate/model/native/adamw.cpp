// A step of AdamW (arXiv:1711.05101) in one pass over memory, which is all that it costs, with moments in bfloat16; and the norm
// of gradients. train/master_weights.py says what they are of.
#include <algorithm>

#include "vectors.h"

namespace {

constexpr int64_t BLOCK = 1 << 14;  // numbers that a thread takes at a time

// Summed in blocks, and these in their order: the same for any number of threads.
template <typename G>
double squared_norm(const G* gradient, int64_t count) {
    int64_t blocks = (count + BLOCK - 1) / BLOCK;
    std::vector<double> sums(blocks);
#pragma omp parallel for if (blocks > 1)
    for (int64_t b = 0; b < blocks; b++) {
        const G* block = gradient + b * BLOCK;
        Floats squares{};
        each_vector(std::min(BLOCK, count - b * BLOCK), [&](int64_t i, auto part) {
            Floats numbers = load(block + i, part);
            squares += numbers * numbers;
        });
        sums[b] = sum(squares);
    }
    double total = 0;
    for (double block_sum : sums) total += block_sum;
    return total;
}

inline Floats root(Floats x) {
    for (int i = 0; i < LANES; i++) x[i] = std::sqrt(x[i]);
    return x;
}

// The masters, their moments (mean and square) and the weights of the model, which are the masters rounded.
//   scale: of the gradient; rate: with the correction of the mean's bias; kept: of a master, after its decay;
//   correction: of the root of the square
template <typename G>
void adamw(const G* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction, float eps,
           int64_t count, float* master, bfloat16* mean, bfloat16* square, bfloat16* weight) {
#pragma omp parallel for if (count > BLOCK)
    for (int64_t start = 0; start < count; start += BLOCK)
        each_vector(std::min(BLOCK, count - start), [&](int64_t offset, auto part) {
            int64_t i = start + offset;
            Floats towards = load(gradient + i, part) * scale;
            Floats first = load(mean + i, part), second = load(square + i, part);
            first += (towards - first) * (1.0f - beta1);
            second = second * beta2 + towards * towards * (1.0f - beta2);
            Floats moved = load(master + i, part) * kept - first * rate / (root(second) * correction + eps);
            store(mean + i, first, part);
            store(square + i, second, part);
            store(master + i, moved, part);
            store(weight + i, moved, part);
        });
}

}  // namespace

extern "C" {

double squared_norm_f32(const float* gradient, int64_t count) { return squared_norm(gradient, count); }

double squared_norm_bf16(const bfloat16* gradient, int64_t count) { return squared_norm(gradient, count); }

void adamw_f32(const float* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction,
               float eps, int64_t count, float* master, bfloat16* mean, bfloat16* square, bfloat16* weight) {
    adamw(gradient, scale, beta1, beta2, rate, kept, correction, eps, count, master, mean, square, weight);
}

void adamw_bf16(const bfloat16* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction,
                float eps, int64_t count, float* master, bfloat16* mean, bfloat16* square, bfloat16* weight) {
    adamw(gradient, scale, beta1, beta2, rate, kept, correction, eps, count, master, mean, square, weight);
}
}
