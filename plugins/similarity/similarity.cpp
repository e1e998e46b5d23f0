/** @file similarity.cpp
 *  See similarity.hpp.
 */
#include "similarity.hpp"

#include <algorithm>
#include <cmath>

namespace vlm::similarity {

using namespace sdk;
using nlohmann::json;

namespace {

/** Appends the rows of a CPU tensor `[rows, columns]` f32. */
void append_rows(Matrix& m, const vlm_tensor* source, const char* what) {
    const Tensor tensor(source, what);
    if (tensor.ndim() != 2 || (m.columns != 0 && tensor.size(1) != m.columns))
        throw invalid_argument(std::string(what) + ": has shape " + to_string(tensor.shape()) +
                               ", expected rows of one width");
    m.columns = tensor.size(1);
    const auto values = tensor.span<const float>();
    m.values.insert(m.values.end(), values.begin(), values.end());
}

json to_json(const Matrix& m) {
    json rows = json::array();
    for (int64_t i = 0; i < m.rows(); ++i) rows.push_back(std::vector<float>(m.row(i), m.row(i) + m.columns));
    return rows;
}

void tap(const Run& run, const char* name, Matrix m) {
    if (!run.tapped()) return;
    const int64_t rows = m.rows(), columns = m.columns;
    HostTensor<float> host(std::move(m.values), {rows, columns});
    run.tap(name, host.view());
}

bool was_trained_on_soft_targets(const Config& model) {
    if (model.get("problem_type", "") == "multi_label_classification") return true;
    const auto names = model.list<std::string>("architectures", {});
    return std::any_of(names.begin(), names.end(), [](const auto& n) { return n.ends_with("ForQuestionAnswering"); });
}

}  // namespace

Similarity::Similarity(const ComponentConfig& c)
    : top_(c.config.integer("top", 5, 1, 1000000)), embeddings_(c.config.get("embeddings", false)) {
    enum class Kind { automatic, softmax, sigmoid };
    const auto kind = c.config.choice<Kind>(
        "probability", "auto", {{"auto", Kind::automatic}, {"softmax", Kind::softmax}, {"sigmoid", Kind::sigmoid}});
    sigmoid_ = kind == Kind::automatic ? was_trained_on_soft_targets(c.model) : kind == Kind::sigmoid;
    one_score_ = kind == Kind::automatic;  // softmax over one score says nothing
    c.config.refuse_unknown();
    if (const auto* labels = c.model.find("id2label"); labels != nullptr && labels->is_object()) labels_ = *labels;
}

void Similarity::load(const Weights& weights) {
    if (const auto scale = weights.find("logit_scale"); scale && scale->elements() == 1)
        logit_scale_ = static_cast<double>(to_floats(*scale).front());
    if (const auto bias = weights.find("logit_bias"); bias && bias->elements() == 1)
        logit_bias_ = static_cast<double>(to_floats(*bias).front());
}

std::string Similarity::label(int64_t index) const {
    const std::string key = std::to_string(index);
    const auto found = labels_.is_object() ? labels_.find(key) : labels_.end();
    return found != labels_.end() && found->is_string() ? found->get<std::string>() : "LABEL_" + key;
}

std::vector<double> Similarity::probabilities(const float* scores, int64_t count) const {
    return sigmoid_ || (one_score_ && count == 1) ? sigmoid(scores, count) : softmax(scores, count);
}

json Similarity::compare(const Run& run, Matrix images, Matrix texts, const std::vector<std::string>& labels) const {
    if (images.columns != texts.columns)
        throw failed_precondition("image embeddings have width " + std::to_string(images.columns) +
                                  ", text embeddings " + std::to_string(texts.columns) +
                                  "; use the towers of one checkpoint");
    normalize_rows(images);
    normalize_rows(texts);
    const Matrix cosines = products(images, texts, 1);
    Matrix logits = products(images, texts, std::exp(logit_scale_));
    for (float& logit : logits.values) logit += static_cast<float>(logit_bias_.value_or(0));
    tap(run, "image_embeds", images);
    tap(run, "text_embeds", texts);
    tap(run, "logits", logits);
    tap(run, "logits_per_text", transposed(logits));

    json out = {{"logits_per_image", to_json(logits)}, {"cosines", to_json(cosines)}};
    json all = json::array(), ranking = json::array();
    for (int64_t i = 0; i < logits.rows(); ++i) {
        // Several images with one text: a softmax over one score would say 1 for all of them. A bias is learnt with a
        // sigmoid loss, where each pair is judged alone (SigLIP).
        const auto p = logit_bias_ ? sigmoid(logits.row(i), logits.columns) : softmax(logits.row(i), logits.columns);
        json ranked = json::array();
        for (const int64_t j : best(logits.row(i), logits.columns, top_)) {
            const auto at = static_cast<size_t>(j);
            ranked.push_back({{"text", at < labels.size() ? labels[at] : "text " + std::to_string(j)},
                              {"index", j},
                              {"cosine", cosines.row(i)[j]},
                              {"probability", p[at]}});
        }
        all.push_back(p);
        ranking.push_back(std::move(ranked));
    }
    out["probabilities"] = std::move(all);
    out["ranking"] = std::move(ranking);
    if (embeddings_) {
        out["image_embeddings"] = to_json(images);
        out["text_embeddings"] = to_json(texts);
    }
    return out;
}

json Similarity::classify(const Matrix& scores) const {
    json lists = json::array();
    for (int64_t i = 0; i < scores.rows(); ++i) {
        const auto p = probabilities(scores.row(i), scores.columns);
        if (scores.columns == 1) {
            lists.push_back({{"score", scores.row(i)[0]}, {"probability", p[0]}});
            continue;
        }
        json list = json::array();
        for (const int64_t j : best(scores.row(i), scores.columns, top_))
            list.push_back({{"label", label(j)},
                            {"index", j},
                            {"score", scores.row(i)[j]},
                            {"probability", p[static_cast<size_t>(j)]}});
        lists.push_back(std::move(list));
    }
    return {{scores.columns == 1 ? "matches" : "predictions", std::move(lists)}};
}

json Similarity::process(const Run& run, const vlm_post_input& input) const {
    Matrix outputs, images;
    for (uint32_t i = 0; i < input.answer_count; ++i) {
        const auto answer = read_struct(input.answers[i], "answer");
        if (answer.output == nullptr)
            throw failed_precondition(
                "answer " + std::to_string(i) +
                " has no scores or embeddings; this post-processor follows backbones that classify or embed");
        append_rows(outputs, answer.output, "output");
        if (answer.image_embeddings != nullptr && images.columns == 0)
            append_rows(images, answer.image_embeddings, "image_embeddings");
    }
    if (outputs.columns == 0) return json::object();
    if (images.columns == 0) return classify(outputs);
    std::vector<std::string> labels;
    for (uint32_t i = 0; i < input.prompt_count; ++i) labels.emplace_back(text_of(input.prompts[i]));
    return compare(run, std::move(images), std::move(outputs), labels);
}

}  // namespace vlm::similarity
