// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// An inference in the shape of BERT-large at sequence length 384 in fp16: 24
// layers of ten kernels, with GEMMs through cuBLAS in one of two ways. Either
// cuBLAS chooses an algorithm at each call; at batch 1, the CPU then takes
// longer than the GPU. Or the algorithms are planned: chosen once, as TensorRT
// chooses its tactics.

#ifndef XSCHED_BENCH_BERT_SHAPE_CUH_
#define XSCHED_BENCH_BERT_SHAPE_CUH_

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

constexpr int kLayers = 24;
constexpr int kHidden = 1024;
constexpr int kFeedForward = 4096;
constexpr int kHeads = 16;
constexpr int kSequence = 384;

inline void
Check(bool ok, const char* what)
{
  if (!ok) {
    std::fprintf(stderr, "%s failed\n", what);
    std::_Exit(1);
  }
}

#define CUDA_CHECK(call) Check((call) == cudaSuccess, #call)
#define CUBLAS_CHECK(call) Check((call) == CUBLAS_STATUS_SUCCESS, #call)

__global__ void
Gelu(__half* values, int count)
{
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) {
    const float x = __half2float(values[index]);
    values[index] = __float2half(
        0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x))));
  }
}

__global__ void
AddScaled(__half* sum, const __half* one, const __half* other, int count)
{
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) {
    sum[index] =
        __hmul(__hadd(one[index], other[index]), __float2half(0.7071f));
  }
}

__global__ void
SoftmaxRow(__half* scores, int columns)
{
  __shared__ float partial[128];
  __half* row = scores + static_cast<size_t>(blockIdx.x) * columns;
  float sum = 0.0f;
  for (int column = threadIdx.x; column < columns; column += blockDim.x) {
    sum += __expf(__half2float(row[column]));
  }
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int width = 64; width > 0; width /= 2) {
    if (threadIdx.x < width) {
      partial[threadIdx.x] += partial[threadIdx.x + width];
    }
    __syncthreads();
  }
  const float total = partial[0];
  for (int column = threadIdx.x; column < columns; column += blockDim.x) {
    row[column] = __float2half(__expf(__half2float(row[column])) / total);
  }
}

__global__ void
FillRandom(__half* values, size_t count, unsigned seed)
{
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += stride) {
    unsigned state = (static_cast<unsigned>(i) ^ seed) * 2654435761u;
    state = (state ^ state >> 15) * 2246822519u;
    values[i] = __float2half(
        (static_cast<float>(state >> 8) / 16777216.0f - 0.5f) * 0.1f);
  }
}

// A stream, and the cuBLAS handle that computes in it.
struct Lane {
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;
};

// 'count' matrix products, out = in × weight, in row-major order.
class Product {
 public:
  struct Shape {
    int rows, columns, inner;
    bool transposed;  // whether the weight is
    int count;
  };

  Product(cublasLtHandle_t planner, const Shape& shape)
      : planner_(planner), shape_(shape)
  {
    if (planner_ != nullptr) {
      Plan();
    }
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  void Launch(
      const __half* in, const __half* weight, __half* out,
      const Lane& lane) const
  {
    if (planner_ != nullptr) {
      const float one = 1.0f, zero = 0.0f;
      CUBLAS_CHECK(cublasLtMatmul(
          planner_, product_, &one, weight, weight_, in, in_, &zero, out, out_,
          out, out_, &algorithm_, nullptr, 0, lane.stream));
      return;
    }
    const __half one = __float2half(1.0f), zero = __float2half(0.0f);
    const cublasOperation_t operation =
        shape_.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int stride = shape_.transposed ? shape_.inner : shape_.columns;
    const int m = shape_.columns, n = shape_.rows, k = shape_.inner;
    if (shape_.count == 1) {
      CUBLAS_CHECK(cublasHgemm(
          lane.blas, operation, CUBLAS_OP_N, m, n, k, &one, weight, stride, in,
          k, &zero, out, m));
    } else {
      CUBLAS_CHECK(cublasHgemmStridedBatched(
          lane.blas, operation, CUBLAS_OP_N, m, n, k, &one, weight, stride,
          static_cast<long long>(m) * k, in, k, static_cast<long long>(k) * n,
          &zero, out, m, static_cast<long long>(m) * n, shape_.count));
    }
  }

 private:
  void Plan()
  {
    const Shape& shape = shape_;
    // cuBLAS is column-major: a row here is a column there.
    const auto weight_shape = shape.transposed
                                  ? std::make_pair(shape.inner, shape.columns)
                                  : std::make_pair(shape.columns, shape.inner);
    CUBLAS_CHECK(
        cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t operation =
        shape.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(
        product_, CUBLASLT_MATMUL_DESC_TRANSA, &operation, sizeof(operation)));
    weight_ = Layout(weight_shape.first, weight_shape.second, shape.count);
    in_ = Layout(shape.inner, shape.rows, shape.count);
    out_ = Layout(shape.columns, shape.rows, shape.count);
    cublasLtMatmulPreference_t preference = nullptr;
    CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    // One kernel each, without a second one to sum up parts.
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_reduction,
        sizeof(no_reduction)));
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(
        planner_, product_, weight_, in_, out_, out_, preference, 1, &found,
        &count));
    Check(count == 1, "finding an algorithm");
    algorithm_ = found.algo;
    CUBLAS_CHECK(cublasLtMatmulPreferenceDestroy(preference));
  }

  static cublasLtMatrixLayout_t Layout(int columns, int rows, int count)
  {
    cublasLtMatrixLayout_t layout = nullptr;
    CUBLAS_CHECK(cublasLtMatrixLayoutCreate(
        &layout, CUDA_R_16F, columns, rows, columns));
    const int64_t stride = static_cast<int64_t>(columns) * rows;
    CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
        layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
    CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
        layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
        sizeof(stride)));
    return layout;
  }

  const cublasLtHandle_t planner_;
  const Shape shape_;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t weight_ = nullptr, in_ = nullptr, out_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_;
};

