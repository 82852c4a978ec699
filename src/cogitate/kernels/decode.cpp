// A whole model over new tokens of cached rows: tokens in, logits of those that follow out. decode.py fills the structures.
// Weights, the cache and the inputs of products are float or bfloat16 (T), everything between them float.
#include "common/attention.h"
#include "common/layers.h"
#include "common/products.h"

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
    int64_t weight_bytes;
};

// Hidden states beside the tokens of a step, and the weights by which the MTP block (model/mtp.py) takes them in.
struct Hidden {
    const float* given;  // [tokens][width]: joined with the tokens' embeddings; null: the embeddings alone go in
    float* made;         // [tokens][width]: after the final norm; null: not wanted
    Matrix join;         // of both, side by side
    const float* token_norm;
    const float* hidden_norm;
};

}  // extern "C"

template void product<float, float>(const Matrix&, const Inputs<float>&, int, float*, int64_t, bool);  // also of linear.cpp
template void product<bfloat16, bfloat16>(const Matrix&, const Inputs<bfloat16>&, int, float*, int64_t, bool);

namespace {

constexpr int64_t CACHED = 32 << 20;  // bytes of weights that may be read by each thread, once a step
constexpr int TOKENS_EACH = 8;        // tokens that make a thread worth while then

// Memory of one step. The caller owns it, so that several engines may decode at the same time.
template <typename T>
struct Workspace {
    T *normed, *joined, *query_normed, *attended, *inner, *expert_inner;  // inputs of products
    float *x, *projected, *query, *gate_up, *router, *expert_gate_up, *expert_out, *weight, *sorted_weight;
    int32_t *experts, *start, *place, *row;
    char* rounded = nullptr;  // the inputs of the next products in 8 bits, where they are rounded
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
            size_t used = count * sizeof(*pointer), with_room = (used + 127) / 64 * 64;
            if (memory) memset(memory + bytes + used, 0, with_room - used);  // read beyond a row, by weights of zero: no NaN
            bytes += with_room;
        };
        size_t n = rows, pairs = n * chosen;
        take(normed, n * width), take(joined, n * 2 * width), take(query_normed, n * normed_query);
        take(attended, n * attended_width);
        take(inner, n * inner_width), take(expert_inner, pairs * expert_inner_width);
        take(x, n * width), take(projected, n * projected_width), take(query, n * query_width);
        take(gate_up, n * gate_up_width), take(router, n * most_experts + LANES);
        take(expert_gate_up, pairs * 2 * expert_inner_width), take(expert_out, pairs * expert_out_width);
        take(weight, pairs), take(sorted_weight, pairs);
        take(experts, pairs), take(start, most_experts + 1), take(place, pairs), take(row, pairs);
        if (!model.head.input_bits) return;
        size_t wide = row_bytes(std::max({2 * width, normed_query, attended_width, inner_width}));
        size_t expert = row_bytes(expert_inner_width);
        take(rounded, std::max(n * wide, pairs * expert) + LANES * std::max(wide, expert));  // LANES rows are read at a time
    }
};

// The inputs of products, rounded to 8 bits where the model's products want it: after a barrier behind the last ones.
template <typename T>
Inputs<T> inputs_of(const Workspace<T>& space, const T* x, int width, int rows) {
    if (space.rounded) round_rows(x, width, rows, width, space.rounded);
    return {x, width, nullptr, space.rounded};
}

template <typename T>
void attend_layer(const Model& model, const Layer& layer, const Step& step, const Workspace<T>& space) {
    int rows = step.tokens, projected_width = layer.in_proj.outputs, attended_width = layer.o_proj.inputs;
    rms_norm(space.x, space.width, layer.input_norm, layer.eps, rows, space.width, space.normed, space.width);
    Inputs<T> normed = inputs_of(space, space.normed, space.width, rows);
    product<T, T>(layer.in_proj, normed, rows, space.projected, projected_width, false);
#pragma omp barrier
    if (model.is_mla) {
        const float* query = space.projected;
        int query_stride = projected_width;
        if (layer.query_up.inputs) {
            int rank = layer.query_up.inputs;
            rms_norm(query, projected_width, layer.query_norm, layer.query_eps, rows, rank, space.query_normed, rank);
            query = space.query, query_stride = layer.query_up.outputs;
            Inputs<T> query_normed = inputs_of(space, space.query_normed, rank, rows);
            product<T, T>(layer.query_up, query_normed, rows, space.query, query_stride, false);
#pragma omp barrier
        }
        const float* entry = space.projected + projected_width - layer.attention.key_width;
        mla<T>(step, layer.attention, query, query_stride, entry, projected_width, space.attended, attended_width);
    } else {
        gqa<T>(step, layer.attention, space.projected, projected_width, space.attended, attended_width);
    }
    product<T, T>(layer.o_proj, inputs_of(space, space.attended, attended_width, rows), rows, space.x, space.width, true);
#pragma omp barrier
}

