// Attention of training, forward and backward: softmax(q k^T) v where each query sees two ranges of keys, a prompt and its own
// text up to itself. Blocks of 32 queries meet blocks of 32 keys, and those that no query of a block sees are left out:
// packed documents and completions of one prompt cost what they would cost alone. Scores never leave a core's cache
// (FlashAttention-2, arXiv:2307.08691); query heads that share a key head read it where it stands (arXiv:2305.13245).
//
// Sums run in a fixed order whatever the threads do: the same inputs give the same bytes.
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

// What the query at t sees: keys prompt_from .. prompt_to - 1, and own_from .. t.
struct Range {
    int32_t prompt_from, prompt_to, own_from;
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
            widest = {std::min(widest.prompt_from, r.prompt_from), std::max(widest.prompt_to, r.prompt_to),
                      std::min(widest.own_from, r.own_from)};
            narrowest = {std::max(narrowest.prompt_from, r.prompt_from), std::min(narrowest.prompt_to, r.prompt_to),
                         std::max(narrowest.own_from, r.own_from)};
        }
    }

    // visit(first key, all of them are seen by all queries)
    template <typename Visit>
    void for_key_blocks(Visit&& visit) const {
        int own = widest.own_from / SIDE;
        for (int k = widest.prompt_from / SIDE; k < own && k * SIDE < widest.prompt_to; k++) visit(k * SIDE, whole(k * SIDE));
        for (int k = own; k * SIDE < first + count; k++) visit(k * SIDE, whole(k * SIDE));
    }

    bool whole(int key) const {
        if (count < SIDE) return false;
        return (key >= narrowest.prompt_from && key + SIDE <= narrowest.prompt_to) ||
               (key >= narrowest.own_from && key + SIDE - 1 <= first);
    }

    // 16 bits: which of 16 keys query m sees.
    Ints seen(int m, int key) const {
        const Ints steps = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        const Range& r = ranges[m];
        Ints keys = steps + key;
        return ((keys >= r.prompt_from) & (keys < r.prompt_to)) | ((keys >= r.own_from) & (keys <= first + m));
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
            memcpy(to + m * to_width + 2 * w, &pairs, sizeof pairs);
        }
}

