// A step of AdamW (arXiv:1711.05101) in one pass over memory, which is all that it costs, with moments in bfloat16; and the norm
// of gradients. train/optimisers/master_weights.py says what they are of.
#include <algorithm>

#include "common/vectors.h"

namespace {

constexpr int64_t BLOCK = 1 << 14;  // numbers that a thread takes at a time

// Summed in blocks, and these in their order: the same for any number of threads.
template <typename G>
double squared_norm(const G* gradient, int64_t count) {
    int64_t blocks = (count + BLOCK - 1) / BLOCK;
    std::vector<double> sums(blocks);
#pragma omp parallel for schedule(dynamic, 4) if (blocks > 1)
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

// A float32 master is its weight, which is its upper half rounded (ties away from 0), and its lower half. Where that is negative
// as a signed number the weight has been rounded up, so that their sum is the master again.
template <typename Count>
inline Floats master_of(const bfloat16* weight, const int16_t* remainder, Count count) {
    Words upper = converted<Words>(read_some<Halves>(weight, count)) << 16;
    return same_bits<Floats>(upper + same_bits<Words>(converted<Ints>(read_some<Shorts>(remainder, count))));
}

template <typename Count>
inline void set_master(bfloat16* weight, int16_t* remainder, Floats master, Count count) {
    Words words = same_bits<Words>(master);
    write_some(weight, converted<Halves>((words + 0x8000) >> 16), count);
    write_some(remainder, converted<Halves>(words), count);
}

inline Floats root(Floats x) {
    float numbers[LANES];
    store(numbers, x);
    for (float& number : numbers) number = std::sqrt(number);
    return load(numbers);
}

// The moments (mean and square), the weights of the model and what these lack of their masters.
//   scale: of the gradient; rate: with the correction of the mean's bias; kept: of a master, after its decay;
//   correction: of the root of the square
template <typename G>
void adamw(const G* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction, float eps,
           int64_t count, bfloat16* mean, bfloat16* square, bfloat16* weight, int16_t* remainder) {
#pragma omp parallel for schedule(dynamic, 4) if (count > BLOCK)
    for (int64_t start = 0; start < count; start += BLOCK)
        each_vector(std::min(BLOCK, count - start), [&](int64_t offset, auto part) {
            int64_t i = start + offset;
            Floats towards = load(gradient + i, part) * scale;
            Floats first = load(mean + i, part), second = load(square + i, part);
            first += (towards - first) * (1.0f - beta1);
            second *= beta2;  // by itself: this is merged with the sum, in every class
            second += towards * towards * (1.0f - beta2);
            Floats master = master_of(weight + i, remainder + i, part);
            store(mean + i, first, part);
            store(square + i, second, part);
            set_master(weight + i, remainder + i, master * kept - first * rate / (root(second) * correction + eps), part);
        });
}

}  // namespace

extern "C" {

double squared_norm_f32(const float* gradient, int64_t count) { return squared_norm(gradient, count); }

double squared_norm_bf16(const bfloat16* gradient, int64_t count) { return squared_norm(gradient, count); }

void adamw_f32(const float* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction,
               float eps, int64_t count, bfloat16* mean, bfloat16* square, bfloat16* weight, int16_t* remainder) {
    adamw(gradient, scale, beta1, beta2, rate, kept, correction, eps, count, mean, square, weight, remainder);
}

void adamw_bf16(const bfloat16* gradient, float scale, float beta1, float beta2, float rate, float kept, float correction,
                float eps, int64_t count, bfloat16* mean, bfloat16* square, bfloat16* weight, int16_t* remainder) {
    adamw(gradient, scale, beta1, beta2, rate, kept, correction, eps, count, mean, square, weight, remainder);
}
}
