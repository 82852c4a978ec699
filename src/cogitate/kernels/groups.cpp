// Rounds weights to 8 or 4 bits in the layout of common/groups.h, or of common/quads.h for inputs of 8 bits. The numbers are
// those of quantize_row_q8_0_ref and quantize_row_q4_0_ref in ggml-quants.c, as model/files/gguf/quantise.py computes them. Every
// step of RL does it anew.
#include "common/groups.h"
#include "common/quads.h"

#include <algorithm>

namespace {

constexpr uint32_t TOO_LARGE = 0x477ff000;  // 65520 and above round to no float16, nor is anything else above it finite

constexpr float NO_INVERSE = 0x1p-128f;  // 1 / it is infinite; as a float16 it is 0

// The nearest float16, ties to even, of a number that is small enough.
inline uint16_t to_half(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    uint32_t sign = word >> 16 & 0x8000, size = word & 0x7fffffff;
    if (size < 0x38800000) {  // denormal there: adding 0.5 rounds to its last bit
        float number;
        memcpy(&number, &size, sizeof number);
        number += 0.5f;
        memcpy(&size, &number, sizeof size);
        return uint16_t(sign | (size - 0x3f000000));
    }
    size += 0xc8000fffu + (size >> 13 & 1);
    return uint16_t(sign | size >> 13);
}

inline bool fits_half(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    return (word & 0x7fffffff) < TOO_LARGE;
}

// A sum that is merged with the product before it has another last bit.
#ifdef __clang__
#pragma clang fp contract(off)
#define APART
#else
#define APART __attribute__((optimize("fp-contract=off")))
#endif

APART inline int rounded_8(float scaled) {
    int size = int(std::fabs(scaled) + 0.5f);
    return scaled < 0 ? -size : size;
}

APART inline int rounded_4(float scaled) { return std::min(15, int(scaled + 8.5f)); }

// One group: its scale, and its numbers by input; false where a number is not finite or too large.
template <typename T>
APART bool round_group(const T* weight, int count, int bits, uint16_t& scale, uint8_t (&numbers)[GROUP]) {
    float values[GROUP] = {}, most = 0, signed_most = 0;
    bool finite = true;
    for (int i = 0; i < count; i++) {
        values[i] = to_float(weight[i]);
        float size = std::fabs(values[i]);
        finite &= size <= 3.4028235e38f;
        if (size > most) most = size, signed_most = values[i];
    }
    float step = bits == 8 ? most / 127.0f : signed_most / -8.0f;
    if (!finite || !fits_half(step)) return false;
    float inverse = std::fabs(step) > NO_INVERSE ? 1.0f / step : 0.0f;
    scale = to_half(step);
    for (int i = 0; i < GROUP; i++) {
        float scaled = values[i] * inverse;
        numbers[i] = uint8_t(bits == 8 ? rounded_8(scaled) : rounded_4(scaled));
    }
    return true;
}

template <typename T>
int64_t in_groups(const T* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t bits, uint8_t* out) {
    int64_t all = (outputs + LANES - 1) / LANES * LANES, groups = (inputs + GROUP - 1) / GROUP, faults = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : faults) if (outputs * inputs >= 1 << 15)
    for (int64_t first = 0; first < all; first += panel) {
        int64_t width = std::min(panel, all - first);
        for (int64_t g = 0; g < groups; g++) {
            uint8_t* to = out + (first * groups + g * width) * group_bytes(int(bits));
            uint8_t* at = to + 2 * width;
            for (int64_t n = 0; n < width; n++) {
                uint8_t numbers[GROUP];
                uint16_t scale = 0;
                int count = first + n < outputs ? int(std::min<int64_t>(GROUP, inputs - g * GROUP)) : 0;
                const T* from = weight + (count ? (first + n) * inputs + g * GROUP : 0);
                faults += !round_group(from, count, int(bits), scale, numbers);
                memcpy(to + 2 * n, &scale, sizeof scale);
                if (bits == 8)
                    for (int i = 0; i < GROUP; i++) at[i * width + n] = numbers[i];
                else
                    for (int i = 0; i < GROUP / 2; i++) at[i * width + n] = uint8_t(numbers[2 * i] | numbers[2 * i + 1] << 4);
            }
        }
    }
    return faults;
}

template <typename T>
int64_t in_quads(const T* weight, int64_t outputs, int64_t inputs, int64_t bits, uint8_t* out) {
    int64_t strips = (outputs + LANES - 1) / LANES, faults = 0;
    int groups = groups_of(int(inputs));
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : faults) if (outputs * inputs >= 1 << 15)
    for (int64_t strip = 0; strip < strips; strip++) {
        uint8_t* scales = out + strip * strip_bytes(int(bits), groups);
        uint8_t* at = scales + strip_scales_bytes(groups);
        memset(scales, 0, at - scales);
        for (int g = 0; g < groups; g++, at += LANES * GROUP * bits / 8)
            for (int n = 0; n < LANES; n++) {
                uint8_t numbers[GROUP];
                uint16_t scale = 0;
                int64_t output = strip * LANES + n;
                int count = output < outputs ? int(std::min<int64_t>(GROUP, inputs - g * GROUP)) : 0;
                faults += !round_group(weight + (count ? output * inputs + g * GROUP : 0), count, int(bits), scale, numbers);
                memcpy(scales + 2 * (g * LANES + n), &scale, sizeof scale);
                for (int i = 0; i < QUADS; i++)
                    for (int j = 0; j < 4; j++) {
                        uint8_t number = numbers[4 * i + j], next = numbers[4 * (i | 1) + j];
                        if (bits == 8) at[i * QUAD + 4 * n + j] = uint8_t(number + OFFSET);
                        else if (i % 2 == 0) at[i / 2 * QUAD + 4 * n + j] = uint8_t(number | next << 4);
                    }
            }
    }
    return faults;
}

}  // namespace

extern "C" {

// How many groups hold numbers that are not finite or too large for their scale's float16.
int64_t in_groups_f32(const float* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t bits, uint8_t* out) {
    return in_groups(weight, outputs, inputs, panel, bits, out);
}

int64_t in_groups_bf16(const bfloat16* weight, int64_t outputs, int64_t inputs, int64_t panel, int64_t bits, uint8_t* out) {
    return in_groups(weight, outputs, inputs, panel, bits, out);
}

// The same for products of inputs of 8 bits.
int64_t in_quads_f32(const float* weight, int64_t outputs, int64_t inputs, int64_t bits, uint8_t* out) {
    return in_quads(weight, outputs, inputs, bits, out);
}

int64_t in_quads_bf16(const bfloat16* weight, int64_t outputs, int64_t inputs, int64_t bits, uint8_t* out) {
    return in_quads(weight, outputs, inputs, bits, out);
}

// Bytes of 16 outputs there.
int64_t quads_bytes(int64_t inputs, int64_t bits) { return strip_bytes(int(bits), groups_of(int(inputs))); }
}
