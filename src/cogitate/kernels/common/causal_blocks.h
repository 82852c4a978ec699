// What attention of training is made of: heads of queries and keys as they stand in memory, and blocks of 32 of them, copied
// and transposed as products want them.
#pragma once

#include <algorithm>

#include "blocks.h"
#include "transpose.h"
#include "vectors.h"

namespace {

// Heads of q, k, v, their gradients or the output. Elements of a head stand side by side; in bfloat16 widths and strides are even.
template <typename T>
struct View {
    T* data;
    int64_t row, token, head;

    T* at(int b, int t, int h) const { return data + b * row + t * token + h * head; }
};

// What the query at t sees: keys prefix_from .. prefix_to - 1, prompt_from .. prompt_to - 1 behind these, and own_from .. t.
struct Range {
    int32_t prefix_from, prefix_to, prompt_from, prompt_to, own_from;

    bool has_prompt() const { return prompt_from < prompt_to; }
};

struct Shape {
    int32_t rows, tokens, heads, kv_heads, width, v_width;
    float scale;
    int32_t range_rows;  // rows of ranges: 1 where all rows have the same

    int blocks() const { return (tokens + SIDE - 1) / SIDE; }
    int queries_of_kv() const { return heads / kv_heads; }
};

// 32 queries, and which blocks of keys they see.
struct QueryBlock {
    int first, count;
    const Range* ranges;
    Range widest, narrowest;  // seen by any, seen by all

    QueryBlock(const Shape& shape, const Range* of_row, int block)
        : first(block * SIDE), count(std::min(SIDE, shape.tokens - first)), ranges(of_row + first) {
        widest = narrowest = ranges[0];
        for (int m = 1; m < count; m++) {
            const Range& r = ranges[m];
            if (r.has_prompt()) {
                widest.prompt_from = widest.has_prompt() ? std::min(widest.prompt_from, r.prompt_from) : r.prompt_from;
                widest.prompt_to = std::max(widest.prompt_to, r.prompt_to);
            }
            widest.prefix_from = std::min(widest.prefix_from, r.prefix_from);
            widest.prefix_to = std::max(widest.prefix_to, r.prefix_to);
            widest.own_from = std::min(widest.own_from, r.own_from);
            narrowest = {std::max(narrowest.prefix_from, r.prefix_from), std::min(narrowest.prefix_to, r.prefix_to),
                         std::max(narrowest.prompt_from, r.prompt_from), std::min(narrowest.prompt_to, r.prompt_to),
                         std::max(narrowest.own_from, r.own_from)};
        }
    }

    // visit(first key, all of them are seen by all queries)
    template <typename Visit>
    void for_key_blocks(Visit&& visit) const {
        int own = widest.own_from / SIDE, next = 0;
        auto visit_before_own = [&](int from, int to) {
            for (int k = std::max(next, from / SIDE); k < own && k * SIDE < to; k++) visit(k * SIDE, whole(k * SIDE)), next = k + 1;
        };
        visit_before_own(widest.prefix_from, widest.prefix_to);
        visit_before_own(widest.prompt_from, widest.prompt_to);
        for (int k = own; k * SIDE < first + count; k++) visit(k * SIDE, whole(k * SIDE));
    }

    bool whole(int key) const {
        if (count < SIDE) return false;
        return (key >= narrowest.prefix_from && key + SIDE <= narrowest.prefix_to) ||
               (key >= narrowest.prompt_from && key + SIDE <= narrowest.prompt_to) ||
               (key >= narrowest.own_from && key + SIDE - 1 <= first);
    }

