// Attention of one new token for each of many rows, reading a cache of blocks (kv_cache.py) in place.
//
// A block holds 16 tokens, [width][16]: each number of the entry for 16 tokens side by side, so that scores of 16 tokens are
// made at once by broadcasting the query, and weighted sums of values are accumulated without rearranging anything.
// Rows that share a prompt are handled together: its blocks come from the first-level cache for all but the first of them.
// A row's result does not depend on the other rows, nor on the number of threads.
#include <algorithm>

#include "vectors.h"

extern "C" {

// One decoding step, the same for all layers.
struct Step {
    int32_t units;            // independent pieces of work
    int32_t table_stride;     // blocks a row of the table has room for
    const int32_t* unit_row;  // [units + 1]: batch rows unit_row[u] .. unit_row[u + 1] - 1 share their prompt
    const int64_t* row;       // [batch]: the cache row of each batch row
    const int32_t* table;     // [cache rows][table_stride]: the blocks of each row, those of its shared prompt first
    const int32_t* shared;    // [cache rows]: tokens of the shared prompt; the token after it begins a block
    const int64_t* length;    // [cache rows]: all tokens, the new one included
    const float* rotation;    // [positions][rotated width / 2][2]: cosine and sine
};

struct Layer {
    void* cache;  // [blocks][width][16]
    int32_t width;
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

namespace {

constexpr float MASKED = -1e30f;

struct Row {
    const int32_t* table;
    int prompt, length;
};

inline int blocks_of(int tokens) { return (tokens + LANES - 1) / LANES; }

// scores[m][16 tokens] of M queries against one block.
template <typename T, int M>
inline void score_block(const T* keys, const float* queries, int width, float* scores, size_t stride) {
    Floats sums[M] = {};
    for (int d = 0; d < width; d++) {
        Floats key = load(keys + d * LANES);
        for (int m = 0; m < M; m++) sums[m] += key * queries[m * width + d];
    }
    for (int m = 0; m < M; m++) store(scores + m * stride, sums[m]);
}

template <typename T>
void score_queries(const T* keys, const float* queries, int count, int width, float* scores, size_t stride) {
    for (; count >= 8; count -= 8, queries += 8 * width, scores += 8 * stride)
        score_block<T, 8>(keys, queries, width, scores, stride);
    switch (count) {
        case 7: return score_block<T, 7>(keys, queries, width, scores, stride);
        case 6: return score_block<T, 6>(keys, queries, width, scores, stride);
        case 5: return score_block<T, 5>(keys, queries, width, scores, stride);
        case 4: return score_block<T, 4>(keys, queries, width, scores, stride);
        case 3: return score_block<T, 3>(keys, queries, width, scores, stride);
        case 2: return score_block<T, 2>(keys, queries, width, scores, stride);
        case 1: return score_block<T, 1>(keys, queries, width, scores, stride);
    }
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
    int d = 0;
    for (; d + 4 <= width; d += 4)
        weigh_values<T, M, 4>(values + d * LANES, block_size, table, blocks, weights, stride, results + d, width);
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
void softmax(float* scores, int blocks, int prompt, int length, int window) {
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

// results[row][query][value_width] of `group` queries (scaled) for each row against one key/value head.
template <typename T>
void attend(const T* keys, const T* values, const Layer& layer, const std::vector<Row>& rows, int group,
            const float* queries, float* results) {
    size_t block_size = size_t(layer.width) * LANES;
    int count = int(rows.size()), shared = blocks_of(rows[0].prompt), longest = 0;
    for (const Row& row : rows) longest = std::max(longest, row.length - row.prompt);
    size_t stride = size_t(shared + blocks_of(longest)) * LANES;
    float* scores = scratch<0>(count * group * stride);
    for (int b = 0; b < shared; b++)
        score_queries(keys + rows[0].table[b] * block_size, queries, count * group, layer.key_width, scores + b * LANES,
                      stride);
    for (int r = 0; r < count; r++) {
        const Row& row = rows[r];
        int blocks = shared + blocks_of(row.length - row.prompt);
        float* row_scores = scores + r * group * stride;
        for (int b = shared; b < blocks; b++)
            score_queries(keys + row.table[b] * block_size, queries + r * group * layer.key_width, group, layer.key_width,
                          row_scores + b * LANES, stride);
        for (int m = 0; m < group; m++) softmax(row_scores + m * stride, blocks, row.prompt, row.length, layer.window);
        weigh_queries(values, layer.value_width, block_size, row.table, blocks, row_scores, stride, group,
                      results + r * group * layer.value_width);
    }
}

void rotate(float* x, int width, const float* rotation, bool interleaved) {
    int half = width / 2, step = interleaved ? 1 : half, next = interleaved ? 2 : 1;
    for (int i = 0; i < half; i++) {
        float *first = x + i * next, *second = first + step;
        float cosine = rotation[2 * i], sine = rotation[2 * i + 1], kept = *first;
        *first = kept * cosine - *second * sine;
        *second = kept * sine + *second * cosine;
    }
}

void normalise(float* x, int width, const float* weight, float eps) {
    float squares = 0;
    for (int i = 0; i < width; i++) squares += x[i] * x[i];
    float factor = 1.0f / std::sqrt(squares / width + eps);
    for (int i = 0; i < width; i++) x[i] *= factor * weight[i];
}

// The slot of the new token, the last of its row: entry d goes to slot[d * 16].
template <typename T>
T* slot_of(const Layer& layer, const Row& row) {
    int place = row.length - row.prompt - 1;
    int32_t block = row.table[blocks_of(row.prompt) + place / LANES];
    return static_cast<T*>(layer.cache) + size_t(block) * layer.width * LANES + place % LANES;
}

// result[columns] = sum over rows i of x[i] * matrix[i][columns]
void multiply(const float* x, int rows, const float* matrix, int columns, float* result) {
    int c = 0;
    for (; c + 4 * LANES <= columns; c += 4 * LANES) {
        Floats sums[4] = {};
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < 4; v++) sums[v] += load(matrix + i * columns + c + v * LANES) * x[i];
        for (int v = 0; v < 4; v++) store(result + c + v * LANES, sums[v]);
    }
    for (; c + LANES <= columns; c += LANES) {
        Floats sums{};
        for (int i = 0; i < rows; i++) sums += load(matrix + i * columns + c) * x[i];
        store(result + c, sums);
    }
    for (; c < columns; c++) {
        float total = 0;
        for (int i = 0; i < rows; i++) total += matrix[i * columns + c] * x[i];
        result[c] = total;
    }
}

std::vector<Row> rows_of(const Step& step, int unit) {
    std::vector<Row> rows;
    for (int i = step.unit_row[unit]; i < step.unit_row[unit + 1]; i++) {
        int64_t row = step.row[i];
        rows.push_back({step.table + row * step.table_stride, step.shared[row], int(step.length[row])});
    }
    return rows;
}

template <typename T>
void mla_unit(const Step& step, const Layer& layer, int unit, const T* query, int64_t query_stride, const T* entry,
              int64_t entry_stride, T* out) {
    std::vector<Row> rows = rows_of(step, unit);
    int count = int(rows.size()), first = step.unit_row[unit];
    int heads = layer.heads, latent = layer.value_width, width = layer.key_width, rope = layer.rope_width;
    float* queries = scratch<1>(count * heads * (width + latent) + width + layer.nope + rope + layer.v_width);
    float* results = queries + count * heads * width;
    float* part = results + count * heads * latent;
    for (int r = 0; r < count; r++) {
        int row = first + r;
        const float* rotation = step.rotation + size_t(rows[r].length - 1) * rope;
        for (int i = 0; i < width; i++) part[i] = to_float(entry[row * entry_stride + i]);
        normalise(part, latent, layer.latent_norm, layer.eps);
        rotate(part + latent, rope, rotation, layer.interleaved);
        T* slot = slot_of<T>(layer, rows[r]);
        for (int i = 0; i < width; i++) put(slot + i * LANES, part[i]);
        for (int h = 0; h < heads; h++) {
            const T* from = query + row * query_stride + h * (layer.nope + rope);
            float* to = queries + (r * heads + h) * width;
            for (int i = 0; i < layer.nope + rope; i++) part[i] = to_float(from[i]) * layer.scale;
            multiply(part, layer.nope, layer.key_up + size_t(h) * layer.nope * latent, latent, to);
            rotate(part + layer.nope, rope, rotation, layer.interleaved);
            memcpy(to + latent, part + layer.nope, rope * sizeof(float));
        }
    }
    const T* cache = static_cast<const T*>(layer.cache);
    attend(cache, cache, layer, rows, heads, queries, results);
    for (int r = 0; r < count; r++)
        for (int h = 0; h < heads; h++) {
            multiply(results + (r * heads + h) * latent, latent, layer.value_up + size_t(h) * latent * layer.v_width,
                     layer.v_width, part);
            T* to = out + (size_t(first + r) * heads + h) * layer.v_width;
            for (int i = 0; i < layer.v_width; i++) put(to + i, part[i]);
        }
}

template <typename T>
void gqa_unit(const Step& step, const Layer& layer, int unit, int kv_head, const T* projected, T* out) {
    std::vector<Row> rows = rows_of(step, unit);
    int count = int(rows.size()), first = step.unit_row[unit];
    int group = layer.heads / layer.kv_heads, width = layer.key_width;
    size_t stride = size_t(layer.heads + 2 * layer.kv_heads) * width;
    float* queries = scratch<1>(count * group * width * 2 + width);
    float* results = queries + count * group * width;
    float* part = results + count * group * width;
    int key_at = kv_head * width, value_at = (layer.kv_heads + kv_head) * width;
    for (int r = 0; r < count; r++) {
        const T* row = projected + (first + r) * stride;
        const float* rotation = step.rotation + size_t(rows[r].length - 1) * width;
        for (int m = 0; m < group; m++) {
            float* to = queries + (r * group + m) * width;
            for (int i = 0; i < width; i++) to[i] = to_float(row[(kv_head * group + m) * width + i]);
            if (layer.q_norm) normalise(to, width, layer.q_norm, layer.eps);
            rotate(to, width, rotation, layer.interleaved);
            for (int i = 0; i < width; i++) to[i] *= layer.scale;
        }
        const T* key = row + size_t(layer.heads) * width + key_at;
        const T* value = row + size_t(layer.heads) * width + value_at;
        for (int i = 0; i < width; i++) part[i] = to_float(key[i]);
        if (layer.k_norm) normalise(part, width, layer.k_norm, layer.eps);
        rotate(part, width, rotation, layer.interleaved);
        T* slot = slot_of<T>(layer, rows[r]);
        for (int i = 0; i < width; i++) put(slot + (key_at + i) * LANES, part[i]);
        for (int i = 0; i < width; i++) slot[(value_at + i) * LANES] = value[i];
    }
    const T* cache = static_cast<const T*>(layer.cache);
    attend(cache + key_at * LANES, cache + value_at * LANES, layer, rows, group, queries, results);
    for (int r = 0; r < count; r++) {
        T* to = out + (size_t(first + r) * layer.heads + kv_head * group) * width;
        for (int i = 0; i < group * width; i++) put(to + i, results[r * group * width + i]);
    }
}

template <typename T>
void mla(const Step& step, const Layer& layer, const T* query, int64_t query_stride, const T* entry, int64_t entry_stride,
         T* out) {
#pragma omp parallel for schedule(dynamic, 1) if (step.units > 1)
    for (int unit = 0; unit < step.units; unit++)
        mla_unit(step, layer, unit, query, query_stride, entry, entry_stride, out);
}

template <typename T>
void gqa(const Step& step, const Layer& layer, const T* projected, T* out) {
    int pieces = step.units * layer.kv_heads;
#pragma omp parallel for schedule(dynamic, 1) if (pieces > 1)
    for (int piece = 0; piece < pieces; piece++)
        gqa_unit(step, layer, piece / layer.kv_heads, piece % layer.kv_heads, projected, out);
}

}  // namespace

extern "C" {

void mla_attend_f32(const Step* step, const Layer* layer, const float* query, int64_t query_stride, const float* entry,
                    int64_t entry_stride, float* out) {
    mla(*step, *layer, query, query_stride, entry, entry_stride, out);
}

void mla_attend_bf16(const Step* step, const Layer* layer, const bfloat16* query, int64_t query_stride, const bfloat16* entry,
                     int64_t entry_stride, bfloat16* out) {
    mla(*step, *layer, query, query_stride, entry, entry_stride, out);
}

void gqa_attend_f32(const Step* step, const Layer* layer, const float* projected, float* out) {
    gqa(*step, *layer, projected, out);
}

void gqa_attend_bf16(const Step* step, const Layer* layer, const bfloat16* projected, bfloat16* out) {
    gqa(*step, *layer, projected, out);
}
}
