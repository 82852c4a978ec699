// Products of whole numbers (quads.h). A group of inputs adds to an output (scale of the inputs * scale of the weights) * sum of
// q * q. Sums within a group are below 2^24, which int32 and float hold exactly, so it does not matter by which instructions they
// are made. Each is scaled, then added in float to those of the groups before it. Results are to the bit the same in every class
// of processor, in every batch, and in the plain form (engine/bits/products.py).
#pragma once

#include "quads.h"

#if defined(__x86_64__) && !defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifdef HAS_QUAD_TILES

struct alignas(64) QuadConfiguration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, GROUP, GROUP, 64, 64};  // sums, inputs, weights, two of each
    uint8_t rows[16] = {LANES, LANES, LANES, LANES, QUADS, QUADS};
};

// Totals of `count` rows, LANES or fewer, that stand `stride` bytes apart. LANES rows are read.
template <typename Count>
inline void strip_totals(const Strip& strip, char* rows, int64_t stride, int groups, Count count, Floats* totals) {
    alignas(64) int32_t sums[2][LANES][LANES];
    RoundedRow first = row_at(rows, groups);
    int most = std::is_same_v<Count, Whole> ? LANES : int(count);
    auto add = [&](int g, const int32_t (*group_sums)[LANES]) {
        Floats weight_scale = load_half(strip.scales + g * LANES);
        const char* scale = reinterpret_cast<const char*>(first.scales + g);
#pragma GCC unroll 16
        for (int m = 0; m < most; m++) {
            Floats both = weight_scale * *reinterpret_cast<const float*>(scale + m * stride);
            totals[m] += apart(converted<Floats>(read<Ints>(group_sums[m])) * both);
        }
    };
    int g = 0;
    for (; g + 2 <= groups; g += 2) {  // two, so that the tiles of one work while the other's sums are scaled
        const Number *x = first.numbers + g * GROUP, *weights = strip.numbers + int64_t(g) * GROUP * LANES;
        _tile_loadd(2, x, stride);
        _tile_loadd(4, weights, QUAD);
        _tile_zero(0);
        _tile_dpbssd(0, 2, 4);
        _tile_loadd(3, x + GROUP, stride);
        _tile_loadd(5, weights + GROUP * LANES, QUAD);
        _tile_zero(1);
        _tile_dpbssd(1, 3, 5);
        _tile_stored(0, sums[0], QUAD);
        _tile_stored(1, sums[1], QUAD);
        add(g, sums[0]);
        add(g + 1, sums[1]);
    }
    if (g < groups) {
        _tile_loadd(2, first.numbers + g * GROUP, stride);
        _tile_loadd(4, strip.numbers + int64_t(g) * GROUP * LANES, QUAD);
        _tile_zero(0);
        _tile_dpbssd(0, 2, 4);
        _tile_stored(0, sums[0], QUAD);
        add(g, sums[0]);
    }
}

template <typename Count>
inline void put_strip(const Strip& strip, const float* bias, char* rows, int64_t stride, int groups, Count count,
                      const Target& to) {
    Floats totals[LANES] = {};
    strip_totals(strip, rows, stride, groups, count, totals);
    for (int m = 0; m < count; m++) to.put(m, 0, totals[m], bias);
}

// All rows, `stride` bytes apart; LANES - 1 more may be read.
inline void strip_rows(const Strip& strip, const float* bias, char* x, int64_t stride, int rows, int groups, Target to) {
    static const QuadConfiguration configuration;
    _tile_loadconfig(&configuration);  // every time: other products use the tiles, too
    asm volatile("" ::: "memory");     // the compiler does not know that tiles are read from memory
    for (; rows >= LANES; rows -= LANES, x += LANES * stride, to.out += LANES * to.stride)
        put_strip(strip, bias, x, stride, groups, Whole{}, to);
    if (rows) put_strip(strip, bias, x, stride, groups, rows, to);
}

#else

