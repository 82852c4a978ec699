// The small parts of a decoder layer: RMSNorm, SwiGLU, and the routing of a mixture of experts (model/moe.py).
// Within a parallel region the threads share the rows; all have finished when a function returns.
#pragma once

#include <algorithm>

#include "vectors.h"

// out = x / rms(x) * weight; returns 1 / rms(x).
template <typename T, typename X>
float rms_norm_row(const T* x, const T* weight, float eps, int64_t width, X* out) {
    Floats squares{};
    each_vector(width, [&](int64_t i, auto count) {
        Floats numbers = load(x + i, count);
        squares += numbers * numbers;
    });
    float factor = 1.0f / std::sqrt(sum(squares) / width + eps);
    each_vector(width, [&](int64_t i, auto count) {
        store(out + i, load(x + i, count) * factor * load(weight + i, count), count);
    });
    return factor;
}

template <typename X>
void rms_norm(const float* x, int64_t stride, const float* weight, float eps, int rows, int width, X* out,
              int64_t out_stride) {
#pragma omp for
    for (int n = 0; n < rows; n++) rms_norm_row(x + n * stride, weight, eps, width, out + n * out_stride);
}

// out = silu(gate) * up * factor, where gate and up are the first and second `width` numbers of gate_up.
template <typename T, typename X>
void swiglu_row(const T* gate_up, float factor, int64_t width, X* out) {
    const T *gate = gate_up, *up = gate_up + width;
    each_vector(width, [&](int64_t i, auto count) {
        store(out + i, silu(load(gate + i, count)) * load(up + i, count) * factor, count);
    });
}

// A weight for each row, or none.
template <typename X>
void swiglu(const float* gate_up, int64_t stride, const float* weight, int rows, int width, X* out, int64_t out_stride) {
#pragma omp for
    for (int n = 0; n < rows; n++) swiglu_row(gate_up + n * stride, weight ? weight[n] : 1.0f, width, out + n * out_stride);
}

extern "C" {
struct Routing {
    int32_t experts;  // 0: a dense layer
    int32_t chosen, groups, kept_groups, normalised;
    int32_t softmax;  // scores are a softmax, else sigmoids
    float scaling;
    const float* bias;  // [experts]: takes part in the choice alone
};
}

struct Scored {
    float score;
    int32_t index;
};

inline bool better(const Scored& a, const Scored& b) { return a.score > b.score || (a.score == b.score && a.index < b.index); }

// Leaves the experts of the best groups; a group is as good as its two best experts together.
inline Scored* keep_best_groups(const Routing& routing, Scored* choices, Scored* groups) {
    int size = routing.experts / routing.groups;
    for (int g = 0; g < routing.groups; g++) {
        float first = -INFINITY, second = -INFINITY;
        for (int e = g * size; e < (g + 1) * size; e++) {
            float score = choices[e].score;
            if (score > first) second = first, first = score;
            else if (score > second) second = score;
        }
        groups[g] = {size > 1 ? first + second : first, g};
    }
    std::partial_sort(groups, groups + routing.kept_groups, groups + routing.groups, better);
    return std::remove_if(choices, choices + routing.experts, [&](const Scored& choice) {
        for (int g = 0; g < routing.kept_groups; g++)
            if (groups[g].index == choice.index / size) return false;
        return true;
    });
}

inline void sigmoids(const float* logits, int count, float* scores) {
    for (int e = 0; e < count; e += LANES) {
        int part = std::min(LANES, count - e);
        Floats logit = part == LANES ? load(logits + e) : load_part(logits + e, part);
        store(scores + e, 1.0f / (exp_of(-logit) + 1.0f));
    }
}

inline void softmax(const float* logits, int count, float* scores) {
    float most = *std::max_element(logits, logits + count), total = 0;
    for (int e = 0; e < count; e += LANES) {
        int part = std::min(LANES, count - e);
        Floats logit = part == LANES ? load(logits + e) : load_part(logits + e, part);
        store(scores + e, exp_of(logit - most));
    }
    for (int e = 0; e < count; e++) total += scores[e];
    for (int e = 0; e < count; e++) scores[e] /= total;
}

// Experts and weights, [rows][chosen] each, of every row.
inline void choose_experts(const Routing& routing, const float* logits, int64_t stride, int rows, int32_t* experts,
                           float* weights) {
#pragma omp for
    for (int n = 0; n < rows; n++) {
        int count = routing.experts, chosen = routing.chosen;
        float* scores = scratch<3>(count + LANES);
        float* memory = scratch<4>(2 * (count + routing.groups));
        Scored* choices = reinterpret_cast<Scored*>(memory);
        (routing.softmax ? softmax : sigmoids)(logits + n * stride, count, scores);
        for (int e = 0; e < count; e++) choices[e] = {scores[e] + routing.bias[e], e};
        Scored* end = routing.groups > 1 ? keep_best_groups(routing, choices, choices + count) : choices + count;
        std::partial_sort(choices, choices + chosen, end, better);
        float total = 1e-20f;
        for (int k = 0; k < chosen; k++) total += scores[choices[k].index];
        float factor = (routing.normalised ? 1.0f / total : 1.0f) * routing.scaling;
        for (int k = 0; k < chosen; k++) {
            experts[n * chosen + k] = choices[k].index;
            weights[n * chosen + k] = scores[choices[k].index] * factor;
        }
    }
}

// The (row, choice) pairs in the order of their experts.
struct Sorted {
    int32_t* start;  // [experts + 1]: pairs of expert e are start[e] .. start[e + 1] - 1
    int32_t* place;  // [rows * chosen]: where each pair stands
    int32_t* row;    // [rows * chosen]: the row of each sorted pair
    float* weight;   // [rows * chosen]: its weight
};

inline void sort_by_expert(const Routing& routing, const int32_t* experts, const float* weights, int rows,
                           const Sorted& sorted) {
#pragma omp single
    {
        int pairs = rows * routing.chosen;
        std::fill(sorted.start, sorted.start + routing.experts + 1, 0);
        for (int i = 0; i < pairs; i++) sorted.start[experts[i] + 1]++;
        for (int e = 0; e < routing.experts; e++) sorted.start[e + 1] += sorted.start[e];
        for (int i = 0; i < pairs; i++) {
            int place = sorted.start[experts[i]]++;
            sorted.place[i] = place;
            sorted.row[place] = i / routing.chosen;
            sorted.weight[place] = weights[i];
        }
        for (int e = routing.experts; e > 0; e--) sorted.start[e] = sorted.start[e - 1];
        sorted.start[0] = 0;
    }
}

// x[n] += sum over k of results[place[n][k]]
inline void gather_experts(const float* results, const int32_t* place, int rows, int chosen, int width, float* x) {
#pragma omp for
    for (int n = 0; n < rows; n++) {
        float* to = x + size_t(n) * width;
        int whole = width / LANES * LANES;
        for (int i = 0; i < whole; i += LANES) {
            Floats total{};
            for (int k = 0; k < chosen; k++) total += load(results + size_t(place[n * chosen + k]) * width + i);
            store(to + i, load(to + i) + total);
        }
        for (int i = whole; i < width; i++) {
            float total = 0;
            for (int k = 0; k < chosen; k++) total += results[size_t(place[n * chosen + k]) * width + i];
            to[i] += total;
        }
    }
}
