// Weights of 8 or 4 bits and inputs that are rounded to 8, as products of whole numbers read both (quad_products.h). An input is
// scale * q, and 32 of a row share the scale, as 32 weights of an output do.
//
// Weights stand in strips of 16 outputs: the scales of all groups in float16, [group][16], up to a whole line of the cache, then
// [quad of inputs][16 outputs][4 inputs] bytes; of 4 bits [two quads][16][4] bytes, the first quad in the lower halves. Four
// inputs of an output beside each other are what tiles (AMX) and vpdpbusd multiply at once; elsewhere numbers are widened to 16
// bits, and two of them are.
#pragma once

#include <algorithm>

#include "groups.h"
#include "tiles.h"
#include "vectors.h"

#if defined(HAS_TILES) && defined(__AMX_INT8__)
#define HAS_QUAD_TILES 1
#endif

// OFFSET: vpdpbusd multiplies a number without sign, here the weight's q + 128, with one that has a sign.
#ifdef HAS_QUAD_TILES
typedef int8_t Number;
constexpr int OFFSET = 0;
#elif defined(__AVX512VNNI__) || defined(__AVXVNNI__)
typedef int8_t Number;
constexpr int OFFSET = 128;
#else
typedef int16_t Number;
constexpr int OFFSET = 0;
#endif

constexpr int QUADS = GROUP / 4, QUAD = 4 * LANES;  // quads of a group, numbers of a quad of 16 outputs

inline int groups_of(int inputs) { return (inputs + GROUP - 1) / GROUP; }

inline int64_t whole_lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

inline int64_t strip_scales_bytes(int groups) { return whole_lines(int64_t(groups) * LANES * 2); }

inline int64_t strip_bytes(int bits, int groups) {
    return strip_scales_bytes(groups) + int64_t(groups) * LANES * GROUP * bits / 8;
}

// A row of inputs in 8 bits: its numbers, zeros behind the last; the scale of each group; and what the sums of each group begin
// with, which takes OFFSET out of them.
struct RoundedRow {
    Number* numbers;
    float* scales;
    int32_t* starts;
};

inline int64_t row_bytes(int inputs) {
    return whole_lines(groups_of(inputs) * int64_t(GROUP * sizeof(Number) + sizeof(float) + sizeof(int32_t)));
}

inline RoundedRow row_at(char* row, int groups) {
    Number* numbers = reinterpret_cast<Number*>(row);
    float* scales = reinterpret_cast<float*>(numbers + int64_t(groups) * GROUP);
    return {numbers, scales, reinterpret_cast<int32_t*>(scales + groups)};
}

#ifdef __AVX512F__
#define IN_REGISTER "+v"
#elif defined(__x86_64__)
#define IN_REGISTER "+x"
#elif defined(__aarch64__)
#define IN_REGISTER "+w"
#else
#define IN_REGISTER "+m"
#endif

// Products on their way to sums: a compiler that merges both rounds once where others round twice.
template <typename Some>
inline Some apart(Some products) {
    if constexpr (std::is_class_v<Some>) return {apart(products.low), apart(products.high)};
    else asm("" : IN_REGISTER(products));
    return products;
}

// The largest size of 32 numbers; NaN where one is: as bits sizes have the order of the numbers, NaN above all.
inline float largest_size(Floats one, Floats other) {
    Ints sizes = same_bits<Ints>(one) & 0x7fffffff, others = same_bits<Ints>(other) & 0x7fffffff;
    sizes = choose(sizes > others, sizes, others);
#ifdef __AVX512F__
    int32_t most = _mm512_reduce_max_epi32((__m512i)sizes);
#else
    int32_t lanes[LANES];
    write(lanes, sizes);
    int32_t most = *std::max_element(lanes, lanes + LANES);
#endif
    float size;
    memcpy(&size, &most, sizeof size);
    return size;
}