// Sums: as many as an instruction makes, of products of the numbers in a word: four of 8 bits, or two of 16.
#if defined(__AVX512VNNI__) || (defined(__AVX512BW__) && !defined(__AVXVNNI__))
constexpr int ROUNDED_ROWS = 8;
typedef __m512i Sums;
inline Sums all(int32_t word) { return _mm512_set1_epi32(word); }
inline Sums add_words(Sums sums, Sums weights, Sums x) {
#ifdef __AVX512VNNI__
    return _mm512_dpbusd_epi32(sums, weights, x);
#else
    return _mm512_add_epi32(sums, _mm512_madd_epi16(weights, x));
#endif
}
#elif defined(__AVX2__)
constexpr int ROUNDED_ROWS = 4;
typedef __m256i Sums;
inline Sums all(int32_t word) { return _mm256_set1_epi32(word); }
inline Sums add_words(Sums sums, Sums weights, Sums x) {
#ifdef __AVXVNNI__
    return _mm256_dpbusd_avx_epi32(sums, weights, x);
#else
    return _mm256_add_epi32(sums, _mm256_madd_epi16(weights, x));
#endif
}
#elif defined(__x86_64__)
constexpr int ROUNDED_ROWS = 2;
typedef __m128i Sums;
inline Sums all(int32_t word) { return _mm_set1_epi32(word); }
inline Sums add_words(Sums sums, Sums weights, Sums x) { return _mm_add_epi32(sums, _mm_madd_epi16(weights, x)); }
#else
constexpr int ROUNDED_ROWS = 4;
typedef Ints Sums;
inline Sums all(int32_t word) { return Ints{} + word; }
inline Sums add_words(Sums sums, Sums weights, Sums x) {
    return sums + ((weights << 16) >> 16) * ((x << 16) >> 16) + (weights >> 16) * (x >> 16);
}
#endif

// The sums of a group for M rows.
template <int M>
inline void sum_group(const Number* weights, const RoundedRow (&rows)[M], int g, Floats (&results)[M]) {
    constexpr int IN_WORD = sizeof(int32_t) / sizeof(Number), REGISTERS = sizeof(Floats) / sizeof(Sums);
    Sums sums[M][REGISTERS];
    for (int m = 0; m < M; m++)
        for (int p = 0; p < REGISTERS; p++) sums[m][p] = all(rows[m].starts[g]);
    for (int i = 0; i < GROUP; i += IN_WORD) {
        Sums right[REGISTERS];
        memcpy(right, weights + i * LANES, sizeof right);
        for (int m = 0; m < M; m++) {
            int32_t word;
            memcpy(&word, rows[m].numbers + g * GROUP + i, sizeof word);
            for (int p = 0; p < REGISTERS; p++) sums[m][p] = add_words(sums[m][p], right[p], all(word));
        }
    }
    for (int m = 0; m < M; m++) results[m] = converted<Floats>(read<Ints>(sums[m]));
}

template <int M>
void put_strip(const Strip& strip, const float* bias, char* x, int64_t stride, int groups, const Target& to) {
    Floats totals[M] = {};
    RoundedRow rows[M];
    for (int m = 0; m < M; m++) rows[m] = row_at(x + m * stride, groups);
    for (int g = 0; g < groups; g++) {
        Floats sums[M], weight_scale = load_half(strip.scales + g * LANES);
        sum_group<M>(strip.numbers + int64_t(g) * GROUP * LANES, rows, g, sums);
        for (int m = 0; m < M; m++) totals[m] += apart(sums[m] * (weight_scale * rows[m].scales[g]));
    }
    for (int m = 0; m < M; m++) to.put(m, 0, totals[m], bias);
}

// All rows, `stride` bytes apart.
inline void strip_rows(const Strip& strip, const float* bias, char* x, int64_t stride, int rows, int groups, Target to) {
    auto run = [&](auto size) {
        constexpr int M = decltype(size)::value;
        for (; rows >= M; rows -= M, x += M * stride, to.out += M * to.stride)
            put_strip<M>(strip, bias, x, stride, groups, to);
    };
    run(std::integral_constant<int, ROUNDED_ROWS>{});
    if (ROUNDED_ROWS > 4) run(std::integral_constant<int, 4>{});
    if (ROUNDED_ROWS > 2) run(std::integral_constant<int, 2>{});
    run(std::integral_constant<int, 1>{});
}

#endif
