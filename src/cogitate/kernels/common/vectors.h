// Sixteen floats at a time, in the vector types that GCC and Clang offer on every processor: one AVX-512 register, two of AVX2,
// four of NEON. Elements are float or bfloat16 in memory and float in registers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

constexpr int LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
typedef int16_t Shorts __attribute__((vector_size(32)));

struct bfloat16 {
    uint16_t bits;
};

inline Floats load(const float* from) {
    Floats result;
    memcpy(&result, from, sizeof result);
    return result;
}

inline Floats load(const bfloat16* from) {
    Halves halves;
    memcpy(&halves, from, sizeof halves);
    Words words = __builtin_convertvector(halves, Words) << 16;
    Floats result;
    memcpy(&result, &words, sizeof result);
    return result;
}

inline Floats load(const int8_t* from) {
    typedef int8_t Numbers __attribute__((vector_size(16)));
    Numbers numbers;
    memcpy(&numbers, from, sizeof numbers);
    return __builtin_convertvector(numbers, Floats);
}

inline void store(float* to, Floats values) { memcpy(to, &values, sizeof values); }

// The upper halves, rounded to nearest, ties to even. NaN stays NaN as long as its upper bits are set, as they are in the ones
// arithmetic makes.
inline Words rounded(Floats values) {
    Words words;
    memcpy(&words, &values, sizeof words);
    return words + 0x7fff + ((words >> 16) & 1);
}

inline void store(bfloat16* to, Floats values) {
#ifdef __AVX512BF16__  // takes denormal numbers as 0
    auto halves = _mm512_cvtneps_pbh((__m512)values);
#else
    Halves halves = __builtin_convertvector(rounded(values) >> 16, Halves);
#endif
    memcpy(to, &halves, sizeof halves);
}

