// Attention of training, forward and backward: softmax(q k^T) v where each query sees three ranges of keys: what several prompts
// begin with, the rest of its prompt, and its own text up to itself. Blocks of 32 queries meet blocks of 32 keys, and those that no query of a block sees are left out:
// packed documents and completions of one prompt cost what they would cost alone. Scores never leave a core's cache
// (FlashAttention-2, arXiv:2307.08691); query heads that share a key head read it where it stands (arXiv:2305.13245).
//
// Sums run in a fixed order whatever the threads do: the same inputs give the same bytes.
#include <algorithm>

#include "common/causal_blocks.h"

namespace {

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
                if (!whole) s[v] = choose(block.seen(m, key + v * LANES), s[v], splat(-INFINITY));
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
                    if (!whole) p[i][v] = choose(block.seen(m, key + v * LANES), p[i][v], Floats{});
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
                rows[i] = same_bits<Words>(total);
            }
            transpose_16(rows);
            for (int m = half; m < std::min(count, half + LANES); m++) {
                Floats total = same_bits<Floats>(rows[m - half]);
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
#pragma omp for schedule(dynamic, 4)
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
