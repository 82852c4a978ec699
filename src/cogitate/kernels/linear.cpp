// One product of decoding by itself, inputs and all: what tests compare with the plain forms, and benchmarks measure.
#include "common/products.h"

// Those of decode.cpp: the compiler takes seconds for them.
extern template void product<float, float>(const Matrix&, const Inputs<float>&, int, float*, int64_t, bool);
extern template void product<bfloat16, bfloat16>(const Matrix&, const Inputs<bfloat16>&, int, float*, int64_t, bool);

namespace {

template <typename T>
void linear(const Matrix& matrix, const T* x, int rows, float* out) {
    int inputs = matrix.inputs, room = tiles::DEPTH;  // behind a row numbers are read, by weights of zero
    std::vector<T> padded(size_t(rows) * inputs + room);
    std::copy(x, x + size_t(rows) * inputs, padded.begin());
    std::vector<char> memory(matrix.input_bits ? (rows + LANES) * row_bytes(inputs) + 64 : 0);
    char* rounded = matrix.input_bits ? memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63) : nullptr;
#pragma omp parallel
    {
        if (rounded) round_rows(padded.data(), inputs, rows, inputs, rounded);
        product<T, T>(matrix, {padded.data(), inputs, nullptr, rounded}, rows, out, matrix.outputs, false);
        tiles::release();
    }
}

}  // namespace

extern "C" {

void linear_f32(const Matrix* matrix, const float* x, int64_t rows, float* out) { linear(*matrix, x, int(rows), out); }

void linear_bf16(const Matrix* matrix, const bfloat16* x, int64_t rows, float* out) { linear(*matrix, x, int(rows), out); }
}
