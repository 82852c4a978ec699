// Attention of new tokens, one for each of many rows or several in a row, reading a cache of blocks (kv_cache.py) in place.
//
// A block holds 16 tokens, [width][16]: each number of the entry for 16 tokens side by side, so that scores of 16 tokens are
// made at once by broadcasting the query, and weighted sums of values are accumulated without rearranging anything.
// Tokens that see the same blocks are handled together, as a unit: those of rows that share a prompt, or neighbours of one row.
// A token's result does not depend on the others of its batch, nor on the number of threads.
#pragma once

#include <algorithm>
#include <type_traits>

#include "layers.h"
#include "vectors.h"

extern "C" {

// New tokens, the same for all layers.
struct Step {
    int32_t tokens, units, table_stride, selected;
    const int32_t* unit_token;  // [units + 1]: unit u is tokens unit_token[u] .. unit_token[u + 1] - 1
    const int64_t* row;         // [tokens]: the cache row of each
    const int64_t* length;      // [tokens]: tokens of the row up to this one, itself included
    const int32_t* select;      // [selected]: tokens whose logits are wanted, ascending
    const int32_t* table;       // [cache rows][table_stride]: the blocks of each row, those of its shared prompt first
    const int32_t* shared;      // [cache rows]: tokens of the shared prompt; the token after it begins a block
    const float* rotation;      // [positions][rotated width / 2][2]: cosine and sine
};

struct Attention {
    void* cache;  // [blocks][width][16]
    int32_t width;  // of an entry, in numbers of the cache's type
    int32_t bits;   // 8: the cache has numbers of 8 bits and, behind all of a block, scales (below); 0: as activations
    int32_t heads, kv_heads;
    int32_t key_width, value_width;  // of one head's query and key, and value, as they are cached
    int32_t rope_width;
    int32_t interleaved;  // pairs (0, 1), (2, 3) ... or (0, R), (1, R + 1) ...
    int32_t window;       // tokens a row sees, 0: all
    float scale, eps;
    // MLA: key = latent + rotated part, value = latent
    int32_t nope, v_width;
    const float* latent_norm;  // [latent]
    const float* key_up;       // [heads][nope][latent]
    const float* value_up;     // [heads][latent][v_width]
    // GQA: null without q/k norms
    const float* q_norm;
    const float* k_norm;
};
}

// In a cache of 8 bits a key or value of a head is scale * q. The scales of a block are [keys of heads, then values][16] floats.
inline const float* scales_of(const int8_t* cache, const Attention& layer, int32_t block, int head) {
    const int8_t* numbers = cache + size_t(block) * layer.width * LANES;
    return reinterpret_cast<const float*>(numbers + size_t(2) * layer.kv_heads * layer.key_width * LANES) + head * LANES;
}

constexpr float MASKED = -1e30f;
constexpr int FEW_QUERIES = 3;  // whose sums with two vectors fit 16 registers, where a vector is two of them

inline int blocks_of(int tokens) { return (tokens + LANES - 1) / LANES; }

// What a new token sees: `length` tokens, of which `prompt` are shared.
struct Row {
    const int32_t* table;
    int prompt, length;

    int blocks() const { return blocks_of(prompt) + blocks_of(length - prompt); }
};

// B blocks to score, and those that will be needed next, on their way to the cache meanwhile.
template <typename T, int B>
struct Blocks {
    const T *now[B], *next[B];
};

// scores[m][16 * B tokens] of M queries against B blocks.
template <typename T, int M, int B>
inline void score(const Blocks<T, B>& keys, const float* queries, int width, float* scores, size_t stride) {
    Floats sums[M][B] = {};
    for (int d = 0; d < width; d++) {
        Floats key[B];
        for (int b = 0; b < B; b++) {
            key[b] = load(keys.now[b] + d * LANES);
            __builtin_prefetch(keys.next[b] + d * LANES, 0, 2);
        }
        for (int m = 0; m < M; m++)
            for (int b = 0; b < B; b++) sums[m][b] += key[b] * queries[m * width + d];
    }
    for (int m = 0; m < M; m++)
        for (int b = 0; b < B; b++) store(scores + m * stride + b * LANES, sums[m][b]);
}

