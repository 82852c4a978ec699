// The small parts of a decoder layer for many rows: RMSNorm, SwiGLU, and the routing of a mixture of experts.
#include <algorithm>

#include "vectors.h"

namespace {

constexpr int64_t PARALLEL_FROM = 1 << 15;  // elements; below it a second thread costs more than it brings

template <typename T>
void rms_norm(const T* x, int64_t stride, const float* weight, float eps, int rows, int width, T* out) {
#pragma omp parallel for if (int64_t(rows) * width >= PARALLEL_FROM)
    for (int n = 0; n < rows; n++) {
        const T* from = x + n * stride;
        T* to = out + size_t(n) * width;
        int whole = width / LANES * LANES, rest = width - whole;
        Floats squares{};
        for (int i = 0; i < whole; i += LANES) squares += load(from + i) * load(from + i);
        if (rest) {
            Floats last = load_part(from + whole, rest);
            squares += last * last;
        }
        float factor = 1.0f / std::sqrt(sum(squares) / width + eps);
        for (int i = 0; i < whole; i += LANES) store(to + i, load(from + i) * factor * load(weight + i));
        for (int i = whole; i < width; i++) put(to + i, to_float(from[i]) * factor * weight[i]);
    }
}

// out[n] = silu(gate[n]) * up[n] * weight[n], where gate and up are the halves of gate_up[n].
template <typename T>
void swiglu(const T* gate_up, int64_t stride, const float* weight, int rows, int width, T* out) {
#pragma omp parallel for if (int64_t(rows) * width >= PARALLEL_FROM)
    for (int n = 0; n < rows; n++) {
        const T* gate = gate_up + n * stride;
        const T* up = gate + width;
        T* to = out + size_t(n) * width;
        float factor = weight ? weight[n] : 1.0f;
        int whole = width / LANES * LANES, rest = width - whole;
        for (int i = 0; i < whole; i += LANES) store(to + i, silu(load(gate + i)) * load(up + i) * factor);
        if (rest)
            store_part(to + whole, silu(load_part(gate + whole, rest)) * load_part(up + whole, rest) * factor, rest);
    }
}

struct Scored {
    float score;
    int32_t index;
};

bool better(const Scored& a, const Scored& b) { return a.score > b.score || (a.score == b.score && a.index < b.index); }

}  // namespace

