// The steps of cpp_loop.h in llama.cpp's library: the rows are sequences of one cache. Opened by
// llama_cpp.py.

#include <ggml-cpu.h>
#include <llama.h>

#include <memory>
#include <stdexcept>

#include "cpp_loop.h"

namespace {

template <auto Free>
struct Delete {
  void operator()(auto* held) const { Free(held); }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Delete<Free>>;

class LlamaLoop : public Loop {
 public:
  LlamaLoop(const char* path, std::size_t vocab_size, std::uint32_t longest)
      : Loop(vocab_size), longest_(longest) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    model_.reset(llama_model_load_from_file(path, llama_model_default_params()));
    if (model_ == nullptr) throw std::runtime_error("llama.cpp does not load the model");
    auto one = ggml_threadpool_params_default(1);
    threads_.reset(ggml_threadpool_new(&one));
  }

 private:
  /// Caches are of float16, to which its attention turns all of a cache of float32 in each step.
  void open() override {
    const std::size_t rows = tokens_.size();
    auto params = llama_context_default_params();
    params.n_seq_max = params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(rows);
    params.n_ctx = longest_ * params.n_seq_max;
    params.n_threads = params.n_threads_batch = 1;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.type_k = params.type_v = GGML_TYPE_F16;
    params.kv_unified = true;  // a cache of its own has 256 positions at least
    params.offload_kqv = params.op_offload = false;
    params.no_perf = true;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (context_ == nullptr) throw std::runtime_error("llama.cpp makes no context");
    llama_attach_threadpool(context_.get(), threads_.get(), nullptr);
    batch_.reset(new llama_batch(llama_batch_init(static_cast<std::int32_t>(rows), 0, 1)));
    batch_->n_tokens = static_cast<std::int32_t>(rows);
    for (std::size_t row = 0; row < rows; ++row) {
      batch_->n_seq_id[row] = batch_->logits[row] = 1;
      batch_->seq_id[row][0] = static_cast<llama_seq_id>(row);
    }
  }

  void forget(std::size_t row) override {
    const auto sequence = static_cast<llama_seq_id>(row);
    llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, -1, -1);
  }

  float* run() override {
    std::ranges::copy(tokens_, batch_->token);
    std::ranges::copy(positions_, batch_->pos);
    if (llama_decode(context_.get(), *batch_) != 0) throw std::runtime_error("llama_decode failed");
    return llama_get_logits(context_.get());
  }

  static void free_batch(llama_batch* batch) {
    llama_batch_free(*batch);
    delete batch;
  }

  std::uint32_t longest_;  // positions of a string
  Owned<llama_model, llama_model_free> model_;
  Owned<ggml_threadpool, ggml_threadpool_free> threads_;
  Owned<llama_context, llama_free> context_;
  Owned<llama_batch, free_batch> batch_;
};

}  // namespace

extern "C" Loop* loop_open(const char* path, std::size_t vocab_size, std::uint32_t longest) {
  return new LlamaLoop(path, vocab_size, longest);
}
