// SPDX-License-Identifier: Apache-2.0
#include "client/classifier_head.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/digest.h"
#include "client/api.h"
#include "client/model_cipher.h"

namespace tacit::client {
namespace {

constexpr std::string_view kMagic = "TACITHED";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMaxModelBytes = 64;

Error malformed(std::string message) {
  return Error{ErrorCode::kDataMalformed, "classifier head: " + std::move(message)};
}

Status read_numbers(ByteReader& reader, std::size_t count, std::vector<double>& out) {
  TACIT_TRY(ByteView bytes, reader.raw(std::uint64_t{count} * sizeof(double)));
  ByteReader numbers(bytes, reader.what());
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    TACIT_TRY(double value, numbers.f64());
    if (!std::isfinite(value)) return malformed("a number is not finite");
    out.push_back(value);
  }
  return {};
}

Status read_labels(ByteReader& reader, std::size_t count, std::vector<std::string>& out) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < count; ++i) {
    TACIT_TRY(std::string label, reader.string(kMaxLabelBytes));
    if (label.empty()) return malformed("a label is empty");
    if (!seen.insert(label).second) return malformed("a label is there twice");
    out.push_back(std::move(label));
  }
  return {};
}

}  // namespace

Result<std::vector<double>> LinearClassifier::probabilities(std::span<const float> x) const {
  if (x.size() != features())
    return Error{ErrorCode::kHeadMismatch, "the head takes " + std::to_string(features()) +
                                               " features, but there are " + std::to_string(x.size())};
  std::vector<double> standard(features());
  for (std::size_t j = 0; j < features(); ++j) standard[j] = (x[j] - mean[j]) / deviation[j];
  std::vector<float> scores;
  for (std::size_t c = 0; c < classes(); ++c) {
    double score = bias[c];
    for (std::size_t j = 0; j < features(); ++j) score += weights[c * features() + j] * standard[j];
    scores.push_back(static_cast<float>(score));
    if (!std::isfinite(scores.back()))
      return Error{
          ErrorCode::kFeaturesInvalid,
          "the head gives no finite score for these features; one of them is infinite, not a number or "
          "far from what the head was trained on"};
  }
  return softmax(scores);
}

Status ClassifierHead::check_features(std::string_view of_model, std::size_t count) const {
  if (!model.empty() && !of_model.empty() && model != of_model)
    return Error{ErrorCode::kHeadMismatch, "the head was trained on features of the model " + model +
                                               ", these are of " + std::string(of_model)};
  if (count == classifier.features()) return {};
  return Error{ErrorCode::kHeadMismatch, "the head was trained on " + std::to_string(classifier.features()) +
                                             " features" + (model.empty() ? "" : " of the model " + model) +
                                             ", here there are " + std::to_string(count)};
}

Bytes write_head(const ClassifierHead& head) {
  ByteWriter writer;
  writer.raw(as_bytes(kMagic));
  writer.u32(kVersion);
  writer.string(head.model);
  writer.u32(static_cast<std::uint32_t>(head.classifier.features()));
  writer.u32(static_cast<std::uint32_t>(head.classifier.classes()));
  for (const std::string& label : head.labels) writer.string(label);
  for (const auto* numbers :
       {&head.classifier.mean, &head.classifier.deviation, &head.classifier.weights, &head.classifier.bias})
    for (double value : *numbers) writer.f64(value);
  Bytes bytes = std::move(writer).take();
  const Digest digest = blake2b(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

Result<ClassifierHead> read_head(ByteView bytes) {
  if (bytes.size() > kMaxHeadBytes)
    return Error{ErrorCode::kDataTooLarge,
                 "a classifier head has at most " + std::to_string(kMaxHeadBytes) + " bytes"};
  ByteReader reader(bytes, "classifier head");
  TACIT_TRY(const ByteView magic, reader.raw(kMagic.size()));
  if (as_text(magic) != kMagic) return malformed("this is not one; make one with tacit fit");
  TACIT_TRY(const std::uint32_t version, reader.u32());
  if (version != kVersion)
    return Error{ErrorCode::kDataVersion, "the classifier head has version " + std::to_string(version) +
                                              ", this release reads version " + std::to_string(kVersion)};
  ClassifierHead head;
  TACIT_TRY(head.model, reader.string(kMaxModelBytes));
  if (!head.model.empty() && !is_model_name(head.model)) return malformed("its model's name is not one");
  TACIT_TRY(const std::uint32_t features, reader.u32());
  TACIT_TRY(const std::uint32_t classes, reader.u32());
  if (features < 1 || features > kMaxFeatures || classes < 2 || classes > kMaxClasses ||
      std::size_t{features} * classes > kMaxHeadWeights)
    return malformed("it has " + std::to_string(features) + " features and " + std::to_string(classes) +
                     " classes");
  TACIT_CHECK(read_labels(reader, classes, head.labels));
  LinearClassifier& classifier = head.classifier;
  TACIT_CHECK(read_numbers(reader, features, classifier.mean));
  TACIT_CHECK(read_numbers(reader, features, classifier.deviation));
  TACIT_CHECK(read_numbers(reader, std::size_t{features} * classes, classifier.weights));
  TACIT_CHECK(read_numbers(reader, classes, classifier.bias));
  if (!std::ranges::all_of(classifier.deviation, [](double deviation) { return deviation > 0; }))
    return malformed("a deviation is not above 0");
  const std::size_t covered = bytes.size() - reader.remaining();
  TACIT_TRY(const ByteView stored, reader.raw(Digest{}.size()));
  TACIT_CHECK(reader.finish());
  if (!std::ranges::equal(stored, blake2b(bytes.first(covered))))
    return malformed("a byte was altered; its digest is another one");
  return head;
}

}  // namespace tacit::client