inline cublasLtHandle_t
Planner()
{
  static cublasLtHandle_t planner = [] {
    cublasLtHandle_t handle = nullptr;
    CUBLAS_CHECK(cublasLtCreate(&handle));
    return handle;
  }();
  return planner;
}

// A model with its own weights and activations, and the streams it can run in.
class Model {
 public:
  Model(int batch, bool planned)
      : rows_(batch * kSequence), heads_(batch * kHeads),
        planner_(planned ? Planner() : nullptr),
        to_qkv_(planner_, {rows_, 3 * kHidden, kHidden, false, 1}),
        to_scores_(planner_, {kSequence, kSequence, kHeadSize, true, heads_}),
        to_context_(planner_, {kSequence, kHeadSize, kSequence, false, heads_}),
        to_hidden_(planner_, {rows_, kHidden, kHidden, false, 1}),
        up_(planner_, {rows_, kFeedForward, kHidden, false, 1}),
        down_(planner_, {rows_, kHidden, kFeedForward, false, 1})
  {
    int least = 0, greatest = 0;
    CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    usual_ = MakeLane(least);
    urgent_ = MakeLane(greatest);
    Use(false);
    const size_t rows = static_cast<size_t>(rows_);
    input_ = Random(rows * kHidden);
    hidden_ = Random(rows * kHidden);
    qkv_ = Random(rows * 3 * kHidden);
    scores_ = Random(static_cast<size_t>(heads_) * kSequence * kSequence);
    context_ = Random(rows * kHidden);
    inner_ = Random(rows * kFeedForward);
    qkv_weight_ = Random(static_cast<size_t>(kHidden) * 3 * kHidden);
    out_weight_ = Random(static_cast<size_t>(kHidden) * kHidden);
    up_weight_ = Random(static_cast<size_t>(kHidden) * kFeedForward);
    down_weight_ = Random(static_cast<size_t>(kHidden) * kFeedForward);
  }

  // Selects the stream with the highest CUDA priority, or the other one.
  void Use(bool urgent) { lane_ = urgent ? urgent_ : usual_; }

  // Launches one inference: 240 kernels. Calls 'between' twice among them.
  template <typename Between>
  void Launch(const Between& between)
  {
    // Each inference starts from the same input: values that kept going through
    // the layers would become zero, which the device computes faster.
    const __half* input = input_;
    const size_t keys = static_cast<size_t>(rows_) * kHidden;
    for (int layer = 0; layer < kLayers; ++layer) {
      to_qkv_.Launch(input, qkv_weight_, qkv_, lane_);
      to_scores_.Launch(qkv_, qkv_ + keys, scores_, lane_);
      SoftmaxRow<<<heads_ * kSequence, 128, 0, lane_.stream>>>(
          scores_, kSequence);
      to_context_.Launch(scores_, qkv_ + 2 * keys, context_, lane_);
      to_hidden_.Launch(context_, out_weight_, inner_, lane_);
      Add(hidden_, input, inner_);
      up_.Launch(hidden_, up_weight_, inner_, lane_);
      Gelu<<<(rows_ * kFeedForward + 255) / 256, 256, 0, lane_.stream>>>(
          inner_, rows_ * kFeedForward);
      down_.Launch(inner_, down_weight_, context_, lane_);
      Add(hidden_, hidden_, context_);
      input = hidden_;
      if (layer == kLayers / 3 || layer == 2 * kLayers / 3) {
        between();
      }
    }
    CUDA_CHECK(cudaGetLastError());
  }

  void Launch()
  {
    Launch([] {});
  }

  void Wait() { CUDA_CHECK(cudaStreamSynchronize(lane_.stream)); }

  cudaStream_t stream() const { return lane_.stream; }

 private:
  static constexpr int kHeadSize = kHidden / kHeads;

  static Lane MakeLane(int priority)
  {
    constexpr size_t kWorkspace = 32u << 20;
    Lane lane;
    void* workspace = nullptr;
    CUDA_CHECK(cudaStreamCreateWithPriority(
        &lane.stream, cudaStreamNonBlocking, priority));
    CUBLAS_CHECK(cublasCreate(&lane.blas));
    CUBLAS_CHECK(cublasSetStream(lane.blas, lane.stream));
    CUDA_CHECK(cudaMalloc(&workspace, kWorkspace));
    CUBLAS_CHECK(cublasSetWorkspace(lane.blas, workspace, kWorkspace));
    return lane;
  }

  static __half* Random(size_t count)
  {
    __half* device = nullptr;
    CUDA_CHECK(cudaMalloc(&device, count * sizeof(__half)));
    FillRandom<<<1024, 256>>>(device, count, static_cast<unsigned>(count));
    CUDA_CHECK(cudaDeviceSynchronize());
    return device;
  }

  void Add(__half* sum, const __half* one, const __half* other)
  {
    const int count = rows_ * kHidden;
    AddScaled<<<(count + 255) / 256, 256, 0, lane_.stream>>>(
        sum, one, other, count);
  }

  int rows_;
  int heads_;
  cublasLtHandle_t planner_;
  Product to_qkv_, to_scores_, to_context_, to_hidden_, up_, down_;
  Lane usual_, urgent_, lane_;
  __half *input_, *hidden_, *qkv_, *scores_, *context_, *inner_;
  __half *qkv_weight_, *out_weight_, *up_weight_, *down_weight_;
};

#endif  // XSCHED_BENCH_BERT_SHAPE_CUH_
