#include "onnx_model.h"

#include <algorithm>

#include "bounds.h"
#include "file_check.h"
#include "run_turn.h"
#include "text.h"

namespace makemore {
namespace {

std::string shown(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t size : shape) text += (text == "(" ? "" : ", ") + std::to_string(size);
  return one_line(text, 100) += ")";
}

constexpr std::size_t kAnyRank = 0;

}  // namespace

std::size_t element_bytes(ort::ElementType type) {
  switch (type) {
    case ort::kBool:
      return 1;
    case ort::kHalf:
      return 2;
    case ort::kFloat:
      return sizeof(float);
    case ort::kInt64:
    case ort::kDouble:
      break;
  }
  return 8;
}

std::optional<std::size_t> bytes_of(ort::ElementType type, std::span<const std::int64_t> shape) {
  std::optional<std::size_t> bytes = element_bytes(type);
  for (const std::int64_t size : shape) {
    if (bytes) bytes = checked_product({*bytes, static_cast<std::size_t>(size)});
  }
  return bytes;
}

OnnxModel::OnnxModel(std::shared_ptr<const ort::Library> library, ModelFile file,
                     const ModelOptions& options)
    : library_(std::move(library)), file_(std::move(file)), options_(options) {
  try {
    check_file(file_.bytes, options_.trust);
    session_ = library_->bounded_session(
        file_.bytes, library_->session_options(options_.device).get(), options_.max_bytes);
    read_names();
    read_contract();
    if (options_.kernel != nullptr) {
      native_ = NativeModel::read(*options_.kernel, file_.bytes, *this);
    }
  } catch (const ArtifactError& error) {
    throw ArtifactError("cannot load " + file_.name + ": " + error.what());
  }
  if (!options_.keep_file) file_.bytes = {};
}

void OnnxModel::read_names() {
  std::size_t inputs = 0, outputs = 0;
  ort::OrtAllocator* allocator = library_->default_allocator();
  library_->check("counting inputs", ort::SessionGetInputCount, session(), &inputs);
  library_->check("counting outputs", ort::SessionGetOutputCount, session(), &outputs);
  char* name = nullptr;
  for (std::size_t i = 0; i < inputs; ++i) {
    library_->check("naming an input", ort::SessionGetInputName, session(), i, allocator, &name);
    inputs_.push_back(library_->take(name));
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    library_->check("naming an output", ort::SessionGetOutputName, session(), i, allocator, &name);
    outputs_.push_back(library_->take(name));
  }
  for (const std::string& input : inputs_) input_names_.push_back(input.c_str());
  for (const std::string& output : outputs_) output_names_.push_back(output.c_str());
}

void OnnxModel::read_contract() {
  if (inputs_.size() < 2 || outputs_.size() + 1 != inputs_.size()) {
    throw ArtifactError("it has " + std::to_string(inputs_.size()) + " inputs and " +
                        std::to_string(outputs_.size()) +
                        " outputs; a step takes a token, a position and its states, and gives "
                        "logits and as many states");
  }
  require(inputs_[0], type_of(ort::SessionGetInputTypeInfo, 0), {ort::kInt64}, 1);
  require(inputs_[1], type_of(ort::SessionGetInputTypeInfo, 1), {ort::kInt64}, 1);
  const auto logits = type_of(ort::SessionGetOutputTypeInfo, 0);
  require(outputs_[0], logits, {ort::kFloat}, 2);
  vocab_size_ = logits.shape[1];
  add_row(outputs_[0], logits);
  for (std::size_t i = 2; i < inputs_.size(); ++i) read_state(i);
}

void OnnxModel::read_state(std::size_t input) {
  const std::string &name = inputs_[input], &next_name = outputs_[input - 1];
  const auto type = type_of(ort::SessionGetInputTypeInfo, input);
  const auto next = type_of(ort::SessionGetOutputTypeInfo, input - 1);
  require(name, type, {ort::kFloat, ort::kHalf, ort::kInt64}, kAnyRank);
  require(next_name, next, {type.element_type}, kAnyRank);
  if (next.shape != type.shape) {
    throw ArtifactError(in_quotes(next_name) + " has shape " + shown(next.shape) + ", but " +
                        in_quotes(name) + ", which it follows, has " + shown(type.shape));
  }
  states_.push_back({name,
                     static_cast<ort::ElementType>(type.element_type),
                     {type.shape.begin() + 1, type.shape.end()},
                     add_row(name, type)});
}

// What a tensor of the contract has to be: a type, a free batch axis, fixed sizes after it.
void OnnxModel::require(const std::string& name, const ort::TensorType& type,
                        std::initializer_list<int> element_types, std::size_t rank) const {
  const std::string subject = in_quotes(name);
  if (std::ranges::count(element_types, type.element_type) == 0) {
    throw ArtifactError(subject + " has element type " + std::to_string(type.element_type) +
                        " of ONNX; a step takes and gives float32 (1), float16 (10) and int64 (7) "
                        "as its place demands");
  }
  const auto& shape = type.shape;
  const bool fits = !shape.empty() && shape.front() == -1 &&
                    std::all_of(shape.begin() + 1, shape.end(), [](auto size) { return size > 0; });
  if (!fits) {
    throw ArtifactError(subject + " has shape " + shown(shape) +
                        "; the batch axis must be free (-1), and the others fixed");
  }
  if (rank != kAnyRank && shape.size() != rank) {
    throw ArtifactError(subject + " has shape " + shown(shape) + "; it must have " +
                        std::to_string(rank) + (rank == 1 ? " axis" : " axes"));
  }
}

std::size_t OnnxModel::add_row(const std::string& name, const ort::TensorType& type) {
  const auto bytes =
      bytes_of(static_cast<ort::ElementType>(type.element_type), std::span(type.shape).subspan(1));
  const std::size_t limit = options_.max_bytes / 8;  // there must be room for a few rows
  if (!bytes || *bytes > limit - row_bytes_) {
    throw ArtifactError("with " + in_quotes(name) + " of shape " + shown(type.shape) +
                        " a row takes more than " + std::to_string(limit) +
                        " bytes, an eighth of max_bytes");
  }
  row_bytes_ += *bytes;
  return *bytes;
}

void OnnxModel::run(std::span<const ort::OrtValue* const> inputs,
                    std::span<ort::OrtValue*> outputs) const {
  const RunTurn turn;
  library_->check("a step failed", ort::Run, session(), nullptr, input_names_.data(), inputs.data(),
                  inputs.size(), output_names_.data(), outputs.size(), outputs.data());
}

std::string OnnxModel::metadata(const std::string& key) const {
  ort::OrtModelMetadata* raw = nullptr;
  library_->check("reading metadata", ort::SessionGetModelMetadata, session(), &raw);
  const auto metadata = library_->own(ort::ReleaseModelMetadata, raw);
  char* value = nullptr;
  library_->check("reading metadata", ort::ModelMetadataLookupCustomMetadataMap, raw,
                  library_->default_allocator(), key.c_str(), &value);
  return value == nullptr ? "" : library_->take(value);
}

}  // namespace makemore
