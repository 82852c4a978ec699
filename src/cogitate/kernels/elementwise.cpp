// The small parts of training, forward and backward, in one pass over memory each: RMSNorm, SwiGLU and rotary embedding.
// model/layers.py and model/rope.py have them in PyTorch and say what they mean. Arithmetic is in float32 whatever the tensors
// are, and results are rounded once. A row's result does not depend on the other rows, nor any on the number of threads: sums
// over rows are made in blocks of a fixed size, and of these in their order.
#include <algorithm>

#include "common/layers.h"
#include "common/vectors.h"

namespace {

constexpr int64_t ROWS_EACH = 64;  // rows that are summed together
constexpr int64_t SMALL = 1 << 15;  // fewer numbers are one thread's work

// Rows that a thread takes at a time: a thread whose core is busy with other programs takes fewer pieces.
inline int64_t piece(int64_t width) { return std::max<int64_t>(1, (1 << 14) / width); }

// inverse[rows]: 1 / rms(x), for the backward pass.
template <typename T>
void rms_norm_forward(const T* x, int64_t stride, const T* weight, float eps, int64_t rows, int64_t width, T* out,
                      float* inverse) {
#pragma omp parallel for schedule(dynamic, piece(width)) if (rows * width >= SMALL)
    for (int64_t n = 0; n < rows; n++) inverse[n] = rms_norm_row(x + n * stride, weight, eps, width, out + n * width);
}

template <typename T>
void rms_norm_backward(const T* grad, const T* x, int64_t stride, const T* weight, const float* inverse, int64_t rows,
                       int64_t width, T* x_grad, T* weight_grad) {
    int64_t blocks = (rows + ROWS_EACH - 1) / ROWS_EACH;
    std::vector<float> sums(blocks * width);  // of each block, for the gradient of the weights
#pragma omp parallel for schedule(dynamic, 1) if (rows * width >= SMALL)
    for (int64_t b = 0; b < blocks; b++) {
        float* block_sums = sums.data() + b * width;
        for (int64_t n = b * ROWS_EACH; n < std::min(rows, (b + 1) * ROWS_EACH); n++) {
            const T *row_grad = grad + n * width, *from = x + n * stride;
            T* to = x_grad + n * width;
            float factor = inverse[n];
            Floats products{};
            each_vector(width, [&](int64_t i, auto count) {
                Floats product = load(row_grad + i, count) * load(from + i, count);
                products += product * load(weight + i, count);
                store(block_sums + i, load(block_sums + i, count) + product * factor, count);
            });
            float coefficient = sum(products) * factor * factor * factor / width;
            each_vector(width, [&](int64_t i, auto count) {
                Floats scaled = load(row_grad + i, count) * load(weight + i, count) * factor;
                store(to + i, scaled - load(from + i, count) * coefficient, count);
            });
        }
    }
    each_vector(width, [&](int64_t i, auto count) {
        Floats total{};
        for (int64_t b = 0; b < blocks; b++) total += load(sums.data() + b * width + i, count);
        store(weight_grad + i, total, count);
    });
}

template <typename T>
void swiglu_forward(const T* gate_up, int64_t rows, int64_t width, T* out) {
#pragma omp parallel for schedule(dynamic, piece(width)) if (rows * width >= SMALL)
    for (int64_t n = 0; n < rows; n++) swiglu_row(gate_up + n * 2 * width, 1.0f, width, out + n * width);
}

// out: its values once more, which are cheaper to compute again on this way than to keep from the forward pass; or null.
template <typename T>
void swiglu_backward(const T* grad, const T* gate_up, int64_t rows, int64_t width, T* gate_up_grad, T* out) {
#pragma omp parallel for schedule(dynamic, piece(width)) if (rows * width >= SMALL)
    for (int64_t n = 0; n < rows; n++) {
        const T *row_grad = grad + n * width, *gate = gate_up + n * 2 * width, *up = gate + width;
        T *gate_grad = gate_up_grad + n * 2 * width, *up_grad = gate_grad + width;
        each_vector(width, [&](int64_t i, auto count) {
            Floats x = load(gate + i, count), towards = load(row_grad + i, count);
            Floats sigmoid = 1.0f / (exp_of(-x) + 1.0f), activated = x * sigmoid;
            store(up_grad + i, towards * activated, count);
            store(gate_grad + i, towards * load(up + i, count) * (sigmoid + activated * (1.0f - sigmoid)), count);
        });
        if (out) swiglu_row(gate, 1.0f, width, out + n * width);
    }
}

// Sixteen neighbouring pairs of cosine and sine, or `count` and zeros.
struct Rotation {
    Floats cosine, sine;

