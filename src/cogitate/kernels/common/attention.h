// The two kinds of attention of new tokens: with a latent cache (MLA) and with grouped queries (GQA). What is new is normalised,
// rotated and kept, then attended to with all that it sees (attend.h).
#pragma once

#include "attend.h"

inline void rotate(float* x, int width, const float* rotation, bool interleaved) {
    int half = width / 2, step = interleaved ? 1 : half, next = interleaved ? 2 : 1;
    for (int i = 0; i < half; i++) {
        float *first = x + i * next, *second = first + step;
        float cosine = rotation[2 * i], sine = rotation[2 * i + 1], kept = *first;
        *first = kept * cosine - *second * sine;
        *second = kept * sine + *second * cosine;
    }
}

// The block of the new token, and its lane there.
inline int32_t block_of(const Row& row) { return row.table[blocks_of(row.prompt) + (row.length - row.prompt - 1) / LANES]; }
inline int lane_of(const Row& row) { return (row.length - row.prompt - 1) % LANES; }

// Where the new token is kept: entry d goes to slot[d * 16].
template <typename T>
T* slot_of(const Attention& layer, const Row& row) {
    return static_cast<T*>(layer.cache) + size_t(block_of(row)) * layer.width * LANES + lane_of(row);
}

// Keep the numbers of a head's key or value; `head` counts keys first, then values.
template <typename T>
inline void keep_numbers(T* slot, const Attention& layer, const Row&, int head, const float* from) {
    for (int i = 0; i < layer.key_width; i++) put(slot + (head * layer.key_width + i) * LANES, from[i]);
}

inline void keep_numbers(int8_t* slot, const Attention& layer, const Row& row, int head, const float* from) {
    float most = 0, strange = 0;  // NaN where a number is not finite: the scale says so
    for (int i = 0; i < layer.key_width; i++) most = std::max(most, std::fabs(from[i])), strange += from[i] * 0.0f;
    float scale = most / 127.0f + strange, inverse = most > 0 ? 127.0f / most : 0.0f;
    for (int i = 0; i < layer.key_width; i++) {
        float number = std::max(-127.0f, std::min(127.0f, from[i] * inverse));  // also where the inverse is infinite
        slot[(head * layer.key_width + i) * LANES] = int8_t(std::nearbyint(number));
    }
    const float* scales = scales_of(static_cast<const int8_t*>(layer.cache), layer, block_of(row), head);
    const_cast<float*>(scales)[lane_of(row)] = scale;
}

// out[m][columns] = sum over i of x[m][i] * matrix[i][columns], for M rows and V vectors of columns.
template <int M, int V, typename X>
inline void multiply_part(const float* x, int64_t stride, int depth, const float* matrix, int columns, X* out,
                          int64_t out_stride) {
    Floats sums[M][V] = {};
    for (int i = 0; i < depth; i++)
        for (int v = 0; v < V; v++) {
            Floats part = load(matrix + size_t(i) * columns + v * LANES);
            for (int m = 0; m < M; m++) sums[m][v] += part * x[m * stride + i];
        }
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) store(out + m * out_stride + v * LANES, sums[m][v]);
}

// The same for any number of rows and columns.
template <typename X>
void multiply(const float* x, int64_t stride, int rows, int depth, const float* matrix, int columns, X* out,
              int64_t out_stride) {
    int c = 0;
    auto whole = [&](auto vectors) {
        constexpr int V = decltype(vectors)::value;
        for (; c + V * LANES <= columns; c += V * LANES) {
            int m = 0;
            for (; m + 4 <= rows; m += 4)
                multiply_part<4, V>(x + m * stride, stride, depth, matrix + c, columns, out + m * out_stride + c, out_stride);
            for (; m < rows; m++)
                multiply_part<1, V>(x + m * stride, stride, depth, matrix + c, columns, out + m * out_stride + c, out_stride);
        }
    };
    whole(std::integral_constant<int, MANY_REGISTERS ? 4 : 1>{});
    whole(std::integral_constant<int, 1>{});
    for (int m = 0; m < rows; m++)
        for (int rest = c; rest < columns; rest++) {
            float total = 0;
            for (int i = 0; i < depth; i++) total += matrix[size_t(i) * columns + rest] * x[m * stride + i];
            put(out + m * out_stride + rest, total);
        }
}

inline Row row_of(const Step& step, int token) {
    int64_t row = step.row[token];
    return {step.table + row * step.table_stride, step.shared[row], int(step.length[token])};
}

inline std::vector<Row> rows_of(const Step& step, int unit) {
    std::vector<Row> rows;
    for (int token = step.unit_token[unit]; token < step.unit_token[unit + 1]; token++) rows.push_back(row_of(step, token));
    return rows;
}

// Normalise and rotate a token's latent and key, and keep them.
template <typename T>
void mla_keep(const Step& step, const Attention& layer, int token, const float* entry) {
    int latent = layer.value_width, width = layer.key_width, rope = layer.rope_width;
    float* made = scratch<1>(width);
    Row row = row_of(step, token);
    rms_norm_row(entry, layer.latent_norm, layer.eps, latent, made);
    memcpy(made + latent, entry + latent, rope * sizeof(float));
    rotate(made + latent, rope, step.rotation + size_t(row.length - 1) * rope, layer.interleaved);
    T* slot = slot_of<T>(layer, row);
    for (int i = 0; i < width; i++) put(slot + i * LANES, made[i]);
}