// even[0], odd[0], even[1], odd[1] ...
inline void store_pairs(bfloat16* to, Floats even, Floats odd) {
#ifdef __AVX512BF16__
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
                                           4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
#else
    Words both = (rounded(even) >> 16) | (rounded(odd) & 0xffff0000u);
#endif
    memcpy(to, &both, sizeof both);
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

inline Floats splat(float value) { return Floats{} + value; }

#ifdef __AVX512F__
inline float sum(Floats values) { return _mm512_reduce_add_ps((__m512)values); }

inline float largest(Floats values) { return _mm512_reduce_max_ps((__m512)values); }

inline bool any(Ints mask) { return _mm512_movepi32_mask((__m512i)mask); }
#else
inline float sum(Floats values) {
    float halves[8], quarters[4];
    for (int i = 0; i < 8; i++) halves[i] = values[i] + values[i + 8];
    for (int i = 0; i < 4; i++) quarters[i] = halves[i] + halves[i + 4];
    return (quarters[0] + quarters[2]) + (quarters[1] + quarters[3]);
}

inline float largest(Floats values) {
    float result = values[0];
    for (int i = 1; i < LANES; i++) result = values[i] > result ? values[i] : result;
    return result;
}

inline bool any(Ints mask) {
    int32_t found = 0;
    for (int i = 0; i < LANES; i++) found |= mask[i];
    return found;
}
#endif

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// exp of numbers up to 0 or not far above: Cephes' expf polynomial, within 2 units in the last place; 0 below -87.
inline Floats exp_of(Floats x) {
    const Floats rounder = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    Ints tiny = x < splat(-87.0f);
    x = tiny ? splat(-87.0f) : x;
    x = x > splat(88.0f) ? splat(88.0f) : x;
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
    Ints bits;
    memcpy(&bits, &y, sizeof bits);
    bits = bits + (__builtin_convertvector(n, Ints) << 23);
    memcpy(&y, &bits, sizeof y);
    return tiny ? Floats{} : y;
}

inline Floats silu(Floats x) { return x / (exp_of(-x) + 1.0f); }

// Sixteen floats that a loop adds up, in as many registers as it takes. Vectors wider than the processor's own GCC keeps in
// memory, where each sum waits until the one before it is stored: a product of matrices takes ten times as long (GCC 12, AVX2).
#ifdef __AVX512F__
typedef Floats Wide;
constexpr bool MANY_REGISTERS = true;  // 32, of a vector each

template <typename T>
inline Wide wide(const T* from) { return load(from); }

inline Floats floats(Wide values) { return values; }

// The first and the second numbers of 16 pairs.
inline void wide_pairs(const bfloat16* from, Wide& first, Wide& second) {
    Words words, low, high;
    memcpy(&words, from, sizeof words);
    low = words << 16, high = words & 0xffff0000u;
    memcpy(&first, &low, sizeof low);
    memcpy(&second, &high, sizeof high);
}
#else
#ifdef __AVX2__
constexpr int PART = 8;
#else
constexpr int PART = 4;
#endif
constexpr int PARTS = LANES / PART;
constexpr bool MANY_REGISTERS = false;
typedef float Part __attribute__((vector_size(4 * PART)));
typedef uint32_t PartWords __attribute__((vector_size(4 * PART)));
typedef uint16_t PartHalves __attribute__((vector_size(2 * PART)));
typedef int8_t PartNumbers __attribute__((vector_size(PART)));

struct Wide {
    Part part[PARTS];
};

inline Wide operator*(const Wide& a, float b) {
    Wide result;
    for (int p = 0; p < PARTS; p++) result.part[p] = a.part[p] * b;
    return result;
}

inline Wide operator*(const Wide& a, const Wide& b) {
    Wide result;
    for (int p = 0; p < PARTS; p++) result.part[p] = a.part[p] * b.part[p];
    return result;
}

inline Wide operator+(const Wide& a, const Wide& b) {
    Wide result;
    for (int p = 0; p < PARTS; p++) result.part[p] = a.part[p] + b.part[p];
    return result;
}

inline void operator+=(Wide& to, const Wide& more) { to = to + more; }

inline Wide wide(const float* from) {
    Wide result;
    for (int p = 0; p < PARTS; p++) memcpy(&result.part[p], from + p * PART, sizeof(Part));
    return result;
}

inline Wide wide(const bfloat16* from) {
    Wide result;
    for (int p = 0; p < PARTS; p++) {
        PartHalves halves;
        memcpy(&halves, from + p * PART, sizeof halves);
        PartWords words = __builtin_convertvector(halves, PartWords) << 16;
        memcpy(&result.part[p], &words, sizeof words);
    }
    return result;
}

inline Wide wide(const int8_t* from) {
    Wide result;
    for (int p = 0; p < PARTS; p++) {
        PartNumbers numbers;
        memcpy(&numbers, from + p * PART, sizeof numbers);
        result.part[p] = __builtin_convertvector(numbers, Part);
    }
    return result;
}

inline void wide_pairs(const bfloat16* from, Wide& first, Wide& second) {
    for (int p = 0; p < PARTS; p++) {
        PartWords words, low, high;
        memcpy(&words, from + 2 * p * PART, sizeof words);
        low = words << 16, high = words & 0xffff0000u;
        memcpy(&first.part[p], &low, sizeof low);
        memcpy(&second.part[p], &high, sizeof high);
    }
}

inline Floats floats(const Wide& values) {
    Floats result;
    memcpy(&result, &values, sizeof result);
    return result;
}

inline void store(float* to, const Wide& values) { memcpy(to, &values, sizeof values); }

inline void store(bfloat16* to, const Wide& values) { store(to, floats(values)); }

inline float sum(const Wide& values) { return sum(floats(values)); }
#endif

// The first `count` (1 to 15) elements, zeros behind them.
template <typename T>
inline Floats load_part(const T* from, int count) {
    Floats result{};
    for (int i = 0; i < count; i++) result[i] = to_float(from[i]);
    return result;
}

template <typename T>
inline void store_part(T* to, Floats values, int count) {
    for (int i = 0; i < count; i++) put(to + i, values[i]);
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