    // 16 bits: which of 16 keys query m sees.
    Ints seen(int m, int key) const {
        const Range& r = ranges[m];
        Ints keys = lane_numbers() + key;
        return ((keys >= r.prefix_from) & (keys < r.prefix_to)) | ((keys >= r.prompt_from) & (keys < r.prompt_to)) |
               ((keys >= r.own_from) & (keys <= first + m));
    }
};

// to = `count` rows of `width`, zeros up to 32 rows of `to_width`.
template <typename T>
void copy_rows(T* to, int to_width, const T* from, int64_t stride, int count, int width) {
    memset(to, 0, SIDE * to_width * sizeof(T));
    for (int m = 0; m < count; m++) memcpy(to + m * to_width, from + m * stride, width * sizeof(T));
}

// The same rows as the right side of a product that runs over them.
inline void copy_right(float* to, int to_width, const float* from, int64_t stride, int count, int width) {
    copy_rows(to, to_width, from, stride, count, width);
}

inline void copy_right(bfloat16* to, int to_width, const bfloat16* from, int64_t stride, int count, int width) {
    for (int m = 0; m < SIDE; m += 2)
        for (int w = 0; w < to_width; w += LANES) {
            Words pairs = row_pairs(from + m * stride + w, stride, count - m, width - w);
            write(to + m * to_width + 2 * w, pairs);
        }
}

// The same rows, transposed: `width` rows of 32 words.
void transpose_words(void* to, const void* from, int64_t stride, int count, int width) {
    for (int w = 0; w < width; w += LANES)
        for (int m = 0; m < SIDE; m += LANES) {
            Words words[LANES];
            for (int i = 0; i < LANES; i++)
                words[i] = read_some<Words>((const uint32_t*)from + (m + i) * stride + w, m + i < count ? width - w : 0);
            transpose_16(words);
            for (int i = 0; i < std::min(LANES, width - w); i++) write((uint32_t*)to + (w + i) * SIDE + m, words[i]);
        }
}

inline void transpose(float* to, const float* from, int64_t stride, int count, int width) {
    transpose_words(to, from, stride, count, width);
}

// `width` is a multiple of 16.
inline void transpose(bfloat16* to, const bfloat16* from, int64_t stride, int count, int width) {
    for (int w = 0; w < width; w += LANES) transpose_pairs(to + w * SIDE, SIDE, from + w, stride, count, LANES);
}

// And as the right side of a product that runs over their elements.
inline void transpose_right(float* to, const float* from, int64_t stride, int count, int width) {
    transpose_words(to, from, stride, count, width);
}

inline void transpose_right(bfloat16* to, const bfloat16* from, int64_t stride, int count, int width) {
    transpose_words(to, from, stride / 2, count, width / 2);
}

template <typename T>
void store_row(T* to, const float* from, float factor, int width) {
    int w = 0;
    for (; w + LANES <= width; w += LANES) store(to + w, load(from + w) * factor);
    if (w < width) store_part(to + w, load(from + w) * factor, width - w);
}

// 32 numbers of row m of a right side that runs over rows: rows 2 i and 2 i + 1 at once.
inline void store_right(float* to, int m, const Floats (&even)[2], const Floats (&odd)[2]) {
    for (int v = 0; v < 2; v++) store(to + m * SIDE + v * LANES, even[v]), store(to + (m + 1) * SIDE + v * LANES, odd[v]);
}

inline void store_right(bfloat16* to, int m, const Floats (&even)[2], const Floats (&odd)[2]) {
    for (int v = 0; v < 2; v++) store_pairs(to + m * SIDE + v * 2 * LANES, even[v], odd[v]);
}

// 32 keys and values as right sides of products; 0 where the row ends. What a block needs stands together: rows a power of two
// apart would push each other out of the cache.
template <typename T>
struct KeyBlock {
    int width, v_width;
    T *k_transposed, *v, *k, *v_transposed;  // (width, 32), (32, v_width); in the backward pass (32, width), (v_width, 32)

    static size_t elements(const Shape& shape, bool backward) {
        return SIDE * size_t(padded(shape.width) * (backward ? 2 : 1) + padded(shape.v_width));
    }

    KeyBlock(const Shape& shape, int b, int j, int key, bool backward, T* memory)
        : width(padded(shape.width)), v_width(padded(shape.v_width)) {
        memory += ((size_t(b) * shape.kv_heads + j) * shape.blocks() + key / SIDE) * elements(shape, backward);
        k_transposed = memory, k = memory + SIDE * width;
        v = v_transposed = k + (backward ? SIDE * width : 0);
    }

    // All of them, by the threads of a parallel region.
    static void fill(const Shape& shape, const View<const T>& k, const View<const T>& v, bool backward, T* memory) {
        int blocks = shape.blocks();
#pragma omp for schedule(dynamic, 4)
        for (int piece = 0; piece < shape.rows * shape.kv_heads * blocks; piece++) {
            int t = piece % blocks * SIDE, b = piece / blocks / shape.kv_heads, j = piece / blocks % shape.kv_heads;
            int count = std::min(SIDE, shape.tokens - t);
            KeyBlock to(shape, b, j, t, backward, memory);
            memset(to.k_transposed, 0, elements(shape, backward) * sizeof(T));
            transpose_right(to.k_transposed, k.at(b, t, j), k.token, count, shape.width);
            if (backward) {
                transpose_right(to.v_transposed, v.at(b, t, j), v.token, count, shape.v_width);
                copy_right(to.k, to.width, k.at(b, t, j), k.token, count, shape.width);
            } else {
                copy_right(to.v, to.v_width, v.at(b, t, j), v.token, count, shape.v_width);
            }
        }
    }
};

}  // namespace
