// What kernels do with sixteen numbers at a time (numbers.h): reading and writing, exponentials, what is left at the end of a
// row. Elements are float or bfloat16 in memory and float in registers.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "numbers.h"

struct bfloat16 {
    uint16_t bits;
};

inline Floats load(const float* from) { return read<Floats>(from); }

inline Floats load(const bfloat16* from) { return same_bits<Floats>(converted<Words>(read<Halves>(from)) << 16); }

inline Floats load(const int8_t* from) { return converted<Floats>(read<Numbers<int8_t>>(from)); }

// The first and the second numbers of 16 pairs.
inline void load_pairs(const bfloat16* from, Floats& first, Floats& second) {
    Words words = read<Words>(from);
    first = same_bits<Floats>(words << 16), second = same_bits<Floats>(words & 0xffff0000u);
}

inline void store(float* to, const Floats& values) { write(to, values); }

// The upper halves, rounded to nearest, ties to even. NaN stays NaN as long as its upper bits are set, as they are in the ones
// arithmetic makes.
inline Words rounded(const Floats& values) {
    Words words = same_bits<Words>(values);
    return words + 0x7fff + ((words >> 16) & 1);
}

inline void store(bfloat16* to, const Floats& values) {
#ifdef __AVX512BF16__  // takes denormal numbers as 0
    auto halves = _mm512_cvtneps_pbh((__m512)values);
    memcpy(to, &halves, sizeof halves);
#else
    write(to, converted<Halves>(rounded(values) >> 16));
#endif
}

// even[0], odd[0], even[1], odd[1] ...
inline void store_pairs(bfloat16* to, const Floats& even, const Floats& odd) {
#ifdef __AVX512BF16__
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
                                           4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
    memcpy(to, &both, sizeof both);
#else
    write(to, (rounded(even) >> 16) | (rounded(odd) & 0xffff0000u));
#endif
}

inline float to_float(float value) { return value; }

inline float to_float(bfloat16 value) {
    uint32_t word = uint32_t(value.bits) << 16;
    float result;
    memcpy(&result, &word, sizeof result);
    return result;
}

inline void put(float* to, float value) { *to = value; }

inline void put(bfloat16* to, float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    to->bits = uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

// exp of numbers up to 0 or not far above: Cephes' expf polynomial, within 2 units in the last place; 0 below -87.
inline Floats exp_of(Floats x) {
    const Floats rounder = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    Ints tiny = x < splat(-87.0f);
    x = choose(tiny, splat(-87.0f), x);
    x = choose(x > splat(88.0f), splat(88.0f), x);
    Floats shifted = x * 1.44269504088896341f + rounder;
    Floats n = shifted - rounder;
    Floats r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Floats y = splat(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    y = same_bits<Floats>(same_bits<Ints>(y) + (converted<Ints>(n) << 23));
    return choose(tiny, Floats{}, y);
}

inline Floats silu(Floats x) { return x / (exp_of(-x) + 1.0f); }

// The first `count` (1 to 15) elements, zeros behind them.
template <typename T>
inline Floats load_part(const T* from, int count) {
    float values[LANES] = {};
    for (int i = 0; i < count; i++) values[i] = to_float(from[i]);
    return load(values);
}

template <typename T>
inline void store_part(T* to, const Floats& values, int count) {
    float numbers[LANES];
    store(numbers, values);
    for (int i = 0; i < count; i++) put(to + i, numbers[i]);
}

// How many elements: all LANES, or the first `count`.
using Whole = std::integral_constant<int, LANES>;

template <typename T>
inline Floats load(const T* from, Whole) { return load(from); }

template <typename T>
inline Floats load(const T* from, int count) { return load_part(from, count); }

template <typename T>
inline void store(T* to, Floats values, Whole) { store(to, values); }

template <typename T>
inline void store(T* to, Floats values, int count) { store_part(to, values, count); }

// Calls body(i, count) for numbers i .. i + count - 1 of a row: a Whole vector of them each time, at the end what is left.
template <typename Body>
inline void each_vector(int64_t width, Body body) {
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) body(i, Whole{});
    if (i < width) body(i, int(width - i));
}

// Memory of this thread that lives until its next call with the same tag. It begins with a line of the cache: vectors and tile
// rows that lie across two lines take twice as long.
template <int TAG>
inline float* scratch(size_t floats) {
    static thread_local std::vector<float> memory;
    if (memory.size() < floats + LANES) memory.resize(floats + LANES);
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) & ~uintptr_t(63));
}
