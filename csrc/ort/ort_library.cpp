#include "ort_library.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "gather_model.h"

#ifdef _WIN32
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace makemore::ort {
namespace {

constexpr int kOldestMinor = 20;

#ifdef _WIN32
void* find_symbol(const std::filesystem::path& path, const char* name) {
  const HMODULE module = LoadLibraryExW(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (module == nullptr) {
    throw OrtError("cannot open " + path.string() + ": Windows error " +
                   std::to_string(GetLastError()));
  }
  return reinterpret_cast<void*>(GetProcAddress(module, name));
}
#else
void* find_symbol(const std::filesystem::path& path, const char* name) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw OrtError("cannot open ONNX Runtime: " + std::string(dlerror()));
  return dlsym(library, name);
}
#endif

/// The last error that ONNX Runtime logged: its statuses leave out why a provider did not load. All
/// users of the library in a process share one environment, which goes on logging to the first
/// one's logger when that one has gone: so this lasts as long as the process.
struct Log {
  std::mutex mutex;
  std::string last_error;
};

Log& process_log() {
  static Log& log = *std::make_unique<Log>().release();  // never freed
  return log;
}

void keep_error(void*, int, const char*, const char*, const char*, const char* message) noexcept {
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  try {
    log.last_error = message;
  } catch (const std::bad_alloc&) {
    log.last_error.clear();
  }
}

/// Some messages end their line, some do not.
std::string without_line_end(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Library::Library(const std::filesystem::path& path) {
  using GetApiBase = const OrtApiBase* (*)();
  const auto get_api_base = reinterpret_cast<GetApiBase>(find_symbol(path, "OrtGetApiBase"));
  if (get_api_base == nullptr) {
    throw OrtError(path.string() + " is not ONNX Runtime: it has no OrtGetApiBase");
  }
  const OrtApiBase* base = get_api_base();
  version_ = base->GetVersionString();
  int major = 0, minor = 0;
  const int numbers = std::sscanf(version_.c_str(), "%d.%d", &major, &minor);
  if (numbers != 2 || major < 1 || (major == 1 && minor < kOldestMinor)) {
    throw OrtError(path.string() + " is ONNX Runtime " + version_ + "; 1." +
                   std::to_string(kOldestMinor) + " or newer is needed");
  }
  table_ = base->GetApi(kApiVersion);
  if (table_ == nullptr) {
    throw OrtError(path.string() + " (ONNX Runtime " + version_ + ") has no API version " +
                   std::to_string(kApiVersion));
  }
  OrtEnv* env = nullptr;
  // Nothing is to be printed: errors come back as statuses, and the log is kept for what they omit.
  check("starting ONNX Runtime", CreateEnvWithCustomLogger,
        static_cast<LoggingFunction>(keep_error), nullptr, static_cast<int>(kLogError), "makemore",
        &env);
  env_ = own(ReleaseEnv, env);
  cpu_memory_ = memory("Cpu", kDeviceAllocator);
  arena_memory_ = memory("Cpu", kArenaAllocator);
  self_test(Device::kCpu);
}

std::string Library::take(OrtStatus* status) const {
  const auto owned = own(ReleaseStatus, status);
  const std::string text = without_line_end(call(GetErrorMessage, status));
  const bool is_limit = text.find("smaller than requested bytes") != std::string::npos;
  return is_limit ? "out of memory, which max_bytes limits: " + text : text;
}

OrtAllocator* Library::default_allocator() const {
  OrtAllocator* allocator = nullptr;
  check("finding the allocator", GetAllocatorWithDefaultOptions, &allocator);
  return allocator;
}

std::string Library::take(char* text) const {
  std::string copy(text);
  check("freeing a string", AllocatorFree, default_allocator(), text);
  return copy;
}

std::vector<std::string> Library::providers() const {
  char** names = nullptr;
  int count = 0;
  check("listing the providers", GetAvailableProviders, &names, &count);
  std::vector<std::string> providers(names, names + count);
  check("freeing the list of providers", ReleaseAvailableProviders, names, count);
  return providers;
}

Owned<OrtSessionOptions> Library::session_options(Device device) const {
  OrtSessionOptions* raw = nullptr;
  check("making session options", CreateSessionOptions, &raw);
  auto options = own(ReleaseSessionOptions, raw);
  check("setting threads", SetIntraOpNumThreads, raw, 1);
  check("setting threads", SetInterOpNumThreads, raw, 1);
  check("setting optimisation", SetSessionGraphOptimizationLevel, raw,
        static_cast<int>(kOptimizeAll));
  // Else it looks at bytes 4 to 7, and takes a file for its own format, which nothing here checks.
  check("choosing the format", AddSessionConfigEntry, raw, "session.load_model_format", "ONNX");
  if (device == Device::kCuda) append_cuda(raw);
  return options;
}

void Library::append_cuda(OrtSessionOptions* options) const {
  if (std::ranges::count(providers(), "CUDAExecutionProvider") == 0) {
    throw OrtError("device 'cuda' needs the GPU build of ONNX Runtime, but the one found (" +
                   version_ +
                   ") has no CUDA provider: pip uninstall onnxruntime, then pip install "
                   "'makemore[cuda]'");
  }
  OrtCUDAProviderOptionsV2* raw = nullptr;
  check("asking for CUDA", CreateCUDAProviderOptions, &raw);
  const auto cuda = own(ReleaseCUDAProviderOptions, raw);
  // The default, TF32, multiplies matrices with 10 bits: too few for the strings of the CPU.
  const std::array<const char*, 1> keys{"use_tf32"}, values{"0"};
  try {
    check("device 'cuda' cannot be had", UpdateCUDAProviderOptions, raw, keys.data(), values.data(),
          keys.size());
    check("device 'cuda' cannot be had", SessionOptionsAppendExecutionProvider_CUDA_V2, options,
          raw);
  } catch (const OrtError& error) {
    const std::lock_guard lock(process_log().mutex);
    const std::string more = without_line_end(process_log().last_error);
    throw OrtError(error.what() + (more.empty() ? "" : "; " + more));
  }
}

Owned<OrtSession> Library::session(std::string_view model, Device device) const {
  return session(model, session_options(device).get());
}

Owned<OrtSession> Library::session(std::string_view model, const OrtSessionOptions* options) const {
  OrtSession* raw = nullptr;
  const auto* data = static_cast<const void*>(model.data());
  check<ArtifactError>("ONNX Runtime does not open it", CreateSessionFromArray, env(), data,
                       model.size(), options, &raw);
  return own(ReleaseSession, raw);
}

/// While it lives, sessions may take memory from an allocator of the environment that has a limit.
class Library::BoundedMemory {
 public:
  BoundedMemory(const Library& library, std::size_t max_bytes) : library_(library) {
    constexpr std::array<const char*, 1> kKeys{"max_mem"};
    const std::array values{max_bytes};
    OrtArenaCfg* config = nullptr;
    library.check("limiting memory", CreateArenaCfgV2, kKeys.data(), values.data(), values.size(),
                  &config);
    const auto owned = library.own(ReleaseArenaCfg, config);
    library.check("limiting memory", CreateAndRegisterAllocator, library.env(),
                  library.arena_memory_.get(), config);
  }
  ~BoundedMemory() {
    OrtStatus* status =
        library_.call(UnregisterAllocator, library_.env(), library_.arena_memory_.get());
    if (status != nullptr) library_.call(ReleaseStatus, status);
  }
  BoundedMemory(const BoundedMemory&) = delete;
  BoundedMemory& operator=(const BoundedMemory&) = delete;

 private:
  const Library& library_;
};

Owned<OrtSession> Library::bounded_session(std::string_view model, OrtSessionOptions* options,
                                           std::size_t max_memory) const {
  // Constant folding would run while the session is opened, in memory without a limit.
  check("setting optimisation", AddSessionConfigEntry, options,
        "optimization.disable_specified_optimizers", "ConstantFolding");
  check("limiting memory", AddSessionConfigEntry, options, "session.use_env_allocators", "1");
  // The session keeps the allocator that is registered now, so each session has its own.
  const std::lock_guard lock(*opening_);
  const BoundedMemory memory(*this, max_memory);
  return session(model, options);
}

Owned<OrtMemoryInfo> Library::memory(Device device) const {
  return memory(device == Device::kCuda ? "Cuda" : "Cpu", kDeviceAllocator);
}

Owned<OrtMemoryInfo> Library::memory(const char* device, AllocatorType type) const {
  OrtMemoryInfo* raw = nullptr;
  check("describing memory", CreateMemoryInfo, device, static_cast<int>(type), 0,
        static_cast<int>(kMemoryDefault), &raw);
  return own(ReleaseMemoryInfo, raw);
}

Owned<OrtValue> Library::tensor(void* data, std::size_t bytes, std::span<const std::int64_t> shape,
                                int element_type) const {
  OrtValue* raw = nullptr;
  check("making a tensor", CreateTensorWithDataAsOrtValue, cpu_memory_.get(), data, bytes,
        shape.data(), shape.size(), element_type, &raw);
  return own(ReleaseValue, raw);
}

TensorType Library::type_of(const OrtTypeInfo& info) const {
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  check("reading a type", CastTypeInfoToTensorInfo, &info, &tensor);
  TensorType type;
  if (tensor == nullptr) return type;
  std::size_t rank = 0;
  check("reading a type", GetTensorElementType, tensor, &type.element_type);
  check("reading a shape", GetDimensionsCount, tensor, &rank);
  type.shape.resize(rank);
  check("reading a shape", GetDimensions, tensor, type.shape.data(), rank);
  return type;
}

void Library::self_test(Device device) const {
  const auto gather = session(gather_model(kFloat), device);
  std::array<float, 3> data{1, 2, 4};
  std::array<std::int64_t, 2> indices{2, 0};
  std::array<float, 2> rows{};
  const std::array<std::int64_t, 1> three{3}, two{2};
  const auto data_value = tensor(std::span(data), three, kFloat);
  const auto index_value = tensor(std::span(indices), two, kInt64);
  const auto rows_value = tensor(std::span(rows), two, kFloat);
  const std::array<const char*, 2> inputs{"data", "indices"};
  const std::array<const char*, 1> outputs{"rows"};
  const std::array<const OrtValue*, 2> in{data_value.get(), index_value.get()};
  std::array<OrtValue*, 1> out{rows_value.get()};
  check("self-test", Run, gather.get(), nullptr, inputs.data(), in.data(), in.size(),
        outputs.data(), outputs.size(), out.data());
  if (rows != std::array<float, 2>{4, 1}) {
    throw OrtError("ONNX Runtime " + version_ + " fails its self-test: a Gather gave wrong rows");
  }
}

}  // namespace makemore::ort
