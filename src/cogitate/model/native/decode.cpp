// One decoding step of a whole model: a token for each row in, logits of the next one out. decode.py fills the structures.
// Weights, the cache and the inputs of products are float or bfloat16 (T), everything between them float.
#include "attention.h"
#include "layers.h"
#include "products.h"

#ifdef _OPENMP
#include <omp.h>
#endif

extern "C" {

struct Layer {
    Attention attention;
    Matrix in_proj, query_up, o_proj;  // query_up: inputs 0 unless MLA has a low-rank query
    Matrix gate_up, down;              // of the dense MLP or of the shared experts; inputs 0: none
    Matrix router;                     // float
    Routing routing;                   // experts 0: a dense layer
    const Matrix* expert_gate_up;
    const Matrix* expert_down;
    const float* input_norm;
    const float* query_norm;
    const float* post_norm;
    float eps, query_eps;
};

struct Model {
    int32_t layers, width, is_mla;
    float eps;
    const Layer* layer;
    const void* embedding;
    const float* final_norm;
    Matrix head;
    int64_t multiplications;  // for one row, roughly
};

}  // extern "C"

namespace {

constexpr int64_t PARALLEL_FROM = 4 << 20;  // multiplications; below it further threads cost more than they bring

// Memory of one step. The caller owns it, so that several engines may decode at the same time.
template <typename T>
struct Workspace {
    T *normed, *query_normed, *attended, *inner, *expert_inner;  // inputs of products
    float *x, *projected, *query, *gate_up, *router, *expert_gate_up, *expert_out, *weight, *sorted_weight;
    int32_t *experts, *start, *place, *row;
    int width, projected_width, query_width, attended_width, gate_up_width, inner_width, expert_inner_width;
    size_t bytes = 0;