template <typename T, int B>
void score_blocks(const Blocks<T, B>& keys, const float* queries, int count, int width, float* scores, size_t stride) {
    constexpr int M = 6;
    for (; count >= M; count -= M, queries += M * width, scores += M * stride)
        score<T, M, B>(keys, queries, width, scores, stride);
    switch (count) {
        case 5: return score<T, 5, B>(keys, queries, width, scores, stride);
        case 4: return score<T, 4, B>(keys, queries, width, scores, stride);
        case 3: return score<T, 3, B>(keys, queries, width, scores, stride);
        case 2: return score<T, 2, B>(keys, queries, width, scores, stride);
        case 1: return score<T, 1, B>(keys, queries, width, scores, stride);
    }
}

// scores[m][tokens of the blocks from table[0] on] of `count` queries; `ahead` has blocks that are needed afterwards.
template <typename T>
void score_queries(const T* keys, size_t block_size, const int32_t* table, int blocks, const int32_t* ahead, int ahead_blocks,
                   const float* queries, int count, int width, float* scores, size_t stride) {
    int done = 0;
    auto run = [&](auto size) {
        constexpr int B = decltype(size)::value;
        for (; blocks - done >= B; done += B) {
            Blocks<T, B> some;
            for (int b = 0; b < B; b++) {
                some.now[b] = keys + table[done + b] * block_size;
                some.next[b] = keys + (done + b < ahead_blocks ? ahead : table)[done + b] * block_size;
            }
            score_blocks<T, B>(some, queries, count, width, scores + done * LANES, stride);
        }
    };
    if (MANY_REGISTERS) run(std::integral_constant<int, 3>{});
    if (MANY_REGISTERS || count <= FEW_QUERIES) run(std::integral_constant<int, 2>{});
    run(std::integral_constant<int, 1>{});
}

// results[m][d] = sum over tokens of weights[m][t] * values[d][t], for M queries and D neighbouring d.
template <typename T, int M, int D>
inline void weigh_values(const T* values, size_t block_size, const int32_t* table, int blocks, const float* weights,
                         size_t stride, float* results, int result_stride) {
    Floats sums[M][D] = {};
    for (int b = 0; b < blocks; b++) {
        const T* block = values + table[b] * block_size;
        Floats value[D];
        for (int d = 0; d < D; d++) value[d] = load(block + d * LANES);
        for (int m = 0; m < M; m++) {
            Floats weight = load(weights + m * stride + b * LANES);
            for (int d = 0; d < D; d++) sums[m][d] += weight * value[d];
        }
    }
    for (int m = 0; m < M; m++)
        for (int d = 0; d < D; d++) results[m * result_stride + d] = sum(sums[m][d]);
}

template <typename T, int M>
void weigh_all_values(const T* values, int width, size_t block_size, const int32_t* table, int blocks, const float* weights,
                      size_t stride, float* results) {
    constexpr int D = MANY_REGISTERS || M == 1 ? 4 : M <= FEW_QUERIES ? 2 : 1;
    int d = 0;
    for (; d + D <= width; d += D)
        weigh_values<T, M, D>(values + d * LANES, block_size, table, blocks, weights, stride, results + d, width);
    for (; d < width; d++)
        weigh_values<T, M, 1>(values + d * LANES, block_size, table, blocks, weights, stride, results + d, width);
}

template <typename T>
void weigh_queries(const T* values, int width, size_t block_size, const int32_t* table, int blocks, const float* weights,
                   size_t stride, int count, float* results) {
    for (; count >= 5; count -= 5, weights += 5 * stride, results += 5 * width)
        weigh_all_values<T, 5>(values, width, block_size, table, blocks, weights, stride, results);
    switch (count) {
        case 4: return weigh_all_values<T, 4>(values, width, block_size, table, blocks, weights, stride, results);
        case 3: return weigh_all_values<T, 3>(values, width, block_size, table, blocks, weights, stride, results);
        case 2: return weigh_all_values<T, 2>(values, width, block_size, table, blocks, weights, stride, results);
        case 1: return weigh_all_values<T, 1>(values, width, block_size, table, blocks, weights, stride, results);
    }
}

