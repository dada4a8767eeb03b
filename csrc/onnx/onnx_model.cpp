#include "onnx_model.h"

#include <algorithm>
#include <thread>

namespace makemore {
namespace {

std::string shown(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "(" + text + ")";
}

constexpr std::size_t kAnyRank = 0;

// What a tensor of the contract has to be: a type, a free batch axis, fixed sizes after it.
void require(const std::string& path, const std::string& name, const ort::TensorType& type,
             std::initializer_list<int> element_types, std::size_t rank) {
  const bool known = std::ranges::count(element_types, type.element_type) > 0;
  if (!known) {
    throw ArtifactError(path + ": " + name + " has element type " +
                        std::to_string(type.element_type) +
                        " of ONNX; a step takes and gives float32 (1), float16 (10) and int64 (7) "
                        "as its place demands");
  }
  const auto& shape = type.shape;
  const bool fits = !shape.empty() && shape.front() == -1 &&
                    std::all_of(shape.begin() + 1, shape.end(), [](auto size) { return size > 0; });
  if (!fits) {
    throw ArtifactError(path + ": " + name + " has shape " + shown(shape) +
                        "; the batch axis must be free (-1), and the others fixed");
  }
  if (rank != kAnyRank && shape.size() != rank) {
    throw ArtifactError(path + ": " + name + " has shape " + shown(shape) + "; it must have " +
                        std::to_string(rank) + (rank == 1 ? " axis" : " axes"));
  }
}

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

OnnxModel::OnnxModel(std::shared_ptr<const ort::Library> library, const std::filesystem::path& path,
                     ort::Device device, const transformer::Kernel* kernel)
    : library_(std::move(library)),
      path_(path),
      device_(device),
      runs_(std::max(1U, std::thread::hardware_concurrency())) {
  if (kernel != nullptr && device == ort::Device::kCpu) {
    op_ = std::make_unique<transformer::TransformerOp>(library_, *kernel);
  }
  try {
    session_ = open(path);
  } catch (const ArtifactError&) {
    if (!op_ || !op_->declined()) throw;
    op_.reset();
    session_ = open(path);
  }
  read_names();
  read_contract(path.string());
}

ort::Owned<ort::OrtSession> OnnxModel::open(const std::filesystem::path& path) const {
  const auto options = library_->session_options(device_);
  if (op_) op_->add_to(options.get());
  ort::OrtSession* raw = nullptr;
  library_->check<ArtifactError>("cannot load " + path.string(), ort::CreateSession,
                                 library_->env(), path.c_str(), options.get(), &raw);
  return library_->own(ort::ReleaseSession, raw);
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

void OnnxModel::read_contract(const std::string& path) {
  if (inputs_.size() < 2 || outputs_.size() + 1 != inputs_.size()) {
    throw ArtifactError(path + " has " + std::to_string(inputs_.size()) + " inputs and " +
                        std::to_string(outputs_.size()) +
                        " outputs; a step takes a token, a position and its states, and gives "
                        "logits and as many states");
  }
  require(path, inputs_[0], type_of(ort::SessionGetInputTypeInfo, 0), {ort::kInt64}, 1);
  require(path, inputs_[1], type_of(ort::SessionGetInputTypeInfo, 1), {ort::kInt64}, 1);
  const auto logits = type_of(ort::SessionGetOutputTypeInfo, 0);
  require(path, outputs_[0], logits, {ort::kFloat}, 2);
  vocab_size_ = logits.shape[1];
  for (std::size_t i = 2; i < inputs_.size(); ++i) {
    const auto type = type_of(ort::SessionGetInputTypeInfo, i);
    const auto next = type_of(ort::SessionGetOutputTypeInfo, i - 1);
    require(path, inputs_[i], type, {ort::kFloat, ort::kHalf, ort::kInt64}, kAnyRank);
    require(path, outputs_[i - 1], next, {type.element_type}, kAnyRank);
    if (next.shape != type.shape) {
      throw ArtifactError(path + ": " + outputs_[i - 1] + " has shape " + shown(next.shape) +
                          ", but " + inputs_[i] + ", which it follows, has " + shown(type.shape));
    }
    const auto element_type = static_cast<ort::ElementType>(type.element_type);
    StateTensor state{inputs_[i],
                      element_type,
                      {type.shape.begin() + 1, type.shape.end()},
                      element_bytes(element_type)};
    for (const std::int64_t size : state.shape) state.row_bytes *= static_cast<std::size_t>(size);
    states_.push_back(std::move(state));
  }
}

void OnnxModel::run(std::span<const ort::OrtValue* const> inputs,
                    std::span<ort::OrtValue*> outputs) const {
  struct Turn {
    explicit Turn(std::counting_semaphore<>& turns) : turns(turns) { turns.acquire(); }
    ~Turn() { turns.release(); }
    std::counting_semaphore<>& turns;
  };
  const Turn turn(runs_);
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
