// Rows of logits: the log-probability of one token each and the entropy, and backwards the logits' gradient in their place.
// Every row is read from a core's cache after the first of its passes.
#include <algorithm>
#include <cstddef>

#include "common/vectors.h"

namespace {

// -inf instead of the zeros behind the last logit.
inline Floats only(Floats values, int count) {
    return count == LANES ? values : choose(lane_numbers() < count, values, splat(-INFINITY));
}

constexpr int SUMMED_IN_FLOAT = 2048;  // logits of a block; longer sums would lose digits, so those of blocks are added in double

// logsumexp and the entropy in nats of the logits times `sharpness` (1 / temperature).
template <typename T>
float logsumexp(const T* logits, int vocabulary, float sharpness, float& entropy) {
    Floats most = splat(-INFINITY);
    each_vector(vocabulary, [&](int64_t i, auto count) { most = larger(only(load(logits + i, count), count), most); });
    float peak = largest(most) * sharpness;
    double totals = 0, weighted = 0;
    for (int start = 0; start < vocabulary; start += SUMMED_IN_FLOAT) {
        Floats of_block{}, weighted_of_block{};
        const T* block = logits + start;
        each_vector(std::min(SUMMED_IN_FLOAT, vocabulary - start), [&](int64_t i, auto count) {
            Floats above = only(load(block + i, count), count) * sharpness - peak, weight = exp_of(above);
            of_block += weight;
            weighted_of_block += weight * larger(above, splat(-200.0f));  // 0 * -inf is not a number
        });
        totals += sum(of_block), weighted += sum(weighted_of_block);
    }
    float total = float(totals), log_total = std::log(total);
    entropy = log_total - float(weighted) / total;
    return peak + log_total;
}

template <typename T>
void logprobs(const T* logits, int rows, int vocabulary, const int64_t* targets, float sharpness, float* logprob, float* entropy,
              float* logsumexps) {
#pragma omp parallel for schedule(dynamic, 16) if (int64_t(rows) * vocabulary >= 1 << 14)
    for (int n = 0; n < rows; n++) {
        const T* row = logits + size_t(n) * vocabulary;
        logsumexps[n] = logsumexp(row, vocabulary, sharpness, entropy[n]);
        logprob[n] = to_float(row[targets[n]]) * sharpness - logsumexps[n];
    }
}

// logits = (onehot(target) - softmax) * sharpness * gradient of the log-probability
template <typename T>
void logits_gradient(T* logits, int rows, int vocabulary, const int64_t* targets, float sharpness, const float* logsumexps,
                     const float* gradient) {
#pragma omp parallel for schedule(dynamic, 16) if (int64_t(rows) * vocabulary >= 1 << 14)
    for (int n = 0; n < rows; n++) {
        T* row = logits + size_t(n) * vocabulary;
        float factor = gradient[n] * sharpness;
        float target = (1.0f - std::exp(to_float(row[targets[n]]) * sharpness - logsumexps[n])) * factor;
        each_vector(vocabulary, [&](int64_t i, auto count) {
            store(row + i, exp_of(load(row + i, count) * sharpness - logsumexps[n]) * -factor, count);
        });
        put(row + targets[n], target);
    }
}

}  // namespace

extern "C" {

void token_logprobs_f32(const float* logits, int32_t rows, int32_t vocabulary, const int64_t* targets, float sharpness,
                        float* logprob, float* entropy, float* logsumexps) {
    logprobs(logits, rows, vocabulary, targets, sharpness, logprob, entropy, logsumexps);
}

void token_logprobs_bf16(const bfloat16* logits, int32_t rows, int32_t vocabulary, const int64_t* targets, float sharpness,
                         float* logprob, float* entropy, float* logsumexps) {
    logprobs(logits, rows, vocabulary, targets, sharpness, logprob, entropy, logsumexps);
}

void logits_gradient_f32(float* logits, int32_t rows, int32_t vocabulary, const int64_t* targets, float sharpness,
                         const float* logsumexps, const float* gradient) {
    logits_gradient(logits, rows, vocabulary, targets, sharpness, logsumexps, gradient);
}

void logits_gradient_bf16(bfloat16* logits, int32_t rows, int32_t vocabulary, const int64_t* targets, float sharpness,
                          const float* logsumexps, const float* gradient) {
    logits_gradient(logits, rows, vocabulary, targets, sharpness, logsumexps, gradient);
}
}
