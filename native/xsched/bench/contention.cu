// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// One run of an arm of the contention benchmark: a foreground thread that
// infers every PERIOD milliseconds, a background thread that infers back to
// back, each on a stream of its own. An inference has the shape of BERT-large
// at sequence 384 in fp16: 24 layers of ten kernels, GEMMs through cuBLAS.
//
//   contention --foreground BATCH --background BATCH --seconds S
//              [--period MS] [--priority] [--churn]
//
// A batch of 0 leaves a side out. --priority gives the foreground the greatest
// CUDA stream priority. --churn allocates, frees and makes events within each
// foreground request. Prints one line of JSON: foreground latencies in
// milliseconds from the intended start, background requests per second.

#include <cublas_v2.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLayers = 24;
constexpr int kHidden = 1024;
constexpr int kFeedForward = 4096;
constexpr int kHeads = 16;
constexpr int kSequence = 384;

void
Check(bool ok, const char* what)
{
  if (!ok) {
    std::fprintf(stderr, "contention: %s failed\n", what);
    std::exit(1);
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
AddScaled(__half* sum, const __half* term, int count)
{
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) {
    sum[index] = __hmul(__hadd(sum[index], term[index]), __float2half(0.5f));
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

// A model of its own weights and activations on a stream of its own.
class Model {
 public:
  Model(int batch, int priority) : rows_(batch * kSequence), batch_(batch)
  {
    CUDA_CHECK(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, priority));
    CUBLAS_CHECK(cublasCreate(&blas_));
    CUBLAS_CHECK(cublasSetStream(blas_, stream_));
    CUDA_CHECK(cudaMalloc(&workspace_, kWorkspace));
    CUBLAS_CHECK(cublasSetWorkspace(blas_, workspace_, kWorkspace));
    hidden_ = Random(static_cast<size_t>(rows_) * kHidden);
    qkv_ = Random(static_cast<size_t>(rows_) * 3 * kHidden);
    scores_ = Random(static_cast<size_t>(batch_) * kHeads * kSequence * kSequence);
    context_ = Random(static_cast<size_t>(rows_) * kHidden);
    inner_ = Random(static_cast<size_t>(rows_) * kFeedForward);
    qkv_weight_ = Random(static_cast<size_t>(kHidden) * 3 * kHidden);
    out_weight_ = Random(static_cast<size_t>(kHidden) * kHidden);
    up_weight_ = Random(static_cast<size_t>(kHidden) * kFeedForward);
    down_weight_ = Random(static_cast<size_t>(kHidden) * kFeedForward);
  }

  // Launches one inference: 240 kernels.
  void
  Launch()
  {
    for (int layer = 0; layer < kLayers; ++layer) {
      Gemm(hidden_, qkv_weight_, qkv_, 3 * kHidden, kHidden);
      Attention(false);
      SoftmaxRow<<<batch_ * kHeads * kSequence, 128, 0, stream_>>>(scores_, kSequence);
      Attention(true);
      Gemm(context_, out_weight_, inner_, kHidden, kHidden);
      Add(hidden_, inner_, rows_ * kHidden);
      Gemm(hidden_, up_weight_, inner_, kFeedForward, kHidden);
      Gelu<<<(rows_ * kFeedForward + 255) / 256, 256, 0, stream_>>>(inner_, rows_ * kFeedForward);
      Gemm(inner_, down_weight_, context_, kHidden, kFeedForward);
      Add(hidden_, context_, rows_ * kHidden);
    }
    CUDA_CHECK(cudaGetLastError());
  }

  void Wait() { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

  cudaStream_t stream() const { return stream_; }

 private:
  static constexpr size_t kWorkspace = 32u << 20;

  static __half*
  Random(size_t count)
  {
    std::vector<__half> values(count);
    unsigned state = 12345u + static_cast<unsigned>(count);
    for (__half& value : values) {
      state = state * 1664525u + 1013904223u;
      value = __float2half((static_cast<float>(state >> 8) / 16777216.0f - 0.5f) * 0.05f);
    }
    __half* device = nullptr;
    CUDA_CHECK(cudaMalloc(&device, count * sizeof(__half)));
    CUDA_CHECK(cudaMemcpy(device, values.data(), count * sizeof(__half), cudaMemcpyHostToDevice));
    return device;
  }

  void
  Gemm(const __half* in, const __half* weight, __half* out, int columns, int inner)
  {
    const __half one = __float2half(1.0f), zero = __float2half(0.0f);
    CUBLAS_CHECK(cublasHgemm(
        blas_, CUBLAS_OP_N, CUBLAS_OP_N, columns, rows_, inner, &one, weight, columns, in, inner,
        &zero, out, columns));
  }

  // Scores from the queries and keys in qkv_, or the context from the scores.
  void
  Attention(bool weigh)
  {
    const __half one = __float2half(1.0f), zero = __float2half(0.0f);
    const int width = kHidden / kHeads;
    const long long square = static_cast<long long>(kSequence) * kSequence;
    const long long slice = static_cast<long long>(kSequence) * width;
    const int count = batch_ * kHeads;
    if (weigh) {
      CUBLAS_CHECK(cublasHgemmStridedBatched(
          blas_, CUBLAS_OP_N, CUBLAS_OP_N, width, kSequence, kSequence, &one, qkv_, width, slice,
          scores_, kSequence, square, &zero, context_, width, slice, count));
    } else {
      CUBLAS_CHECK(cublasHgemmStridedBatched(
          blas_, CUBLAS_OP_T, CUBLAS_OP_N, kSequence, kSequence, width, &one, qkv_, width, slice,
          qkv_ + slice * count, width, slice, &zero, scores_, kSequence, square, count));
    }
  }

  void
  Add(__half* sum, const __half* term, int count)
  {
    AddScaled<<<(count + 255) / 256, 256, 0, stream_>>>(sum, term, count);
  }

  int rows_;
  int batch_;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  void* workspace_ = nullptr;
  __half *hidden_, *qkv_, *scores_, *context_, *inner_;
  __half *qkv_weight_, *out_weight_, *up_weight_, *down_weight_;
};

// What a framework may do within a request beside its kernels.
void
Churn(cudaStream_t stream)
{
  void* memory = nullptr;
  cudaEvent_t event;
  CUDA_CHECK(cudaMalloc(&memory, 1u << 20));
  CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  CUDA_CHECK(cudaEventRecord(event, stream));
  CUDA_CHECK(cudaEventDestroy(event));
  CUDA_CHECK(cudaFree(memory));
}

double
Milliseconds(Clock::duration time)
{
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

int
main(int argc, char** argv)
{
  int foreground = 1, background = 0;
  double seconds = 10.0, period = 10.0;
  bool priority = false, churn = false;
  for (int index = 1; index < argc; ++index) {
    const std::string word = argv[index];
    const char* value = index + 1 < argc ? argv[index + 1] : "";
    if (word == "--foreground") { foreground = std::atoi(value); ++index; }
    else if (word == "--background") { background = std::atoi(value); ++index; }
    else if (word == "--seconds") { seconds = std::atof(value); ++index; }
    else if (word == "--period") { period = std::atof(value); ++index; }
    else if (word == "--priority") { priority = true; }
    else if (word == "--churn") { churn = true; }
    else { std::fprintf(stderr, "contention: unknown argument %s\n", word.c_str()); return 2; }
  }

  int least = 0, greatest = 0;
  CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  std::atomic<bool> stop{false};
  std::atomic<long> completed{0};
  std::atomic<int> ready{0};
  const int sides = (foreground > 0) + (background > 0);

  std::thread low([&] {
    if (background == 0) {
      return;
    }
    Model model(background, least);
    for (int warm = 0; warm < 20; ++warm) {
      model.Launch();
      model.Wait();
    }
    ready.fetch_add(1);
    while (ready.load() < sides) {
    }
    while (!stop.load(std::memory_order_relaxed)) {
      model.Launch();
      model.Wait();
      completed.fetch_add(1, std::memory_order_relaxed);
    }
  });

  std::vector<double> latencies;
  double throughput = 0.0;
  {
    std::thread high([&] {
      Model* model = nullptr;
      if (foreground > 0) {
        model = new Model(foreground, priority ? greatest : least);
        for (int warm = 0; warm < 50; ++warm) {
          model->Launch();
          model->Wait();
        }
        ready.fetch_add(1);
      }
      while (ready.load() < sides) {
      }
      const long before = completed.load();
      const auto begin = Clock::now();
      const auto step = std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double, std::milli>(period));
      const int requests = static_cast<int>(seconds * 1000.0 / period);
      for (int request = 0; request < requests; ++request) {
        const auto due = begin + step * (request + 1);
        std::this_thread::sleep_until(due - std::chrono::microseconds(200));
        while (Clock::now() < due) {
        }
        if (model != nullptr) {
          if (churn) {
            Churn(model->stream());
          }
          model->Launch();
          if (churn) {
            Churn(model->stream());
          }
          model->Wait();
          latencies.push_back(Milliseconds(Clock::now() - due));
        }
      }
      throughput = (completed.load() - before) / (Milliseconds(Clock::now() - begin) / 1000.0);
      stop.store(true);
    });
    high.join();
  }
  low.join();

  std::sort(latencies.begin(), latencies.end());
  auto percentile = [&](double share) {
    return latencies.empty()
               ? 0.0
               : latencies[std::min(latencies.size() - 1, static_cast<size_t>(share * latencies.size()))];
  };
  std::printf(
      "{\"samples\": %zu, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"background\": %.3f}\n",
      latencies.size(), percentile(0.5), percentile(0.9), percentile(0.99), throughput);
  std::fflush(stdout);
  std::_Exit(0);
}
