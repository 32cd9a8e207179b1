// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// An inference in the shape of BERT-large at sequence 384 in fp16: 24 layers of
// ten kernels, GEMMs through cuBLAS. Their algorithms are chosen once, as
// TensorRT chooses its tactics; otherwise choosing costs the CPU more than the
// GPU needs for the kernel, and a loaded CPU is what is measured.

#ifndef XSCHED_BENCH_BERT_SHAPE_CUH_
#define XSCHED_BENCH_BERT_SHAPE_CUH_

#include <cublasLt.h>
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
    values[index] =
        __float2half(0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x))));
  }
}

__global__ void
AddScaled(__half* sum, const __half* one, const __half* other, int count)
{
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) {
    sum[index] = __hmul(__hadd(one[index], other[index]), __float2half(0.7071f));
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
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    unsigned state = (static_cast<unsigned>(i) ^ seed) * 2654435761u;
    state = (state ^ state >> 15) * 2246822519u;
    values[i] = __float2half((static_cast<float>(state >> 8) / 16777216.0f - 0.5f) * 0.1f);
  }
}

// A matrix product with its algorithm: out = in × weight, row by row, 'count' of them.
class Product {
 public:
  struct Shape {
    int rows, columns, inner;
    bool transposed;  // of the weight
    int count;
  };

  Product(cublasLtHandle_t blas, const Shape& shape) : blas_(blas)
  {
    // cuBLAS counts columns first: what is a row here is a column there.
    const auto weight_shape = shape.transposed ? std::make_pair(shape.inner, shape.columns)
                                               : std::make_pair(shape.columns, shape.inner);
    CUBLAS_CHECK(cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t operation = shape.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(
        product_, CUBLASLT_MATMUL_DESC_TRANSA, &operation, sizeof(operation)));
    weight_ = Layout(weight_shape.first, weight_shape.second, shape.count);
    in_ = Layout(shape.inner, shape.rows, shape.count);
    out_ = Layout(shape.columns, shape.rows, shape.count);
    cublasLtMatmulPreference_t preference = nullptr;
    CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    // One kernel each: no second one to add up parts.
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_reduction,
        sizeof(no_reduction)));
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(
        blas_, product_, weight_, in_, out_, out_, preference, 1, &found, &count));
    Check(count == 1, "finding an algorithm");
    algorithm_ = found.algo;
    CUBLAS_CHECK(cublasLtMatmulPreferenceDestroy(preference));
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  void
  Launch(const __half* in, const __half* weight, __half* out, cudaStream_t stream) const
  {
    const float one = 1.0f, zero = 0.0f;
    CUBLAS_CHECK(cublasLtMatmul(
        blas_, product_, &one, weight, weight_, in, in_, &zero, out, out_, out, out_, &algorithm_,
        nullptr, 0, stream));
  }

 private:
  static cublasLtMatrixLayout_t
  Layout(int columns, int rows, int count)
  {
    cublasLtMatrixLayout_t layout = nullptr;
    CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_16F, columns, rows, columns));
    const int64_t stride = static_cast<int64_t>(columns) * rows;
    CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
        layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
    CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
        layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride)));
    return layout;
  }

  cublasLtHandle_t blas_;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t weight_ = nullptr, in_ = nullptr, out_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_;
};

inline cublasLtHandle_t
Blas()
{
  static cublasLtHandle_t blas = [] {
    cublasLtHandle_t handle = nullptr;
    CUBLAS_CHECK(cublasLtCreate(&handle));
    return handle;
  }();
  return blas;
}

// A model of its own weights and activations, and the streams that it can run in.
class Model {
 public:
  explicit Model(int batch)
      : rows_(batch * kSequence), heads_(batch * kHeads),
        to_qkv_(Blas(), {rows_, 3 * kHidden, kHidden, false, 1}),
        to_scores_(Blas(), {kSequence, kSequence, kHeadSize, true, heads_}),
        to_context_(Blas(), {kSequence, kHeadSize, kSequence, false, heads_}),
        to_hidden_(Blas(), {rows_, kHidden, kHidden, false, 1}),
        up_(Blas(), {rows_, kFeedForward, kHidden, false, 1}),
        down_(Blas(), {rows_, kHidden, kFeedForward, false, 1})
  {
    int least = 0, greatest = 0;
    CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    CUDA_CHECK(cudaStreamCreateWithPriority(&usual_, cudaStreamNonBlocking, least));
    CUDA_CHECK(cudaStreamCreateWithPriority(&urgent_, cudaStreamNonBlocking, greatest));
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

  // Which of its streams the model runs in: the one of the greatest CUDA priority or the other.
  void Use(bool urgent) { stream_ = urgent ? urgent_ : usual_; }

  // Launches one inference: 240 kernels.
  void
  Launch()
  {
    // Each starts from the same input: values that only ever went through the layers again would
    // become zero, which the device computes faster.
    const __half* input = input_;
    const size_t keys = static_cast<size_t>(rows_) * kHidden;
    for (int layer = 0; layer < kLayers; ++layer) {
      to_qkv_.Launch(input, qkv_weight_, qkv_, stream_);
      to_scores_.Launch(qkv_, qkv_ + keys, scores_, stream_);
      SoftmaxRow<<<heads_ * kSequence, 128, 0, stream_>>>(scores_, kSequence);
      to_context_.Launch(scores_, qkv_ + 2 * keys, context_, stream_);
      to_hidden_.Launch(context_, out_weight_, inner_, stream_);
      Add(hidden_, input, inner_);
      up_.Launch(hidden_, up_weight_, inner_, stream_);
      Gelu<<<(rows_ * kFeedForward + 255) / 256, 256, 0, stream_>>>(inner_, rows_ * kFeedForward);
      down_.Launch(inner_, down_weight_, context_, stream_);
      Add(hidden_, hidden_, context_);
      input = hidden_;
    }
    CUDA_CHECK(cudaGetLastError());
  }

  void Wait() { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

  cudaStream_t stream() const { return stream_; }

 private:
  static constexpr int kHeadSize = kHidden / kHeads;

  static __half*
  Random(size_t count)
  {
    __half* device = nullptr;
    CUDA_CHECK(cudaMalloc(&device, count * sizeof(__half)));
    FillRandom<<<1024, 256>>>(device, count, static_cast<unsigned>(count));
    CUDA_CHECK(cudaDeviceSynchronize());
    return device;
  }

  void
  Add(__half* sum, const __half* one, const __half* other)
  {
    const int count = rows_ * kHidden;
    AddScaled<<<(count + 255) / 256, 256, 0, stream_>>>(sum, one, other, count);
  }

  int rows_;
  int heads_;
  Product to_qkv_, to_scores_, to_context_, to_hidden_, up_, down_;
  cudaStream_t usual_ = nullptr;
  cudaStream_t urgent_ = nullptr;
  cudaStream_t stream_ = nullptr;
  __half *input_, *hidden_, *qkv_, *scores_, *context_, *inner_;
  __half *qkv_weight_, *out_weight_, *up_weight_, *down_weight_;
};

#endif  // XSCHED_BENCH_BERT_SHAPE_CUH_
