// Weights of 8 or 4 bits, in groups of 32 inputs of an output that share a scale, as ggml's Q8_0 and Q4_0 have them: a weight is
// scale * q or scale * (q - 8). They stand in panels of outputs like others (products.h), within one group by group: the scales
// of all its outputs in float16, then [input][output] bytes, or [pair of inputs][output] bytes of two numbers, the first in the
// lower half. A panel becomes numbers of type W in the core's cache, and is multiplied as those are: products are to the bit
// those of weights that were rounded before.
#pragma once

#include "vectors.h"

constexpr int GROUP = 32;

// Bytes of a group of one output.
inline int64_t group_bytes(int bits) { return 2 + GROUP * bits / 8; }

// float16 in exact float. Exponents are moved by a product, which denormal numbers survive.
inline Floats load_half(const uint16_t* from) {
    Words words = converted<Words>(read<Halves>(from));
    Floats size = same_bits<Floats>((words & 0x7fffu) << 13) * 0x1p112f;
    return same_bits<Floats>(same_bits<Words>(size) | (words & 0x8000u) << 16);
}

// Inputs 2 i and 2 i + 1 of 16 outputs of a group, without the scale; `width` outputs of the panel, from `numbers` on.
template <int BITS>
inline void load_pair(const uint8_t* numbers, int i, int width, Floats& even, Floats& odd) {
    if (BITS == 8) {
        const int8_t* from = reinterpret_cast<const int8_t*>(numbers) + size_t(2 * i) * width;
        even = load(from), odd = load(from + width);
    } else {
        Ints both = converted<Ints>(read<Numbers<uint8_t>>(numbers + size_t(i) * width));
        even = converted<Floats>(both & 15) - 8.0f, odd = converted<Floats>(both >> 4) - 8.0f;
    }
}

inline void put_pair(bfloat16* out, int i, int width, int, Floats even, Floats odd) {
    store_pairs(out + size_t(2 * i) * width, even, odd);
}

inline void put_pair(float* out, int i, int width, int depth, Floats even, Floats odd) {
    store(out + size_t(2 * i) * width, even);
    if (2 * i + 1 < depth) store(out + size_t(2 * i + 1) * width, odd);
}

// A panel of `width` outputs (a multiple of 16) as products read it: the first `depth` inputs.
template <int BITS, typename W>
void widen(const uint8_t* panel, int width, int depth, W* out) {
    constexpr int PAIR = sizeof(W) == 2 ? 2 : 1;  // numbers of an output that stand side by side
    for (int first = 0; first < depth; first += GROUP, panel += group_bytes(BITS) * width) {
        const uint16_t* scales = reinterpret_cast<const uint16_t*>(panel);
        const uint8_t* numbers = panel + 2 * width;
        for (int n = 0; n < width; n += LANES) {
            Floats scale = load_half(scales + n);
            for (int i = 0; i < GROUP / 2 && first + 2 * i < depth; i++) {
                Floats even, odd;
                load_pair<BITS>(numbers + n, i, width, even, odd);
                put_pair(out + size_t(first) * width + n * PAIR, i, width, depth - first, even * scale, odd * scale);
            }
        }
    }
}

template <typename W>
void widen(int bits, const uint8_t* panel, int width, int depth, W* out) {
    if (bits == 8) widen<8>(panel, width, depth, out);
    else widen<4>(panel, width, depth, out);
}