inline uint32_t sum(Words values) {
#ifdef __AVX512F__
    return _mm512_reduce_add_epi32((__m512i)values);
#else
    uint32_t lanes[LANES], total = 0;
    write(lanes, values);
    for (uint32_t lane : lanes) total += lane;
    return total;
#endif
}

constexpr float SMALLEST = 1e-30f;  // of a group's largest number: what is smaller counts as zero, as 127 / most might overflow

// Rounds to nearest, ties to even; the number of largest size becomes 127 or -127.
template <typename T>
void round_row(const T* x, int inputs, char* out) {
    int groups = groups_of(inputs);
    RoundedRow row = row_at(out, groups);
    const Floats rounder = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, which the lower bits then hold
    for (int g = 0; g < groups; g++) {
        Floats values[2];
        for (int v = 0; v < 2; v++) {
            int at = g * GROUP + v * LANES, count = inputs - at;
            values[v] = count >= LANES ? load(x + at) : count > 0 ? load_part(x + at, count) : Floats{};
        }
        float most = largest_size(values[0], values[1]), inverse = most < SMALLEST ? 0.0f : 127.0f / most;
        row.scales[g] = most < SMALLEST ? 0.0f : most / 127.0f;
        if (!std::isfinite(most)) values[0] = values[1] = Floats{}, inverse = 0.0f;  // the scale tells it
        Words total{};
        for (int v = 0; v < 2; v++) {
            Floats shifted = apart(values[v] * inverse) + rounder;
            Words whole = same_bits<Words>(shifted) - same_bits<Words>(rounder);
            write(row.numbers + g * GROUP + v * LANES, converted<Numbers<Number>>(whole));
            total += whole;
        }
        row.starts[g] = OFFSET ? int32_t(-OFFSET * sum(total)) : 0;
    }
}

// Rows `stride` apart become rounded ones, row_bytes apart. Within a parallel region the threads share them; all have finished
// when it returns.
template <typename T>
void round_rows(const T* x, int64_t stride, int rows, int inputs, char* out) {
#pragma omp for
    for (int n = 0; n < rows; n++) round_row(x + n * stride, inputs, out + n * row_bytes(inputs));
}

// What products read of a strip: [quad of inputs][16 outputs][4 inputs] bytes, or of 16 bits [pair][16][2].
struct Strip {
    const uint16_t* scales;
    const Number* numbers;
};

typedef uint8_t Quad __attribute__((vector_size(QUAD)));

inline void put_quad(int8_t* out, const Quad& quad) { memcpy(out, &quad, sizeof quad); }

inline void put_quad(int16_t* out, const Quad& quad) {
    Words words = read<Words>(&quad);
    auto input = [&](int i) { return same_bits<Words>(same_bits<Ints>(words << (24 - 8 * i)) >> 24); };
    for (int pair = 0; pair < 2; pair++) {
        Words both = (input(2 * pair) & 0xffffu) | input(2 * pair + 1) << 16;
        write(out + pair * 2 * LANES, both);
    }
}

inline Strip read_strip(int bits, const uint8_t* strip, int groups) {
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(strip);
    const uint8_t* from = strip + strip_scales_bytes(groups);
    if (bits == 8 && sizeof(Number) == 1) return {scales, reinterpret_cast<const Number*>(from)};
    Number* memory = reinterpret_cast<Number*>(scratch<7>(size_t(groups) * GROUP * LANES * sizeof(Number) / sizeof(float)));
    Number* out = memory;
    for (int i = 0; i < groups * QUADS; i += 2, out += 2 * QUAD) {
        Quad first, second;
        memcpy(&first, from, sizeof first);
        if (bits == 8) {
            memcpy(&second, from + QUAD, sizeof second);
        } else {
            second = (first >> 4) + uint8_t(OFFSET - 8);
            first = (first & 15) + uint8_t(OFFSET - 8);
        }
        from += bits == 8 ? 2 * QUAD : QUAD;
        put_quad(out, first);
        put_quad(out + QUAD, second);
    }
    return {scales, memory};
}
