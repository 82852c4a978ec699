// Sixteen numbers with which a kernel computes at once, each for itself: a register where it holds as many floats (AVX-512),
// else pairs of halves, down to registers. Vectors wider than the processor's own GCC keeps in memory, where an operation waits
// until the one before it is stored: products of matrices take ten times as long (GCC 12, AVX2).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

constexpr int LANES = 16;

#if defined(__AVX512F__)
constexpr int REGISTER = 16;  // floats
#elif defined(__AVX2__)
constexpr int REGISTER = 8;
#else
constexpr int REGISTER = 4;
#endif
constexpr bool MANY_REGISTERS = REGISTER == LANES;  // for sixteen floats each: 32, else 8 or less

template <typename T, int N>
struct Pair;

template <typename T, int N>
struct NumbersOf {
    typedef Pair<T, N> type;
};

template <typename T>
struct NumbersOf<T, REGISTER> {
    typedef T type __attribute__((vector_size(REGISTER * sizeof(T))));
};

template <typename T, int N>
struct Pair {
    typedef typename NumbersOf<T, N / 2>::type Half;
    Half low, high;

    Pair() = default;
    Pair(T all) : low(all - Half{}), high(all - Half{}) {}
    Pair(const Half& first, const Half& second) : low(first), high(second) {}

    Pair operator-() const { return {-low, -high}; }

#define RESULT(TYPE, SIGN) \
    friend TYPE operator SIGN(const Pair& a, const Pair& b) { return {a.low SIGN b.low, a.high SIGN b.high}; }
#define OPERATION(SIGN) \
    RESULT(Pair, SIGN)  \
    friend void operator SIGN##=(Pair& a, const Pair& b) { a = a SIGN b; }
    using Mask = Pair<int32_t, N>;  // all bits where it is so, else none
    RESULT(Mask, <)
    RESULT(Mask, >)
    RESULT(Mask, <=)
    RESULT(Mask, >=)
    OPERATION(+)
    OPERATION(-)
    OPERATION(*)
    OPERATION(/)
    OPERATION(&)
    OPERATION(|)
    OPERATION(<<)
    OPERATION(>>)
#undef RESULT
#undef OPERATION
};

template <typename T>
using Numbers = typename NumbersOf<T, LANES>::type;

typedef Numbers<float> Floats;
typedef Numbers<int32_t> Ints;
typedef Numbers<uint32_t> Words;
typedef Numbers<uint16_t> Halves;
typedef Numbers<int16_t> Shorts;

template <typename To>
inline To read(const void* from) {
    if constexpr (std::is_class_v<To>) {
        typedef typename To::Half Half;
        return {read<Half>(from), read<Half>(static_cast<const char*>(from) + sizeof(Half))};
    } else {
        To result;
        memcpy(&result, from, sizeof result);
        return result;
    }
}

template <typename From>
inline void write(void* to, const From& values) {
    if constexpr (std::is_class_v<From>) {
        write(to, values.low);
        write(static_cast<char*>(to) + sizeof values.low, values.high);
    } else {
        memcpy(to, &values, sizeof values);
    }
}

template <typename To, typename From>
inline To converted(const From& values) {
    if constexpr (std::is_class_v<To>) {
        typedef typename To::Half Half;
        return {converted<Half>(values.low), converted<Half>(values.high)};
    } else {
        return __builtin_convertvector(values, To);
    }
}

template <typename To, typename From>
inline To same_bits(const From& values) {
    if constexpr (std::is_class_v<To>) {
        typedef typename To::Half Half;
        return {same_bits<Half>(values.low), same_bits<Half>(values.high)};
    } else {
        return (To)values;
    }
}

template <typename Mask, typename Some>
inline Some choose(const Mask& mask, const Some& yes, const Some& no) {
    if constexpr (std::is_class_v<Some>)
        return {choose(mask.low, yes.low, no.low), choose(mask.high, yes.high, no.high)};
    else
        return mask ? yes : no;
}

inline Floats splat(float value) { return Floats{} + value; }

inline Floats larger(const Floats& a, const Floats& b) { return choose(a > b, a, b); }

#ifdef __AVX512F__
inline float sum(Floats values) { return _mm512_reduce_add_ps((__m512)values); }

inline float largest(Floats values) { return _mm512_reduce_max_ps((__m512)values); }

inline bool any(Ints mask) { return _mm512_movepi32_mask((__m512i)mask); }
#else
// All of them by an operation on two, in the order of AVX-512's own sum: halves first.
template <typename Of>
inline float folded(const Floats& values, Of of) {
    float all[LANES], halves[8], quarters[4];
    write(all, values);
    for (int i = 0; i < 8; i++) halves[i] = of(all[i], all[i + 8]);
    for (int i = 0; i < 4; i++) quarters[i] = of(halves[i], halves[i + 4]);
    return of(of(quarters[0], quarters[2]), of(quarters[1], quarters[3]));
}

inline float sum(const Floats& values) {
    return folded(values, [](float a, float b) { return a + b; });
}

inline float largest(const Floats& values) {
    return folded(values, [](float a, float b) { return a > b ? a : b; });
}

inline bool any(const Ints& mask) {
    uint64_t pairs[LANES / 2], found = 0;
    write(pairs, mask);
    for (uint64_t pair : pairs) found |= pair;
    return found;
}
#endif

inline Ints lane_numbers() {
    const int32_t numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return read<Ints>(numbers);
}

// The first `count` from memory (none where it is negative), zeros behind them.
template <typename Some>
inline Some read_some(const void* from, int64_t count) {
    if (count >= LANES) return read<Some>(from);
    char memory[sizeof(Some)] = {};
    if (count > 0) memcpy(memory, from, count * (sizeof(Some) / LANES));
    return read<Some>(memory);
}

template <typename Some>
inline void write_some(void* to, const Some& values, int64_t count) {
    if (count >= LANES) return write(to, values);
    char memory[sizeof(Some)];
    write(memory, values);
    memcpy(to, memory, count * (sizeof(Some) / LANES));
}
