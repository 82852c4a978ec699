// The gradient of a matrix of weights, grad^T x over all rows, in bfloat16 by the tile registers (AMX), or by vectors of pairs.
// PyTorch's product lays out the transposed side anew and takes two to three times as long as the forward pass; here the smaller
// side is transposed once, and of the other one two rows at a time are put beside each other on the way. What is multiplied next
// is brought nearer meanwhile: reading it took a quarter of the time when it was waited for.
//
// Each sum runs over the rows in their order, in float32, whatever the threads do.
#include <algorithm>

#include "common/blocks.h"
#include "common/transpose.h"

#ifdef _OPENMP
#include <omp.h>
#else
inline int omp_get_max_threads() { return 1; }
#endif

namespace {

constexpr int DEPTH = 32, TILE = 16 * DEPTH;  // rows that a tile sums over; its elements
constexpr int64_t CHUNK = 256;                // rows that go through the caches together
constexpr int64_t WIDEST = 448;               // columns of a panel, which a thread takes at a time
constexpr int TOGETHER = 32;                  // results of a block in each direction: four tiles of sums

inline int64_t up_to(int64_t size, int64_t step) { return (size + step - 1) / step * step; }

struct Side {
    const bfloat16* data;
    int64_t stride, columns;

    int64_t padded() const { return up_to(columns, TOGETHER); }
};

// The left side transposed, zeros where there is nothing: for tiles [chunk][16 columns][32 rows][16][32], for vectors
// [chunk][16 columns][16][all rows].
void transpose_left(const Side& left, int64_t rows, bfloat16* to) {
    int64_t tiles = left.padded() / 16, steps = up_to(rows, DEPTH) / DEPTH, in_chunk = CHUNK / DEPTH;
#pragma omp for schedule(dynamic, 4)
    for (int64_t step = 0; step < steps; step++) {
        int64_t chunk = step / in_chunk, first = step * DEPTH;
        int64_t steps_here = std::min(in_chunk, steps - chunk * in_chunk);
        for (int64_t t = 0; t < tiles; t++) {
            bfloat16* block = to + (chunk * in_chunk * tiles + t * steps_here) * TILE;
            const bfloat16* from = left.data + first * left.stride + t * 16;
#ifdef HAS_TILES
            int64_t column = DEPTH, here = step % in_chunk * TILE;
#else
            int64_t column = steps_here * DEPTH, here = step % in_chunk * DEPTH;
#endif
            transpose_pairs(block + here, column, from, left.stride, rows - first, left.columns - t * 16);
        }
    }
}

// Columns first .. first + width - 1 of a chunk of the right side, in tiles [16 columns][pair of rows][16][2].
void pair_right(const Side& right, int64_t from_row, int64_t rows, int64_t first, int64_t width, bfloat16* to) {
    int64_t steps = up_to(rows, DEPTH);
    for (int64_t c = 0; c < width; c += 2 * LANES) {
        const bfloat16* from = right.data + from_row * right.stride + first + c;
        for (int64_t m = 0; m < steps; m += 2)
            for (int side = 0; side < 2; side++) {
                const bfloat16* row = from + m * right.stride + side * LANES;
                Words pairs = row_pairs(row, right.stride, rows - m, right.columns - first - c - side * LANES);
                write(to + (c + side * LANES) * steps + m * LANES, pairs);
            }
    }
}

// Rows of memory that are wanted soon, brought into the core's cache in even portions.
struct Approach {
    const char* row;
    int64_t stride, lines, rows, portion, line = 0;

    Approach(const bfloat16* from, int64_t row_stride, int64_t width, int64_t row_count, int64_t portions)
        : row(reinterpret_cast<const char*>(from)), stride(row_stride * 2), lines(up_to(width, 32) / 32), rows(row_count) {
        portion = up_to(lines * rows, portions) / portions;
    }

    void go_on() {
        for (int64_t i = 0; i < portion && rows > 0; i++) {
            __builtin_prefetch(row + line * 64, 0, 2);
            if (++line < lines) continue;
            line = 0, row += stride, rows--;
        }
    }
};

// sums (32, 32) += left tiles times right tiles
#ifdef HAS_TILES
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
#else
inline void block(const bfloat16* left, const bfloat16* right, int64_t steps, float* sums, bool add) {
    for (int m = 0; m < TOGETHER; m += ROWS_OF_PAIRS)
        for (int n = 0; n < TOGETHER; n += VECTORS_OF_PAIRS * LANES) {
            const bfloat16 *a = left + m * steps * DEPTH, *b = right + n * steps * DEPTH;
            float* to = sums + m / LANES * 2 * LANES * LANES + n * LANES + m % LANES * LANES;
            multiply_pairs(a, steps * DEPTH, b, 2 * LANES, steps * TILE, to, LANES, LANES * LANES, steps * DEPTH, add);
        }
}
#endif

// Sums of a panel, in tiles, as rows of the result: (left columns, all right columns), or transposed.
void write(const float* sums, int64_t wide, int64_t tall, int64_t width, int64_t first, int64_t all, bfloat16* out, bool transposed) {
    for (int64_t n = 0; n < width; n += 16)
        for (int64_t m = 0; m < tall; m += 16) {
            const float* tile = sums + m / TOGETHER * TOGETHER * wide + n / TOGETHER * TOGETHER * TOGETHER;
            tile += m % TOGETHER / 16 * 512 + n % TOGETHER / 16 * 256;
            Words values[LANES];
            memcpy(values, tile, sizeof values);
            if (transposed) transpose_16(values);
            int rows = std::min<int64_t>(16, tall - m), columns = std::min<int64_t>(16, width - n);
            for (int i = 0; i < (transposed ? columns : rows); i++) {
                bfloat16* to = transposed ? out + (first + n + i) * tall + m : out + (m + i) * all + first + n;
                int count = transposed ? rows : columns;
                if (count == LANES)
                    store(to, same_bits<Floats>(values[i]));
                else
                    store_part(to, same_bits<Floats>(values[i]), count);
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
                int64_t across = width / TOGETHER, ahead = std::clamp<int64_t>(rows - c * CHUNK - here, 0, CHUNK);
                Approach next_rights(right.data + (c + 1) * CHUNK * right.stride + first, right.stride,
                                     std::min(width, right.columns - first), ahead, across * tall / TOGETHER);
                for (int64_t m = 0; m < tall; m += TOGETHER) {
                    const bfloat16* left = of_chunk + m * steps * DEPTH;
                    Approach next_left(left + TOGETHER * steps * DEPTH, 0, TOGETHER * steps * DEPTH, 1, across);
                    for (int64_t n = 0; n < width; n += TOGETHER) {
                        next_left.go_on();
                        next_rights.go_on();
                        block(left, rights + n * steps * DEPTH, steps, sums + m * wide + n * TOGETHER, c > 0);
                    }
                }
            }
            write(sums, wide, left.columns, std::min(width, right.columns - first), first, right.columns, out, transposed);
        }
    }
}

}  // namespace

extern "C" {

// out (outputs, inputs) = grad (rows, outputs)^T x (rows, inputs)
void weight_gradient_bf16(const bfloat16* grad, int64_t grad_stride, const bfloat16* x, int64_t x_stride, int64_t rows,
                          int64_t outputs, int64_t inputs, bfloat16* out) {
    Side of_grad{grad, grad_stride, outputs}, of_x{x, x_stride, inputs};
    if (outputs <= inputs)
        product(of_grad, of_x, rows, out, false);
    else
        product(of_x, of_grad, rows, out, true);
}
}