// The same rows, transposed: `width` rows of 32 words.
void transpose_words(void* to, const void* from, int64_t stride, int count, int width) {
    for (int w = 0; w < width; w += LANES)
        for (int m = 0; m < SIDE; m += LANES) {
            Words words[LANES];
            for (int i = 0; i < LANES; i++)
                words[i] = some<Words>((const uint32_t*)from + (m + i) * stride + w, m + i < count ? width - w : 0);
            transpose_16(words);
            for (int i = 0; i < std::min(LANES, width - w); i++) memcpy((uint32_t*)to + (w + i) * SIDE + m, words + i, sizeof words[i]);
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
#pragma omp for schedule(static)
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

constexpr float SLACK = 8.0f;  // scores are shifted anew when one exceeds the shift by this: weights stay below e^8

template <typename T>
struct ForwardBlock {
    float *scores, *out;
    T *q, *weights;
    float shift[SIDE];    // -inf: the query has seen nothing yet
    Floats total[SIDE]{};

    ForwardBlock(int width, int v_width) {
        float* memory = scratch<11>(SIDE * (2 * SIDE + v_width + width));
        scores = memory, out = scores + SIDE * SIDE;
        q = reinterpret_cast<T*>(out + SIDE * v_width), weights = q + SIDE * width;
        std::fill(shift, shift + SIDE, -INFINITY);
        std::fill(out, out + SIDE * v_width, 0.0f);
    }

    // weights = exp(scale * scores - shift). Where that grows too much, the shift is raised and what has been summed shrinks.
    void weigh(const QueryBlock& block, int key, bool whole, float scale, int v_width) {
        for (int m = 0; m < block.count; m++) {
            Floats s[2];
            for (int v = 0; v < 2; v++) {
                s[v] = load(scores + m * SIDE + v * LANES) * scale;
                if (!whole) s[v] = block.seen(m, key + v * LANES) ? s[v] : splat(-INFINITY);
            }
            if (any(larger(s[0], s[1]) > splat(shift[m] + SLACK))) raise(m, largest(larger(s[0], s[1])), v_width);
            Floats by = splat(shift[m] == -INFINITY ? 0.0f : shift[m]);
            for (int v = 0; v < 2; v++) {
                s[v] = exp_of(s[v] - by);
                store(weights + m * SIDE + v * LANES, s[v]);
            }
            total[m] += s[0] + s[1];
        }
    }

    void raise(int m, float most, int v_width) {
        float shrink = std::exp(shift[m] - most);
        for (int w = 0; w < v_width; w += LANES) store(out + m * v_width + w, load(out + m * v_width + w) * shrink);
        total[m] *= shrink;
        shift[m] = most;
    }
};

template <typename T>
T* key_blocks(const Shape& shape, bool backward) {
    size_t elements = KeyBlock<T>::elements(shape, backward) * shape.rows * shape.kv_heads * shape.blocks();
    return reinterpret_cast<T*>(scratch<10>(elements * sizeof(T) / sizeof(float)));
}

template <typename T>
void forward(const Shape& shape, const View<const T>& q, const View<const T>& k, const View<const T>& v, const Range* ranges,
             const View<T>& out, float* logsumexp) {
    int blocks = shape.blocks(), width = padded(shape.width), v_width = padded(shape.v_width);
    T* memory = key_blocks<T>(shape, false);
#pragma omp parallel
    {
        KeyBlock<T>::fill(shape, k, v, false, memory);
        BlockProducts<T> products;
#pragma omp for schedule(dynamic, 4)
        for (int piece = 0; piece < shape.rows * shape.heads * blocks; piece++) {
            int b = piece / (shape.heads * blocks), h = piece / blocks % shape.heads;
            QueryBlock block(shape, ranges + size_t(shape.range_rows > 1 ? b : 0) * shape.tokens, blocks - 1 - piece % blocks);
            ForwardBlock<T> now(width, v_width);
            copy_rows(now.q, width, q.at(b, block.first, h), q.token, block.count, shape.width);
            block.for_key_blocks([&](int key, bool whole) {
                KeyBlock<T> keys(shape, b, h / shape.queries_of_kv(), key, false, memory);
                multiply<false>(now.q, width, keys.k_transposed, SIDE, now.scores, SIDE, SIDE, SIDE, width);
                now.weigh(block, key, whole, shape.scale, v_width);
                multiply<true>(now.weights, SIDE, keys.v, v_width, now.out, v_width, SIDE, v_width, SIDE);
            });
            float* to = logsumexp + (size_t(b) * shape.heads + h) * shape.tokens + block.first;
            for (int m = 0; m < block.count; m++) {
                float total = sum(now.total[m]);
                to[m] = now.shift[m] + std::log(total);
                store_row(out.at(b, block.first + m, h), now.out + m * v_width, 1.0f / total, shape.v_width);
            }
        }
    }
}

// The gradients of one query head: those of keys and values as sums, transposed, (width, keys) and (v_width, keys).
template <typename T>
struct BackwardHead {
    float *scores, *weight_grads, *q_grads;
    T *q, *out_grads, *q_transposed, *out_transposed, *weights, *score_grads, *score_grads_right;

    BackwardHead(int width, int v_width) {
        int floats = SIDE * (2 * SIDE + width), elements = SIDE * (2 * width + 2 * v_width + 3 * SIDE);
        float* memory = scratch<12>(floats + elements);
        scores = memory, weight_grads = scores + SIDE * SIDE, q_grads = weight_grads + SIDE * SIDE;
        q = reinterpret_cast<T*>(q_grads + SIDE * width), q_transposed = q + SIDE * width;
        out_grads = q_transposed + SIDE * width, out_transposed = out_grads + SIDE * v_width;
        weights = out_transposed + SIDE * v_width, score_grads = weights + SIDE * SIDE;
        score_grads_right = score_grads + SIDE * SIDE;
    }

    // From scores and the gradients of weights: the weights, and d loss / d scores = weights * (d weights - their mean).
    void differentiate(const QueryBlock& block, int key, bool whole, float scale, const float* logsumexp, const float* means) {
        for (int pair = 0; pair < SIDE; pair += 2) {
            Floats p[2][2], d[2][2];
            for (int i = 0; i < 2; i++)
                for (int v = 0; v < 2; v++) {
                    int m = pair + i, at = m * SIDE + v * LANES;
                    if (m >= block.count) {
                        p[i][v] = d[i][v] = Floats{};
                        store(score_grads + at, d[i][v]);
                        continue;
                    }
                    p[i][v] = exp_of(load(scores + at) * scale - logsumexp[m]);
                    if (!whole) p[i][v] = block.seen(m, key + v * LANES) ? p[i][v] : Floats{};
                    d[i][v] = p[i][v] * (load(weight_grads + at) - means[m]) * scale;
                    store(score_grads + at, d[i][v]);
                }
            store_right(weights, pair, p[0], p[1]);
            store_right(score_grads_right, pair, d[0], d[1]);
        }
    }
};

template <typename T>
float dot(const T* a, const T* b, int count) {
    Floats total{};
    int i = 0;
    for (; i + LANES <= count; i += LANES) total += load(a + i) * load(b + i);
    if (i < count) total += load_part(a + i, count - i) * load_part(b + i, count - i);
    return sum(total);
}

// Sums over query heads, (width, 32), as rows of a gradient.
template <typename T>
void collect(const float* sums, int64_t head_stride, int heads, int count, T* to, int64_t stride, int width) {
    for (int w = 0; w < width; w += LANES)
        for (int half = 0; half < count; half += LANES) {
            Words rows[LANES];
            for (int i = 0; i < LANES; i++) {
                Floats total{};
                for (int h = 0; h < heads; h++) total += load(sums + h * head_stride + (w + i) * SIDE + half);
                rows[i] = (Words)total;
            }
            transpose_16(rows);
            for (int m = half; m < std::min(count, half + LANES); m++) {
                Floats total = (Floats)rows[m - half];
                if (width - w >= LANES)
                    store(to + m * stride + w, total);
                else
                    store_part(to + m * stride + w, total, width - w);
            }
        }
}

template <typename T>
void backward(const Shape& shape, const View<const T>& q, const View<const T>& k, const View<const T>& v, const Range* ranges,
              const View<const T>& out, const float* logsumexp, const View<const T>& out_grad, const View<T>& q_grad,
              const View<T>& k_grad, const View<T>& v_grad) {
    int blocks = shape.blocks(), width = padded(shape.width), v_width = padded(shape.v_width);
    T* memory = key_blocks<T>(shape, true);
    int64_t of_block = SIDE * (width + v_width), of_head = of_block * blocks;  // gradients of 32 keys and values, as sums
    float* sums = scratch<13>(of_head * shape.rows * shape.heads);
#pragma omp parallel
    {
        KeyBlock<T>::fill(shape, k, v, true, memory);
        BlockProducts<T> products;
#pragma omp for schedule(dynamic, 1)
        for (int piece = 0; piece < shape.rows * shape.heads; piece++) {
            int b = piece / shape.heads, h = piece % shape.heads;
            float* head_sums = sums + of_head * piece;
            BackwardHead<T> now(width, v_width);
            for (int i = 0; i < blocks; i++) {
                QueryBlock block(shape, ranges + size_t(shape.range_rows > 1 ? b : 0) * shape.tokens, i);
                const T *q_rows = q.at(b, block.first, h), *grad_rows = out_grad.at(b, block.first, h);
                copy_rows(now.q, width, q_rows, q.token, block.count, shape.width);
                copy_rows(now.out_grads, v_width, grad_rows, out_grad.token, block.count, shape.v_width);
                transpose(now.q_transposed, now.q, width, SIDE, width);
                transpose(now.out_transposed, now.out_grads, v_width, SIDE, v_width);
                float means[SIDE];
                for (int m = 0; m < block.count; m++)
                    means[m] = dot(grad_rows + m * out_grad.token, out.at(b, block.first + m, h), shape.v_width);
                std::fill(now.q_grads, now.q_grads + SIDE * width, 0.0f);
                const float* logs = logsumexp + (size_t(b) * shape.heads + h) * shape.tokens + block.first;
                block.for_key_blocks([&](int key, bool whole) {
                    KeyBlock<T> keys(shape, b, h / shape.queries_of_kv(), key, true, memory);
                    float *k_sums = head_sums + key / SIDE * of_block, *v_sums = k_sums + SIDE * width;
                    multiply<false>(now.q, width, keys.k_transposed, SIDE, now.scores, SIDE, SIDE, SIDE, width);
                    multiply<false>(now.out_grads, v_width, keys.v_transposed, SIDE, now.weight_grads, SIDE, SIDE, SIDE, v_width);
                    now.differentiate(block, key, whole, shape.scale, logs, means);
                    if (key == block.first) {  // these queries are the first to see their own keys
                        multiply<false>(now.out_transposed, SIDE, now.weights, SIDE, v_sums, SIDE, v_width, SIDE, SIDE);
                        multiply<false>(now.q_transposed, SIDE, now.score_grads_right, SIDE, k_sums, SIDE, width, SIDE, SIDE);
                    } else {
                        multiply<true>(now.out_transposed, SIDE, now.weights, SIDE, v_sums, SIDE, v_width, SIDE, SIDE);
                        multiply<true>(now.q_transposed, SIDE, now.score_grads_right, SIDE, k_sums, SIDE, width, SIDE, SIDE);
                    }
                    multiply<true>(now.score_grads, SIDE, keys.k, width, now.q_grads, width, SIDE, width, SIDE);
                });
                for (int m = 0; m < block.count; m++)
                    store_row(q_grad.at(b, block.first + m, h), now.q_grads + m * width, 1.0f, shape.width);
            }
        }
#pragma omp for schedule(static)
        for (int piece = 0; piece < shape.rows * shape.kv_heads * blocks; piece++) {
            int t = piece % blocks * SIDE, b = piece / blocks / shape.kv_heads, j = piece / blocks % shape.kv_heads;
            int count = std::min(SIDE, shape.tokens - t), heads = shape.queries_of_kv();
            const float* first = sums + of_head * (size_t(b) * shape.heads + size_t(j) * heads) + t / SIDE * of_block;
            collect(first, of_head, heads, count, k_grad.at(b, t, j), k_grad.token, shape.width);
            collect(first + SIDE * width, of_head, heads, count, v_grad.at(b, t, j), v_grad.token, shape.v_width);
        }
    }
}

}  // namespace

extern "C" {

int32_t has_tiles() { return blocks_in_bfloat16(); }

void attention_forward_f32(const Shape* shape, const View<const float>* q, const View<const float>* k, const View<const float>* v,
                           const Range* ranges, const View<float>* out, float* logsumexp) {
    forward<float>(*shape, *q, *k, *v, ranges, *out, logsumexp);
}

void attention_forward_bf16(const Shape* shape, const View<const bfloat16>* q, const View<const bfloat16>* k,
                            const View<const bfloat16>* v, const Range* ranges, const View<bfloat16>* out, float* logsumexp) {
    forward<bfloat16>(*shape, *q, *k, *v, ranges, *out, logsumexp);
}

void attention_backward_f32(const Shape* shape, const View<const float>* q, const View<const float>* k,
                            const View<const float>* v, const Range* ranges, const View<const float>* out,
                            const float* logsumexp, const View<const float>* out_grad, const View<float>* q_grad,
                            const View<float>* k_grad, const View<float>* v_grad) {
    backward<float>(*shape, *q, *k, *v, ranges, *out, logsumexp, *out_grad, *q_grad, *k_grad, *v_grad);
}

void attention_backward_bf16(const Shape* shape, const View<const bfloat16>* q, const View<const bfloat16>* k,
                             const View<const bfloat16>* v, const Range* ranges, const View<const bfloat16>* out,
                             const float* logsumexp, const View<const bfloat16>* out_grad, const View<bfloat16>* q_grad,
                             const View<bfloat16>* k_grad, const View<bfloat16>* v_grad) {
    backward<bfloat16>(*shape, *q, *k, *v, ranges, *out, logsumexp, *out_grad, *q_grad, *k_grad, *v_grad);
}
}