template <typename T>
void feed_forward(const Layer& layer, int rows, const Workspace<T>& space) {
    int inner = layer.down.inputs;
    if (!inner) return;
    Inputs<T> normed = inputs_of(space, space.normed, space.width, rows);
    product<T, T>(layer.gate_up, normed, rows, space.gate_up, 2 * inner, false);
#pragma omp barrier
    swiglu(space.gate_up, 2 * inner, nullptr, rows, inner, space.inner, inner);
    product<T, T>(layer.down, inputs_of(space, space.inner, inner, rows), rows, space.x, space.width, true);
#pragma omp barrier
}

template <typename T>
void route(const Layer& layer, int rows, const Workspace<T>& space) {
    const Routing& routing = layer.routing;
    int inner = layer.expert_down[0].inputs, chosen = routing.chosen;
    Sorted sorted{space.start, space.place, space.row, space.sorted_weight};
    Inputs<T> normed = inputs_of(space, space.normed, space.width, rows);
    product<float, T>(layer.router, normed, rows, space.router, routing.experts, false);
#pragma omp barrier
    choose_experts(routing, space.router, routing.experts, rows, space.experts, space.weight);
    sort_by_expert(routing, space.experts, space.weight, rows, sorted);
    for (int e = 0; e < routing.experts; e++) {
        int first = sorted.start[e], count = sorted.start[e + 1] - first;
        normed.index = sorted.row + first;
        product<T, T>(layer.expert_gate_up[e], normed, count,
                      space.expert_gate_up + size_t(first) * 2 * inner, 2 * inner, false);
    }
#pragma omp barrier
    swiglu(space.expert_gate_up, 2 * inner, sorted.weight, rows * chosen, inner, space.expert_inner, inner);
    Inputs<T> down = inputs_of(space, space.expert_inner, inner, rows * chosen);
    for (int e = 0; e < routing.experts; e++) {
        int first = sorted.start[e], count = sorted.start[e + 1] - first;
        product<T, T>(layer.expert_down[e], down.from(first, inner), count,
                      space.expert_out + size_t(first) * space.width, space.width, false);
    }
#pragma omp barrier
    gather_experts(space.expert_out, sorted.place, rows, chosen, space.width, space.x);
}

// What goes into the first layer: embeddings, or their projection together with given hidden states.
template <typename T>
void embed(const Model& model, const int64_t* tokens, int rows, const Hidden& hidden, const Workspace<T>& space) {
    int width = model.width;
#pragma omp for
    for (int n = 0; n < rows; n++) {
        const T* from = static_cast<const T*>(model.embedding) + tokens[n] * width;
        float* x = space.x + size_t(n) * width;
        for (int i = 0; i < width; i++) x[i] = to_float(from[i]);
        if (!hidden.given) continue;
        T* joined = space.joined + size_t(n) * 2 * width;
        rms_norm_row(x, hidden.token_norm, model.eps, width, joined);
        rms_norm_row(hidden.given + size_t(n) * width, hidden.hidden_norm, model.eps, width, joined + width);
    }
    if (!hidden.given) return;
    product<T, T>(hidden.join, inputs_of(space, space.joined, 2 * width, rows), rows, space.x, width, false);
#pragma omp barrier
}

// All layers for the tokens of a step, by the threads of the parallel region it is called in.
template <typename T>
void run_layers(const Model& model, const Step& step, const int64_t* tokens, const Hidden& hidden, const Workspace<T>& space,
                float* logits) {
    int rows = step.tokens, width = model.width;
    embed(model, tokens, rows, hidden, space);
    for (int l = 0; l < model.layers; l++) {
        const Layer& layer = model.layer[l];
        attend_layer(model, layer, step, space);
        rms_norm(space.x, width, layer.post_norm, layer.eps, rows, width, space.normed, width);
        feed_forward(layer, rows, space);
        if (layer.routing.experts) route(layer, rows, space);
    }
    rms_norm(space.x, width, model.final_norm, model.eps, rows, width, space.normed, width);
    if (hidden.made) {
#pragma omp for
        for (int64_t i = 0; i < int64_t(rows) * width; i++) hidden.made[i] = to_float(space.normed[i]);
    }
    Inputs<T> normed = inputs_of(space, space.normed, width, rows);
    if (step.selected < rows) normed.index = step.select;
    product<T, T>(model.head, normed, step.selected, logits, model.head.outputs, false);
    if (tiles::usable<T, T>() || space.rounded) tiles::release();
}

// Some of a step's units, as a step of their own.
struct Part {
    Step step;
    std::vector<int32_t> unit_token, select;
    int first_token = 0, first_selected = 0;
    size_t memory = 0;
};

