// One pass from logits to a token and its log-probability. engine/sampling.py is the same in PyTorch and says what it means.
#include <algorithm>

#include "common/vectors.h"

namespace {

constexpr int BLOCK = 64;

uint64_t splitmix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

double uniform(uint64_t seed, uint64_t position, uint64_t stream) {
    return double(splitmix(splitmix(seed) + 2 * position + stream) >> 11) * 0x1p-53;
}

struct Found {
    int index;
    double before;  // the cumulative weight before it
};

// The first entry whose cumulative weight is above the target; where rounding left none, the last that has any weight.
template <typename Weight>
Found first_above(int count, double target, Weight weight_of) {
    double total = 0;
    Found last{0, 0};
    for (int i = 0; i < count; i++) {
        double weight = weight_of(i);
        if (total + weight > target) return {i, total};
        if (weight > 0) last = {i, total};
        total += weight;
    }
    return last;
}

struct Ranked {
    float weight;
    int32_t token;
};

// A token drawn from the nucleus alone, given one outside it: all of the nucleus ranks before that one.
int draw_from_nucleus(const float* weights, int vocabulary, int outside, double mass, double number) {
    std::vector<Ranked> before;
    for (int i = 0; i < vocabulary; i++)
        if (weights[i] > weights[outside] || (weights[i] == weights[outside] && i < outside)) before.push_back({weights[i], i});
    if (before.empty()) return outside;  // a mass of 0 holds the most likely token all the same
    std::sort(before.begin(), before.end(), [](const Ranked& a, const Ranked& b) {
        return a.weight > b.weight || (a.weight == b.weight && a.token < b.token);
    });
    double total = 0;
    size_t size = 0;
    while (size < before.size() && (size == 0 || total < mass)) total += before[size++].weight;
    before.resize(size);
    std::sort(before.begin(), before.end(), [](const Ranked& a, const Ranked& b) { return a.token < b.token; });
    return before[first_above(int(size), number * total, [&](int i) { return before[i].weight; }).index].token;
}

template <typename T>
void sample_row(const T* logits, int vocabulary, float temperature, float top_p, int64_t seed, int64_t position,
                int64_t* token, float* logprob) {
    int blocks = (vocabulary + BLOCK - 1) / BLOCK, padded = blocks * BLOCK;
    float* weights = scratch<2>(padded);
    bool greedy = temperature < 1e-5f;
    float divisor = greedy ? 1.0f : temperature;
    int whole = vocabulary / LANES * LANES, rest = vocabulary - whole;
    Floats most = splat(-INFINITY);
    for (int i = 0; i < whole; i += LANES) most = larger(load(logits + i), most);
    float peak = largest(most);
    for (int i = whole; i < vocabulary; i++) peak = std::max(peak, to_float(logits[i]));
    for (int i = 0; i < whole; i += LANES) store(weights + i, exp_of((load(logits + i) - peak) / divisor));
    if (rest) store_part(weights + whole, exp_of((load_part(logits + whole, rest) - peak) / divisor), rest);
    std::fill(weights + vocabulary, weights + padded, 0.0f);
    auto block_sum = [&](int b) {
        const float* block = weights + b * BLOCK;
        return double(sum((load(block) + load(block + 16)) + (load(block + 32) + load(block + 48))));
    };
    double total = 0;
    for (int b = 0; b < blocks; b++) total += block_sum(b);
    int drawn = 0;
    if (greedy) {
        for (int i = 0; i < vocabulary; i++)
            if (to_float(logits[i]) == peak) {
                drawn = i;
                break;
            }
    } else {
        double target = uniform(seed, position, 0) * total;
        Found block = first_above(blocks, target, block_sum);
        const float* within = weights + block.index * BLOCK;
        drawn = block.index * BLOCK + first_above(BLOCK, target - block.before, [&](int i) { return within[i]; }).index;
        drawn = std::min(drawn, vocabulary - 1);
        if (top_p < 1.0f) {
            float weight = weights[drawn];
            Floats heavier{};
            double earlier = 0;
            for (int i = 0; i < padded; i += LANES) {
                Floats here = load(weights + i);
                heavier += choose(here > weight, here, Floats{});
            }
            for (int i = 0; i < drawn; i++)
                if (weights[i] == weight) earlier += weight;
            double mass = double(top_p) * total;
            if (double(sum(heavier)) + earlier >= mass)
                drawn = draw_from_nucleus(weights, vocabulary, drawn, mass, uniform(seed, position, 1));
        }
    }
    *token = drawn;
    *logprob = (to_float(logits[drawn]) - peak) / divisor - float(std::log(total));
}

template <typename T>
void sample_rows(const T* logits, int32_t rows, int32_t vocabulary, const float* temperature, const float* top_p,
                 const int64_t* seed, const int64_t* position, int64_t* token, float* logprob) {
#pragma omp parallel for schedule(dynamic, 4) if (int64_t(rows) * vocabulary >= 1 << 14)
    for (int n = 0; n < rows; n++)
        sample_row(logits + size_t(n) * vocabulary, vocabulary, temperature[n], top_p[n], seed[n], position[n], token + n,
                   logprob + n);
}

}  // namespace

extern "C" {

void sample_f32(const float* logits, int32_t rows, int32_t vocabulary, const float* temperature, const float* top_p,
                const int64_t* seed, const int64_t* position, int64_t* token, float* logprob) {
    sample_rows(logits, rows, vocabulary, temperature, top_p, seed, position, token, logprob);
}

void sample_bf16(const bfloat16* logits, int32_t rows, int32_t vocabulary, const float* temperature, const float* top_p,
                 const int64_t* seed, const int64_t* position, int64_t* token, float* logprob) {
    sample_rows(logits, rows, vocabulary, temperature, top_p, seed, position, token, logprob);
}
}
