#pragma once

#include <cstddef>
#include <cstdint>

// The slice of ONNX Runtime's C ABI that we use, declared by hand: no registry offers its headers.
// OrtGetApiBase()->GetApi(n) returns a table of function pointers whose slots never move; version
// 17 of the table is in every release from 1.17 on.
namespace makemore::ort {

inline constexpr std::uint32_t kApiVersion = 17;

// Opaque handles.
struct OrtAllocator;
struct OrtArenaCfg;
struct OrtCUDAProviderOptionsV2;
struct OrtEnv;
struct OrtIoBinding;
struct OrtMemoryInfo;
struct OrtModelMetadata;
struct OrtRunOptions;
struct OrtSession;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;

struct OrtApiBase {
  void* const* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

using LoggingFunction = void (*)(void* parameter, int severity, const char* category,
                                 const char* logger, const char* location, const char* message);

// Values of the C enums, of which the first is that of onnx.proto.
enum ElementType : int { kFloat = 1, kInt64 = 7, kBool = 9, kHalf = 10, kDouble = 11 };
enum LoggingLevel : int { kLogError = 3 };                               // OrtLoggingLevel
enum OptimizationLevel : int { kOptimizeAll = 99 };                      // GraphOptimizationLevel
enum AllocatorType : int { kDeviceAllocator = 0, kArenaAllocator = 1 };  // OrtAllocatorType
enum MemoryType : int { kMemoryDefault = 0 };                            // OrtMemType

/// One slot of the table: its index and the C signature of the function there.
template <std::size_t Index, class Signature>
struct Slot {};

template <std::size_t Index, class... Arguments>
using Call = Slot<Index, OrtStatus*(Arguments...)>;
template <std::size_t Index, class Handle>
using Release = Slot<Index, void(Handle*)>;

inline constexpr Slot<2, const char*(const OrtStatus*)> GetErrorMessage;
inline constexpr Call<4, LoggingFunction, void*, int, const char*, OrtEnv**>
    CreateEnvWithCustomLogger;
inline constexpr Call<8, const OrtEnv*, const void*, std::size_t, const OrtSessionOptions*,
                      OrtSession**>
    CreateSessionFromArray;
inline constexpr Call<9, OrtSession*, const OrtRunOptions*, const char* const*,
                      const OrtValue* const*, std::size_t, const char* const*, std::size_t,
                      OrtValue**>
    Run;
inline constexpr Call<10, OrtSessionOptions**> CreateSessionOptions;
inline constexpr Call<23, OrtSessionOptions*, int> SetSessionGraphOptimizationLevel;
inline constexpr Call<24, OrtSessionOptions*, int> SetIntraOpNumThreads;
inline constexpr Call<25, OrtSessionOptions*, int> SetInterOpNumThreads;
inline constexpr Call<30, const OrtSession*, std::size_t*> SessionGetInputCount;
inline constexpr Call<31, const OrtSession*, std::size_t*> SessionGetOutputCount;
inline constexpr Call<33, const OrtSession*, std::size_t, OrtTypeInfo**> SessionGetInputTypeInfo;
inline constexpr Call<34, const OrtSession*, std::size_t, OrtTypeInfo**> SessionGetOutputTypeInfo;
inline constexpr Call<36, const OrtSession*, std::size_t, OrtAllocator*, char**>
    SessionGetInputName;
inline constexpr Call<37, const OrtSession*, std::size_t, OrtAllocator*, char**>
    SessionGetOutputName;
inline constexpr Call<49, const OrtMemoryInfo*, void*, std::size_t, const std::int64_t*,
                      std::size_t, int, OrtValue**>
    CreateTensorWithDataAsOrtValue;
inline constexpr Call<55, const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**>
    CastTypeInfoToTensorInfo;
inline constexpr Call<60, const OrtTensorTypeAndShapeInfo*, int*> GetTensorElementType;
inline constexpr Call<61, const OrtTensorTypeAndShapeInfo*, std::size_t*> GetDimensionsCount;
inline constexpr Call<62, const OrtTensorTypeAndShapeInfo*, std::int64_t*, std::size_t>
    GetDimensions;
inline constexpr Call<68, const char*, int, int, int, OrtMemoryInfo**> CreateMemoryInfo;
inline constexpr Call<76, OrtAllocator*, void*> AllocatorFree;
inline constexpr Call<78, OrtAllocator**> GetAllocatorWithDefaultOptions;
inline constexpr Release<92, OrtEnv> ReleaseEnv;
inline constexpr Release<93, OrtStatus> ReleaseStatus;
inline constexpr Release<94, OrtMemoryInfo> ReleaseMemoryInfo;
inline constexpr Release<95, OrtSession> ReleaseSession;
inline constexpr Release<96, OrtValue> ReleaseValue;
inline constexpr Release<98, OrtTypeInfo> ReleaseTypeInfo;
inline constexpr Release<100, OrtSessionOptions> ReleaseSessionOptions;
inline constexpr Call<111, const OrtSession*, OrtModelMetadata**> SessionGetModelMetadata;
inline constexpr Call<116, const OrtModelMetadata*, OrtAllocator*, const char*, char**>
    ModelMetadataLookupCustomMetadataMap;
inline constexpr Release<118, OrtModelMetadata> ReleaseModelMetadata;
inline constexpr Call<125, char***, int*> GetAvailableProviders;
inline constexpr Call<126, char**, int> ReleaseAvailableProviders;
inline constexpr Call<130, OrtSessionOptions*, const char*, const char*> AddSessionConfigEntry;
inline constexpr Call<133, OrtSession*, const OrtRunOptions*, const OrtIoBinding*> RunWithBinding;
inline constexpr Call<134, OrtSession*, OrtIoBinding**> CreateIoBinding;
inline constexpr Release<135, OrtIoBinding> ReleaseIoBinding;
inline constexpr Call<136, OrtIoBinding*, const char*, const OrtValue*> BindInput;
inline constexpr Call<137, OrtIoBinding*, const char*, const OrtValue*> BindOutput;
inline constexpr Call<138, OrtIoBinding*, const char*, const OrtMemoryInfo*> BindOutputToDevice;
inline constexpr Call<140, const OrtIoBinding*, OrtAllocator*, OrtValue***, std::size_t*>
    GetBoundOutputValues;
inline constexpr Call<144, OrtEnv*, const OrtMemoryInfo*, const OrtArenaCfg*>
    CreateAndRegisterAllocator;
inline constexpr Release<157, OrtArenaCfg> ReleaseArenaCfg;
inline constexpr Call<164, const char* const*, const std::size_t*, std::size_t, OrtArenaCfg**>
    CreateArenaCfgV2;
inline constexpr Call<177, OrtEnv*, const OrtMemoryInfo*> UnregisterAllocator;
inline constexpr Call<202, OrtIoBinding*> SynchronizeBoundInputs;
inline constexpr Call<203, OrtIoBinding*> SynchronizeBoundOutputs;
inline constexpr Call<204, OrtSessionOptions*, const OrtCUDAProviderOptionsV2*>
    SessionOptionsAppendExecutionProvider_CUDA_V2;
inline constexpr Call<205, OrtCUDAProviderOptionsV2**> CreateCUDAProviderOptions;
inline constexpr Call<206, OrtCUDAProviderOptionsV2*, const char* const*, const char* const*,
                      std::size_t>
    UpdateCUDAProviderOptions;
inline constexpr Release<208, OrtCUDAProviderOptionsV2> ReleaseCUDAProviderOptions;

}  // namespace makemore::ort