// Whole units, so that about as many tokens fall to each part. A cache row is in one part: its tokens see each other.
template <typename T>
std::vector<Part> split_tokens(const Model& model, const Step& step, int count) {
    std::vector<Part> parts(count);
    size_t memory = 0;
    int selected = 0;
    for (int p = 0, unit = 0; p < count; p++) {
        Part& part = parts[p];
        int first = step.unit_token[unit], end = int(int64_t(step.tokens) * (p + 1) / count);
        part.step = step;
        part.first_token = first, part.first_selected = selected, part.memory = memory;
        part.unit_token = {0};
        auto goes_on = [&] {  // the next unit belongs to the row of the one before it
            int token = step.unit_token[unit];
            return token > first && step.row[token] == step.row[token - 1];
        };
        auto middle = [&] { return (step.unit_token[unit] + step.unit_token[unit + 1]) / 2; };
        while (unit < step.units && (p == count - 1 || middle() < end || goes_on()))
            part.unit_token.push_back(step.unit_token[++unit] - first);
        part.step.units = int(part.unit_token.size()) - 1;
        part.step.tokens = part.unit_token.back();
        for (; selected < step.selected && step.select[selected] < first + part.step.tokens; selected++)
            part.select.push_back(step.select[selected] - first);
        part.step.selected = int(part.select.size());
        part.step.unit_token = part.unit_token.data(), part.step.select = part.select.data();
        part.step.row = step.row + first, part.step.length = step.length + first;
        memory += Workspace<T>(model, part.step.tokens, nullptr).bytes;
    }
    return parts;
}

// Of the tokens from `first` on.
Hidden hidden_from(Hidden hidden, size_t first, int width) {
    if (hidden.given) hidden.given += first * width;
    if (hidden.made) hidden.made += first * width;
    return hidden;
}

// Threads of a parallel region here.
int threads() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// Parts that so many tokens are cut into, at most, however many threads there are.
int most_parts(const Model& model, int tokens) { return model.weight_bytes <= CACHED ? std::max(1, tokens / TOKENS_EACH) : 1; }

// Small models: each thread takes some of the tokens through all layers, and waits for nobody until the end, so that a thread
// that is held up by another program holds up no other. Large ones: all threads share each product, so that weights
// are read once.
template <typename T>
void forward(const Model& model, const Step& step, const int64_t* tokens, char* memory, float* logits, const Hidden& hidden) {
    if (model.weight_bytes > CACHED) {
        Workspace<T> space(model, step.tokens, memory);
#pragma omp parallel
        run_layers(model, step, tokens, hidden, space, logits);
        return;
    }
    std::vector<Part> parts = split_tokens<T>(model, step, std::min(threads(), most_parts(model, step.tokens)));
#pragma omp parallel for schedule(static, 1) if (parts.size() > 1)
    for (int p = 0; p < int(parts.size()); p++) {
        const Part& part = parts[p];
        if (!part.step.tokens) continue;
        Workspace<T> space(model, part.step.tokens, memory + part.memory);
#pragma omp parallel num_threads(1)
        run_layers(model, part.step, tokens + part.first_token, hidden_from(hidden, part.first_token, model.width), space,
                   logits + size_t(part.first_selected) * model.head.outputs);
    }
}

// Enough for up to `tokens` new tokens: each part rounds up what it takes.
template <typename T>
int64_t workspace_bytes(const Model& model, int tokens) {
    int64_t rounding = Workspace<T>(model, 1, nullptr).bytes;
    return Workspace<T>(model, tokens, nullptr).bytes + most_parts(model, tokens) * rounding;
}

}  // namespace

extern "C" {

int64_t workspace_bytes_f32(const Model* model, int32_t tokens) { return workspace_bytes<float>(*model, tokens); }

int64_t workspace_bytes_bf16(const Model* model, int32_t tokens) { return workspace_bytes<bfloat16>(*model, tokens); }

void forward_f32(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits) {
    forward<float>(*model, *step, tokens, memory, logits, Hidden{});
}

void forward_bf16(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits) {
    forward<bfloat16>(*model, *step, tokens, memory, logits, Hidden{});
}

void forward_hidden_f32(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits,
                        const Hidden* hidden) {
    forward<float>(*model, *step, tokens, memory, logits, *hidden);
}

void forward_hidden_bf16(const Model* model, const Step* step, const int64_t* tokens, char* memory, float* logits,
                         const Hidden* hidden) {
    forward<bfloat16>(*model, *step, tokens, memory, logits, *hidden);
}

int32_t panel_width() { return PANEL; }

// To be asked before anything else: a process has to ask for tiles.
int32_t can_run() { return tiles::permitted(); }

int32_t bf16_depth() { return tiles::DEPTH; }
}