    Workspace(const Model& model, int rows, char* memory) {
        int chosen = 1, most_experts = 1, normed_query = 1, expert_out_width = 1;
        width = model.width;
        projected_width = query_width = attended_width = gate_up_width = inner_width = expert_inner_width = 1;
        for (int l = 0; l < model.layers; l++) {
            const Layer& layer = model.layer[l];
            projected_width = std::max(projected_width, layer.in_proj.outputs);
            normed_query = std::max(normed_query, layer.query_up.inputs);
            query_width = std::max(query_width, layer.query_up.outputs);
            attended_width = std::max(attended_width, layer.o_proj.inputs);
            gate_up_width = std::max(gate_up_width, layer.gate_up.outputs);
            inner_width = std::max(inner_width, layer.down.inputs);
            if (!layer.routing.experts) continue;
            chosen = std::max(chosen, layer.routing.chosen);
            most_experts = std::max(most_experts, layer.routing.experts);
            expert_inner_width = std::max(expert_inner_width, layer.expert_down[0].inputs);
            expert_out_width = model.width;
        }
        auto take = [&](auto& pointer, size_t count) {
            pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(memory + bytes);
            bytes += (count * sizeof(*pointer) + 127) / 64 * 64;  // with room for what products read beyond a row
        };
        size_t n = rows, pairs = n * chosen;
        take(normed, n * width), take(query_normed, n * normed_query), take(attended, n * attended_width);
        take(inner, n * inner_width), take(expert_inner, pairs * expert_inner_width);
        take(x, n * width), take(projected, n * projected_width), take(query, n * query_width);
        take(gate_up, n * gate_up_width), take(router, n * most_experts + LANES);
        take(expert_gate_up, pairs * 2 * expert_inner_width), take(expert_out, pairs * expert_out_width);
        take(weight, pairs), take(sorted_weight, pairs);
        take(experts, pairs), take(start, most_experts + 1), take(place, pairs), take(row, pairs);
    }
};

template <typename T>
void attend_layer(const Model& model, const Layer& layer, const Step& step, const Workspace<T>& space) {
    int rows = step.rows, projected_width = layer.in_proj.outputs, attended_width = layer.o_proj.inputs;
    rms_norm(space.x, space.width, layer.input_norm, layer.eps, rows, space.width, space.normed, space.width);
    product<T, T>(layer.in_proj, {space.normed, space.width}, rows, space.projected, projected_width, false);
#pragma omp barrier
    if (model.is_mla) {
        const float* query = space.projected;
        int query_stride = projected_width;
        if (layer.query_up.inputs) {
            int rank = layer.query_up.inputs;
            rms_norm(query, projected_width, layer.query_norm, layer.query_eps, rows, rank, space.query_normed, rank);
            query = space.query, query_stride = layer.query_up.outputs;
            product<T, T>(layer.query_up, {space.query_normed, rank}, rows, space.query, query_stride, false);
#pragma omp barrier
        }
        const float* entry = space.projected + projected_width - layer.attention.key_width;
        mla<T>(step, layer.attention, query, query_stride, entry, projected_width, space.attended, attended_width);
    } else {
        gqa<T>(step, layer.attention, space.projected, projected_width, space.attended, attended_width);
    }
    product<T, T>(layer.o_proj, {space.attended, attended_width}, rows, space.x, space.width, true);
#pragma omp barrier
}

template <typename T>
void feed_forward(const Layer& layer, int rows, const Workspace<T>& space) {
    int inner = layer.down.inputs;
    if (!inner) return;
    product<T, T>(layer.gate_up, {space.normed, space.width}, rows, space.gate_up, 2 * inner, false);
#pragma omp barrier
    swiglu(space.gate_up, 2 * inner, nullptr, rows, inner, space.inner, inner);
    product<T, T>(layer.down, {space.inner, inner}, rows, space.x, space.width, true);
#pragma omp barrier
}

template <typename T>
void route(const Layer& layer, int rows, const Workspace<T>& space) {
    const Routing& routing = layer.routing;
    int inner = layer.expert_down[0].inputs, chosen = routing.chosen;
    Sorted sorted{space.start, space.place, space.row, space.sorted_weight};
    product<float, T>(layer.router, {space.normed, space.width}, rows, space.router, routing.experts, false);
#pragma omp barrier
    choose_experts(routing, space.router, routing.experts, rows, space.experts, space.weight);
    sort_by_expert(routing, space.experts, space.weight, rows, sorted);
    for (int e = 0; e < routing.experts; e++) {
        int first = sorted.start[e], count = sorted.start[e + 1] - first;
        product<T, T>(layer.expert_gate_up[e], {space.normed, space.width, sorted.row + first}, count,
                      space.expert_gate_up + size_t(first) * 2 * inner, 2 * inner, false);
    }
#pragma omp barrier
    swiglu(space.expert_gate_up, 2 * inner, sorted.weight, rows * chosen, inner, space.expert_inner, inner);
    for (int e = 0; e < routing.experts; e++) {
        int first = sorted.start[e], count = sorted.start[e + 1] - first;
        product<T, T>(layer.expert_down[e], {space.expert_inner + size_t(first) * inner, inner}, count,
                      space.expert_out + size_t(first) * space.width, space.width, false);
    }
#pragma omp barrier
    gather_experts(space.expert_out, sorted.place, rows, chosen, space.width, space.x);
}

template <typename T>
void decode(const Model& model, const Step& step, const int64_t* tokens, char* memory, float* logits) {
    Workspace<T> space(model, step.rows, memory);
    int rows = step.rows, width = model.width;
    bool parallel = rows * model.multiplications >= PARALLEL_FROM;
#pragma omp parallel if (parallel)
    {
#pragma omp for
        for (int n = 0; n < rows; n++) {
            const T* from = static_cast<const T*>(model.embedding) + tokens[n] * width;
            for (int i = 0; i < width; i++) space.x[size_t(n) * width + i] = to_float(from[i]);
        }
        for (int l = 0; l < model.layers; l++) {
            const Layer& layer = model.layer[l];
            attend_layer(model, layer, step, space);
            rms_norm(space.x, width, layer.post_norm, layer.eps, rows, width, space.normed, width);
            feed_forward(layer, rows, space);
            if (layer.routing.experts) route(layer, rows, space);
        }
        rms_norm(space.x, width, model.final_norm, model.eps, rows, width, space.normed, width);
        product<T, T>(model.head, {space.normed, width}, rows, logits, model.head.outputs, false);
        if (tiles::usable<T, T>()) tiles::release();
    }
}

}  // namespace

extern "C" {

int64_t workspace_bytes_f32(const Model* model, int32_t rows) { return Workspace<float>(*model, rows, nullptr).bytes; }

int64_t workspace_bytes_bf16(const Model* model, int32_t rows) { return Workspace<bfloat16>(*model, rows, nullptr).bytes; }

void decode_f32(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits) {
    decode<float>(*model, *step, tokens, memory, logits);
}

void decode_bf16(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits) {
    decode<bfloat16>(*model, *step, tokens, memory, logits);
}

int32_t panel_width() { return PANEL; }

int32_t bf16_depth() { return tiles::DEPTH; }
}