// The absorbed form (DeepSeek-V2, section 2.1.2): queries are brought to the width of latents, results back from it.
template <typename T>
void mla_unit(const Step& step, const Attention& layer, int unit, const float* query, int64_t query_stride, T* out,
              int64_t out_stride) {
    std::vector<Row> rows = rows_of(step, unit);
    int count = int(rows.size()), first = step.unit_token[unit];
    int heads = layer.heads, latent = layer.value_width, width = layer.key_width, rope = layer.rope_width;
    int head_width = layer.nope + rope;
    float* queries = scratch<1>(size_t(count) * heads * (width + latent + head_width));
    float* results = queries + size_t(count) * heads * width;
    float* scaled = results + size_t(count) * heads * latent;
    for (int r = 0; r < count; r++) {
        const float* rotation = step.rotation + size_t(rows[r].length - 1) * rope;
        for (int h = 0; h < heads; h++) {
            const float* from = query + (first + r) * query_stride + h * head_width;
            float* to = scaled + (size_t(r) * heads + h) * head_width;
            for (int i = 0; i < head_width; i++) to[i] = from[i] * layer.scale;
            rotate(to + layer.nope, rope, rotation, layer.interleaved);
            memcpy(queries + (size_t(r) * heads + h) * width + latent, to + layer.nope, rope * sizeof(float));
        }
    }
    for (int h = 0; h < heads; h++)
        multiply(scaled + h * head_width, heads * head_width, count, layer.nope, layer.key_up + size_t(h) * layer.nope * latent,
                 latent, queries + h * width, heads * width);
    const T* cache = static_cast<const T*>(layer.cache);
    attend(cache, 0, cache, cache, layer, rows, heads, queries, results);
    for (int h = 0; h < heads; h++)
        multiply(results + h * latent, heads * latent, count, latent, layer.value_up + size_t(h) * latent * layer.v_width,
                 layer.v_width, out + first * out_stride + h * layer.v_width, out_stride);
}

// Normalise and rotate a token's keys, and keep them and its values; C is what the cache holds.
template <typename C>
void gqa_keep(const Step& step, const Attention& layer, int token, const float* keys) {
    int width = layer.key_width;
    float* key = scratch<1>(width);
    Row row = row_of(step, token);
    C* slot = slot_of<C>(layer, row);
    for (int head = 0; head < layer.kv_heads; head++) {
        const float* from = keys + head * width;
        if (layer.k_norm) rms_norm_row(from, layer.k_norm, layer.eps, width, key);
        else memcpy(key, from, width * sizeof(float));
        rotate(key, width, step.rotation + size_t(row.length - 1) * width, layer.interleaved);
        keep_numbers(slot, layer, row, head, key);
    }
    for (int head = layer.kv_heads; head < 2 * layer.kv_heads; head++) keep_numbers(slot, layer, row, head, keys + head * width);
}

template <typename C, typename T>
void gqa_unit(const Step& step, const Attention& layer, int unit, int kv_head, const float* projected, int64_t stride, T* out,
              int64_t out_stride) {
    std::vector<Row> rows = rows_of(step, unit);
    int count = int(rows.size()), first = step.unit_token[unit];
    int group = layer.heads / layer.kv_heads, width = layer.key_width;
    float* queries = scratch<1>(size_t(count) * group * width * 2);
    float* results = queries + size_t(count) * group * width;
    for (int r = 0; r < count; r++) {
        const float* rotation = step.rotation + size_t(rows[r].length - 1) * width;
        for (int m = 0; m < group; m++) {
            float* to = queries + (size_t(r) * group + m) * width;
            const float* from = projected + (first + r) * stride + (kv_head * group + m) * width;
            if (layer.q_norm) rms_norm_row(from, layer.q_norm, layer.eps, width, to);
            else memcpy(to, from, width * sizeof(float));
            rotate(to, width, rotation, layer.interleaved);
            for (int i = 0; i < width; i++) to[i] *= layer.scale;
        }
    }
    const C* cache = static_cast<const C*>(layer.cache);
    const C* values = cache + size_t(layer.kv_heads) * width * LANES;
    size_t head_at = size_t(kv_head) * width * LANES;
    attend(cache, kv_head, cache + head_at, values + head_at, layer, rows, group, queries, results);
    for (int r = 0; r < count; r++) {
        T* to = out + (first + r) * out_stride + kv_head * group * width;
        for (int i = 0; i < group * width; i++) put(to + i, results[size_t(r) * group * width + i]);
    }
}

// Keep the new tokens, then attend to all they see. Within a parallel region the threads share the work; all have finished
// when it returns.
template <typename T>
void mla(const Step& step, const Attention& layer, const float* query, int64_t query_stride, const float* entry,
         int64_t entry_stride, T* out, int64_t out_stride) {
#pragma omp for
    for (int token = 0; token < step.tokens; token++) mla_keep<T>(step, layer, token, entry + token * entry_stride);
#pragma omp for schedule(dynamic, 1)
    for (int unit = 0; unit < step.units; unit++)
        mla_unit<T>(step, layer, unit, query, query_stride, out, out_stride);
}

template <typename C, typename T>
void gqa_by(const Step& step, const Attention& layer, const float* projected, int64_t stride, T* out, int64_t out_stride) {
    int keys_at = layer.heads * layer.key_width;
#pragma omp for
    for (int token = 0; token < step.tokens; token++) gqa_keep<C>(step, layer, token, projected + token * stride + keys_at);
#pragma omp for schedule(dynamic, 1)
    for (int piece = 0; piece < step.units * layer.kv_heads; piece++)
        gqa_unit<C>(step, layer, piece / layer.kv_heads, piece % layer.kv_heads, projected, stride, out, out_stride);
}

template <typename T>
void gqa(const Step& step, const Attention& layer, const float* projected, int64_t stride, T* out, int64_t out_stride) {
    if (layer.bits) gqa_by<int8_t>(step, layer, projected, stride, out, out_stride);
    else gqa_by<T>(step, layer, projected, stride, out, out_stride);
}
