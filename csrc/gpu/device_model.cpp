#include "device_model.h"

#include <array>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "gather_model.h"
#include "io_binding.h"

namespace makemore {

DeviceModel::DeviceModel(std::shared_ptr<const OnnxModel> model,
                         std::span<const std::optional<std::int64_t>> time_axes,
                         std::optional<std::int64_t> block_size)
    : model_(std::move(model)),
      block_size_(block_size.value_or(std::numeric_limits<std::int64_t>::max())),
      memory_(library().memory(model_->device())) {
  if (time_axes.size() != model_->states().size()) {
    throw ArtifactError("the metadata names " + std::to_string(time_axes.size()) +
                        " states, the model has " + std::to_string(model_->states().size()));
  }
  for (const auto& axis : time_axes) in_place_.push_back(axis.has_value());
  for (const auto type : {ort::kFloat, ort::kHalf, ort::kInt64, ort::kDouble}) {
    gathers_.emplace(type, library().session(ort::gather_model(type), model_->device()));
    replaces_.emplace(type, library().session(ort::replace_model(type), model_->device()));
  }
}

DeviceModel::Value DeviceModel::gather(ort::ElementType type, const ort::OrtValue* data,
                                       std::span<const std::int64_t> indices) const {
  std::vector<std::int64_t> rows(indices.begin(), indices.end());
  const std::array<std::int64_t, 1> shape{std::ssize(rows)};
  const Value index = library().tensor(std::span(rows), shape, ort::kInt64);
  ort::Binding binding(library(), gathers_.at(type).get());
  binding.input("data", data);
  binding.input("indices", index.get());
  binding.output("rows", memory());
  binding.run();
  return std::move(binding.take_outputs().front());
}

void DeviceModel::clear(ort::ElementType type, ort::OrtValue* data, std::int64_t count,
                        const std::vector<std::int64_t>& shape,
                        std::span<const std::size_t> rows) const {
  std::vector<std::int64_t> sources(static_cast<std::size_t>(count));
  std::iota(sources.begin(), sources.end(), 0);
  for (const std::size_t row : rows) sources[row] = count;
  const std::array<std::int64_t, 1> each{count};
  const Value index = library().tensor(std::span(sources), each, ort::kInt64);
  const Value zero = zeros(type, 1, shape);
  ort::Binding binding(library(), replaces_.at(type).get());
  binding.input("data", data);
  binding.input("other", zero.get());
  binding.input("indices", index.get());
  binding.output("rows", data);  // by then `data` was read
  binding.run();
  binding.synchronize();
}

DeviceModel::Value DeviceModel::zeros(ort::ElementType type, std::int64_t rows,
                                      const std::vector<std::int64_t>& shape) const {
  std::vector<std::int64_t> one_row(shape);
  one_row.insert(one_row.begin(), 1);
  const auto bytes = bytes_of(type, shape);
  if (!bytes) throw OptionError("a row of zeros does not fit in memory");
  std::vector<std::byte> zero(*bytes);
  const Value row = library().tensor(std::span(zero), one_row, type);
  return gather(type, row.get(), std::vector<std::int64_t>(static_cast<std::size_t>(rows)));
}

std::string DeviceModel::sampler_bytes(SamplingGraphKind kind) const {
  if (model_->file_bytes().empty()) throw OptionError("the model was opened without keep_file");
  return model_->file_bytes() + sampling_graph(*model_, in_place_, kind);
}

ort::OrtSession* DeviceModel::sampler(SamplingGraphKind kind) const {
  Lazy& lazy = samplers_[static_cast<std::size_t>(kind)];
  std::call_once(lazy.once, [&] {
    const auto options = library().session_options(model_->device());
    lazy.session =
        library().bounded_session(sampler_bytes(kind), options.get(), model_->max_bytes());
  });
  return lazy.session.get();
}

}  // namespace makemore
