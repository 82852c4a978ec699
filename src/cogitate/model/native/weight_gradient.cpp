// The gradient of a matrix of weights, grad^T x over all rows, in bfloat16 by the tile registers (AMX). PyTorch's product lays out
// the transposed side anew and takes two to three times as long as the forward pass; here the smaller side is transposed once, and
// of the other one two rows at a time are put beside each other on the way.
//
// Each sum runs over the rows in their order, in float32, whatever the threads do.
#include <algorithm>

#include "blocks.h"

#ifdef HAS_TILES
#include <omp.h>

namespace {

constexpr int DEPTH = 32, TILE = 16 * DEPTH;  // rows that a tile sums over; its elements
constexpr int64_t CHUNK = 256;                // rows that go through the caches together
constexpr int64_t WIDEST = 576;               // columns of a panel, which a thread takes at a time
constexpr int TOGETHER = 32;                  // results of a block in each direction: four tiles of sums

inline int64_t up_to(int64_t size, int64_t step) { return (size + step - 1) / step * step; }

struct Side {
    const bfloat16* data;
    int64_t stride, columns;

    int64_t padded() const { return up_to(columns, TOGETHER); }
};

// The left side transposed, in tiles [chunk][16 columns][32 rows][16][32], zeros where there is nothing.
void transpose_left(const Side& left, int64_t rows, bfloat16* to) {
    int64_t tiles = left.padded() / 16, steps = up_to(rows, DEPTH) / DEPTH, in_chunk = CHUNK / DEPTH;
#pragma omp for schedule(static)
    for (int64_t step = 0; step < steps; step++) {
        int64_t chunk = step / in_chunk, first = step * DEPTH, count = std::min<int64_t>(DEPTH, rows - first);
        int64_t steps_here = std::min(in_chunk, steps - chunk * in_chunk);
        for (int64_t t = 0; t < tiles; t++) {
            bfloat16* tile = to + (chunk * in_chunk * tiles + t * steps_here + step % in_chunk) * TILE;
            int64_t width = std::max<int64_t>(0, std::min<int64_t>(16, left.columns - t * 16));
            if (count < DEPTH || width < 16) memset(tile, 0, TILE * sizeof *tile);
            const bfloat16* from = left.data + first * left.stride + t * 16;
            int64_t m = 0;
            for (; m + 1 < count; m += 2)  // two rows at a time: half as many stores
                for (int64_t c = 0; c < width; c++) {
                    uint32_t pair = from[m * left.stride + c].bits | uint32_t(from[(m + 1) * left.stride + c].bits) << 16;
                    memcpy(tile + c * DEPTH + m, &pair, sizeof pair);
                }
            for (; m < count; m++)
                for (int64_t c = 0; c < width; c++) tile[c * DEPTH + m] = from[m * left.stride + c];
        }
    }
}

inline Halves some(const bfloat16* from, int64_t count) {
    Halves halves{};
    if (count >= LANES)
        memcpy(&halves, from, sizeof halves);
    else if (count > 0)
        memcpy(&halves, from, count * sizeof *from);
    return halves;
}

// Columns first .. first + width - 1 of a chunk of the right side, in tiles [16 columns][pair of rows][16][2].
void pair_right(const Side& right, int64_t from_row, int64_t rows, int64_t first, int64_t width, bfloat16* to) {
    int64_t steps = up_to(rows, DEPTH);
    for (int64_t m = 0; m < steps; m += 2) {
        const bfloat16* row = right.data + (from_row + m) * right.stride;
        for (int64_t c = 0; c < width; c += LANES) {
            int64_t count = right.columns - first - c;
            Halves even = some(row + first + c, m < rows ? count : 0);
            Halves odd = some(row + right.stride + first + c, m + 1 < rows ? count : 0);
            Words pairs = __builtin_convertvector(even, Words) | __builtin_convertvector(odd, Words) << 16;
            memcpy(to + c * steps + m * LANES, &pairs, sizeof pairs);
        }
    }
}

// sums (32, 32) += left tiles times right tiles
inline void block(const bfloat16* left, const bfloat16* right, int64_t steps, float* sums, bool add) {
    if (add) {
        _tile_loadd(0, sums, 64);
        _tile_loadd(1, sums + 256, 64);
        _tile_loadd(2, sums + 512, 64);
        _tile_loadd(3, sums + 768, 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    const bfloat16 *below = left + steps * TILE, *beside = right + steps * TILE;
    for (int64_t i = 0; i < steps * TILE; i += TILE) {
        _tile_loadd(4, left + i, 64);
        _tile_loadd(5, below + i, 64);
        _tile_loadd(6, right + i, 64);
        _tile_loadd(7, beside + i, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + 256, 64);
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
}

// Sums of a panel, in tiles, as rows of the result: (left columns, all right columns), or transposed.
void write(const float* sums, int64_t wide, int64_t tall, int64_t width, int64_t first, int64_t all, bfloat16* out, bool transposed) {
    const __m512i down = (__m512i)(Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} * 16);
    for (int64_t m = 0; m < tall; m += 16)
        for (int64_t n = 0; n < width; n += 16) {
            const float* tile = sums + m / TOGETHER * TOGETHER * wide + n / TOGETHER * TOGETHER * TOGETHER;
            tile += m % TOGETHER / 16 * 512 + n % TOGETHER / 16 * 256;
            int rows = std::min<int64_t>(16, tall - m), columns = std::min<int64_t>(16, width - n);
            for (int i = 0; i < (transposed ? columns : rows); i++) {
                Floats values = transposed ? (Floats)_mm512_i32gather_ps(down, tile + i, 4) : load(tile + i * 16);
                bfloat16* to = transposed ? out + (first + n + i) * tall + m : out + (m + i) * all + first + n;
                int count = transposed ? rows : columns;
                if (count == LANES)
                    store(to, values);
                else
                    store_part(to, values, count);
            }
        }
}

// out = left^T right, or its transpose.
void product(const Side& left, const Side& right, int64_t rows, bfloat16* out, bool transposed) {
    int64_t tall = left.padded(), chunks = (rows + CHUNK - 1) / CHUNK;
    int64_t threads = omp_get_max_threads(), panels = threads * ((right.columns + threads * WIDEST - 1) / (threads * WIDEST));
    int64_t wide = up_to((right.columns + panels - 1) / panels, TOGETHER);
    bfloat16* lefts = reinterpret_cast<bfloat16*>(scratch<20>(tall * up_to(rows, DEPTH) / 2));
#pragma omp parallel
    {
        transpose_left(left, rows, lefts);
        BlockProducts<bfloat16> products;
        float* sums = scratch<21>(tall * wide + CHUNK * wide / 2);
        bfloat16* rights = reinterpret_cast<bfloat16*>(sums + tall * wide);
#pragma omp for schedule(dynamic, 1)
        for (int64_t panel = 0; panel < panels; panel++) {
            int64_t first = panel * wide, width = std::min(wide, right.padded() - first);
            for (int64_t c = 0; c < chunks && width > 0; c++) {
                int64_t here = std::min(CHUNK, rows - c * CHUNK), steps = up_to(here, DEPTH) / DEPTH;
                pair_right(right, c * CHUNK, here, first, width, rights);
                const bfloat16* of_chunk = lefts + c * CHUNK * tall;
                for (int64_t m = 0; m < tall; m += TOGETHER)
                    for (int64_t n = 0; n < width; n += TOGETHER)
                        block(of_chunk + m * steps * DEPTH, rights + n * steps * DEPTH, steps, sums + m * wide + n * TOGETHER, c > 0);
            }
            write(sums, wide, left.columns, std::min(width, right.columns - first), first, right.columns, out, transposed);
        }
    }
}

}  // namespace

#endif

extern "C" {

// out (outputs, inputs) = grad (rows, outputs)^T x (rows, inputs)
void weight_gradient_bf16(const bfloat16* grad, int64_t grad_stride, const bfloat16* x, int64_t x_stride, int64_t rows,
                          int64_t outputs, int64_t inputs, bfloat16* out) {
#ifdef HAS_TILES
    Side of_grad{grad, grad_stride, outputs}, of_x{x, x_stride, inputs};
    if (outputs <= inputs)
        product(of_grad, of_x, rows, out, false);
    else
        product(of_x, of_grad, rows, out, true);
#endif
}
}