extern "C" {

struct Routing {
    int32_t experts, chosen, groups, kept_groups, normalised;
    float scaling;
    const float* bias;  // [experts]: takes part in the choice alone
};

// Chooses the experts of each row: indices [rows][chosen] and weights [rows][chosen]; DeepSeek-V3, section 2.1.2.
void moe_choose(const Routing* routing, const float* logits, int64_t stride, int32_t rows, int32_t* indices, float* weights) {
    int experts = routing->experts, chosen = routing->chosen, size = experts / routing->groups;
    std::vector<float> scores(experts);
    std::vector<Scored> choices(experts), groups(routing->groups);
    for (int n = 0; n < rows; n++) {
        for (int e = 0; e < experts; e++) {
            scores[e] = 1.0f / (1.0f + std::exp(-logits[n * stride + e]));
            choices[e] = {scores[e] + routing->bias[e], e};
        }
        auto end = choices.end();
        if (routing->groups > 1) {  // keep the groups whose two best experts together are best
            for (int g = 0; g < routing->groups; g++) {
                float first = -INFINITY, second = -INFINITY;
                for (int e = g * size; e < (g + 1) * size; e++) {
                    float score = choices[e].score;
                    if (score > first) second = first, first = score;
                    else if (score > second) second = score;
                }
                groups[g] = {size > 1 ? first + second : first, g};
            }
            std::partial_sort(groups.begin(), groups.begin() + routing->kept_groups, groups.end(), better);
            std::vector<bool> kept(routing->groups, false);
            for (int g = 0; g < routing->kept_groups; g++) kept[groups[g].index] = true;
            end = std::remove_if(choices.begin(), choices.end(), [&](const Scored& s) { return !kept[s.index / size]; });
        }
        std::partial_sort(choices.begin(), choices.begin() + chosen, end, better);
        float total = 1e-20f;
        for (int k = 0; k < chosen; k++) total += scores[choices[k].index];
        float factor = (routing->normalised ? 1.0f / total : 1.0f) * routing->scaling;
        for (int k = 0; k < chosen; k++) {
            indices[n * chosen + k] = choices[k].index;
            weights[n * chosen + k] = scores[choices[k].index] * factor;
        }
    }
}

// Sorts the rows * chosen pairs by expert: counts [experts], place of each pair in the sorted order, weights in that order.
void moe_sort(const int32_t* indices, const float* weights, int32_t rows, int32_t chosen, int32_t experts, int32_t* counts,
              int32_t* place, float* sorted_weights) {
    std::vector<int32_t> next(experts + 1, 0);
    for (int i = 0; i < rows * chosen; i++) next[indices[i] + 1]++;
    for (int e = 0; e < experts; e++) {
        counts[e] = next[e + 1];
        next[e + 1] += next[e];
    }
    for (int i = 0; i < rows * chosen; i++) {
        place[i] = next[indices[i]]++;
        sorted_weights[place[i]] = weights[i];
    }
}

// sorted[place[n][k]] = x[n], rows of `bytes` bytes.
void moe_spread(const char* x, const int32_t* place, int32_t rows, int32_t chosen, int64_t bytes, char* sorted) {
    for (int n = 0; n < rows; n++)
        for (int k = 0; k < chosen; k++) memcpy(sorted + place[n * chosen + k] * bytes, x + n * bytes, bytes);
}
}

namespace {

template <typename T>
void moe_gather(const T* sorted, const int32_t* place, int rows, int chosen, int width, T* x) {
#pragma omp parallel for if (int64_t(rows) * width * chosen >= PARALLEL_FROM)
    for (int n = 0; n < rows; n++) {
        T* to = x + size_t(n) * width;
        int whole = width / LANES * LANES;
        for (int i = 0; i < whole; i += LANES) {
            Floats total{};
            for (int k = 0; k < chosen; k++) total += load(sorted + size_t(place[n * chosen + k]) * width + i);
            store(to + i, load(to + i) + total);
        }
        for (int i = whole; i < width; i++) {
            float total = 0;
            for (int k = 0; k < chosen; k++) total += to_float(sorted[size_t(place[n * chosen + k]) * width + i]);
            put(to + i, to_float(to[i]) + total);
        }
    }
}

}  // namespace

extern "C" {

void rms_norm_f32(const float* x, int64_t stride, const float* weight, float eps, int32_t rows, int32_t width, float* out) {
    rms_norm(x, stride, weight, eps, rows, width, out);
}

void rms_norm_bf16(const bfloat16* x, int64_t stride, const float* weight, float eps, int32_t rows, int32_t width,
                   bfloat16* out) {
    rms_norm(x, stride, weight, eps, rows, width, out);
}

void swiglu_f32(const float* gate_up, int64_t stride, const float* weight, int32_t rows, int32_t width, float* out) {
    swiglu(gate_up, stride, weight, rows, width, out);
}

void swiglu_bf16(const bfloat16* gate_up, int64_t stride, const float* weight, int32_t rows, int32_t width, bfloat16* out) {
    swiglu(gate_up, stride, weight, rows, width, out);
}

// x[n] += sum over k of sorted[place[n][k]]
void moe_gather_f32(const float* sorted, const int32_t* place, int32_t rows, int32_t chosen, int32_t width, float* x) {
    moe_gather(sorted, place, rows, chosen, width, x);
}

void moe_gather_bf16(const bfloat16* sorted, const int32_t* place, int32_t rows, int32_t chosen, int32_t width, bfloat16* x) {
    moe_gather(sorted, place, rows, chosen, width, x);
}
}