    Rotation(const float* pairs, int count) {
        float cosines[LANES] = {}, sines[LANES] = {};
        for (int i = 0; i < count; i++) cosines[i] = pairs[2 * i], sines[i] = pairs[2 * i + 1];
        cosine = load(cosines), sine = load(sines);
    }
};

// Turns numbers i and half + i of each head of x[rows][tokens][heads], whose strides are given, as are those of the rotation
// (in pairs); the other way round where direction is -1.
template <typename T>
void rotate_halves(const T* x, const int64_t* stride, const float* rotation, const int64_t* rotation_stride, float direction,
                   int64_t rows, int64_t tokens, int64_t heads, int64_t half, T* out) {
#pragma omp parallel for schedule(dynamic, piece(2 * heads * half)) if (rows * tokens * heads * half >= SMALL)
    for (int64_t n = 0; n < rows * tokens; n++) {
        int64_t row = n / tokens, token = n % tokens;
        for (int64_t h = 0; h < heads; h++) {
            const T *first = x + row * stride[0] + token * stride[1] + h * stride[2], *second = first + half;
            const float* pairs = rotation + 2 * (row * rotation_stride[0] + token * rotation_stride[1] + h * rotation_stride[2]);
            T* to = out + (n * heads + h) * 2 * half;
            each_vector(half, [&](int64_t i, auto count) {
                Floats a = load(first + i, count), b = load(second + i, count);
                Rotation turn(pairs + 2 * i, count);
                turn.sine *= direction;
                Floats turned = a * turn.cosine, other = b * turn.cosine;  // these are merged with the sums, in every class
                store(to + i, turned - b * turn.sine, count);
                store(to + half + i, other + a * turn.sine, count);
            });
        }
    }
}

}  // namespace

#define KERNELS(T, SUFFIX)                                                                                                     \
    void rms_norm_##SUFFIX(const T* x, int64_t stride, const T* weight, float eps, int64_t rows, int64_t width, T* out,        \
                           float* inverse) {                                                                                   \
        rms_norm_forward(x, stride, weight, eps, rows, width, out, inverse);                                                   \
    }                                                                                                                          \
    void rms_norm_backward_##SUFFIX(const T* grad, const T* x, int64_t stride, const T* weight, const float* inverse,          \
                                    int64_t rows, int64_t width, T* x_grad, T* weight_grad) {                                  \
        rms_norm_backward(grad, x, stride, weight, inverse, rows, width, x_grad, weight_grad);                                 \
    }                                                                                                                          \
    void swiglu_##SUFFIX(const T* gate_up, int64_t rows, int64_t width, T* out) { swiglu_forward(gate_up, rows, width, out); } \
    void swiglu_backward_##SUFFIX(const T* grad, const T* gate_up, int64_t rows, int64_t width, T* gate_up_grad, T* out) {     \
        swiglu_backward(grad, gate_up, rows, width, gate_up_grad, out);                                                        \
    }                                                                                                                          \
    void rotate_halves_##SUFFIX(const T* x, const int64_t* stride, const float* rotation, const int64_t* rotation_stride,      \
                                float direction, int64_t rows, int64_t tokens, int64_t heads, int64_t half, T* out) {          \
        rotate_halves(x, stride, rotation, rotation_stride, direction, rows, tokens, heads, half, out);                        \
    }

extern "C" {
KERNELS(float, f32)
KERNELS(bfloat16, bf16)
}