// Scores become weights that sum to one; what the row must not see becomes zero.
inline void softmax(float* scores, int blocks, int prompt, int length, int window) {
    int prompt_slots = blocks_of(prompt) * LANES;
    for (int i = prompt; i < prompt_slots; i++) scores[i] = MASKED;
    for (int i = prompt_slots + length - prompt; i < blocks * LANES; i++) scores[i] = MASKED;
    if (window && length > window) {
        int hidden = length - window;
        for (int i = 0; i < std::min(hidden, prompt); i++) scores[i] = MASKED;
        for (int i = prompt; i < hidden; i++) scores[prompt_slots + i - prompt] = MASKED;
    }
    Floats most = splat(MASKED);
    for (int b = 0; b < blocks; b++) most = larger(load(scores + b * LANES), most);
    float peak = largest(most);
    Floats total{};
    for (int b = 0; b < blocks; b++) {
        Floats weight = exp_of(load(scores + b * LANES) - peak);
        total += weight;
        store(scores + b * LANES, weight);
    }
    float factor = 1.0f / sum(total);
    for (int b = 0; b < blocks; b++) store(scores + b * LANES, load(scores + b * LANES) * factor);
}

// Multiplies what stands for each token of a row's blocks by its scale; where the cache has none, nothing is done.
template <typename T>
inline void scale_tokens(const T*, const Attention&, const Row&, int, int, float*) {}

inline void scale_tokens(const int8_t* cache, const Attention& layer, const Row& row, int blocks, int head, float* numbers) {
    for (int b = 0; b < blocks; b++, numbers += LANES)
        store(numbers, load(numbers) * load(scales_of(cache, layer, row.table[b], head)));
}

// results[row][query][value_width] of `group` queries (scaled) for each row against one key/value head.
//
// `cache`: where it begins, for the scales of `head`.
template <typename T>
void attend(const T* cache, int head, const T* keys, const T* values, const Attention& layer, const std::vector<Row>& rows,
            int group, const float* queries, float* results) {
    size_t block_size = size_t(layer.width) * LANES;
    int count = int(rows.size()), most_blocks = 0;
    for (const Row& row : rows) most_blocks = std::max(most_blocks, row.blocks());
    bool neighbours = rows[0].table == rows[count - 1].table;
    bool alike = neighbours && rows[0].blocks() == most_blocks;  // all values that one of them needs
    int shared = neighbours ? most_blocks : blocks_of(rows[0].prompt);
    size_t stride = size_t(most_blocks) * LANES;
    float* scores = scratch<0>(count * group * stride);
    auto own_blocks = [&](int r) { return r < count ? std::max(rows[r].blocks() - shared, 0) : 0; };
    score_queries(keys, block_size, rows[0].table, shared, rows[0].table + shared, own_blocks(0), queries, count * group,
                  layer.key_width, scores, stride);
    for (int r = 0; r < count; r++) {
        const Row& row = rows[r];
        int blocks = row.blocks();
        float* row_scores = scores + r * group * stride;
        score_queries(keys, block_size, row.table + shared, own_blocks(r), rows[std::min(r + 1, count - 1)].table + shared,
                      own_blocks(r + 1), queries + r * group * layer.key_width, group, layer.key_width,
                      row_scores + shared * LANES, stride);
        for (int m = 0; m < group; m++) {
            float* own = row_scores + m * stride;
            scale_tokens(cache, layer, row, blocks, head, own);
            softmax(own, blocks, row.prompt, row.length, layer.window);
            scale_tokens(cache, layer, row, blocks, layer.kv_heads + head, own);
        }
        if (!alike)
            weigh_queries(values, layer.value_width, block_size, row.table, blocks, row_scores, stride, group,
                          results + r * group * layer.value_width);
    }
    if (alike)
        weigh_queries(values, layer.value_width, block_size, rows[0].table, most_blocks, scores, stride, count * group, results);
}
