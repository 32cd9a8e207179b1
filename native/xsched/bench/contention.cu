// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The contention benchmark: a foreground thread that infers every PERIOD
// milliseconds, a background thread that infers back to back (bert_shape.cuh).
//
//   contention --background BATCH [--planned] [--period MS] [--cycles N]
//              [--cores FOREGROUND,BACKGROUND] PHASE=SECONDS...
//
// Each thread is pinned to one processor: by default the first two on different
// cores, as far as the machine shows its cores.
//
// The phases run in turn, N times, all in this process, because processes
// differ from each other by more than the effects measured:
//
//   alone            the foreground alone, no XQueue
//   background       the background alone, no XQueue
//   native           both, no XQueue
//   priority         both, no XQueue, the foreground's CUDA priority highest
//   xsched           both, each with an XQueue
//   queue            the foreground alone, with an XQueue
//   bounded          the background alone, with a preemptible XQueue
//   churn            the foreground alone, no XQueue; each request allocates
//                    and frees memory and creates events, twice
//   xsched-churn     both, each with an XQueue, and with churn
//   early-churn      as churn, but before the request's first kernel
//   xsched-early-churn  as xsched-churn, but before the request's first kernel:
//                    freeing memory waits for what the device has in flight
//   back-to-back     the foreground alone without a pause, no XQueue
//   back-to-back-queue  the same with an XQueue
//
// Phases with an XQueue need the shim (LD_LIBRARY_PATH). Prints a line of JSON
// per phase: foreground latencies in microseconds from the due time, inferences
// per second, the share of a CPU that the background thread used, and the share
// of this machine's processors that others took meanwhile.

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bert_shape.cuh"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kForegroundBatch = 1;

#define XSCHED_CHECK(call) Check((call) == kXSchedSuccess, #call)

// What a framework may do within a request besides launching kernels.
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
Seconds(Clock::duration time)
{
  return std::chrono::duration<double>(time).count();
}

// XSched's functions, which the shim brought into the process.
class XSched {
 public:
  XSched()
  {
    // Found through LD_LIBRARY_PATH; there can be no other copy.
    void* library = dlopen("libhalcuda.so", RTLD_NOW);
    Check(
        library != nullptr &&
            dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD) != nullptr &&
            dlsym(dlopen("libcuda.so.1", RTLD_NOW), "xsched_shim_version") !=
                nullptr,
        "running under the shim (LD_LIBRARY_PATH)");
    Load(library, "CudaQueueCreate", &cuda_queue_create);
    Load(library, "HwQueueDestroy", &hw_queue_destroy);
    Load(library, "XQueueCreate", &queue_create);
    Load(library, "XQueueDestroy", &queue_destroy);
    Load(library, "XQueueGetStats", &get_stats);
    Load(library, "XHintPriority", &set_priority);
  }

  decltype(&CudaQueueCreate) cuda_queue_create;
  decltype(&HwQueueDestroy) hw_queue_destroy;
  decltype(&XQueueCreate) queue_create;
  decltype(&XQueueDestroy) queue_destroy;
  decltype(&XQueueGetStats) get_stats;
  decltype(&XHintPriority) set_priority;

 private:
  template <typename Function>
  static void Load(void* library, const char* name, Function* function)
  {
    *function = reinterpret_cast<Function>(dlsym(library, name));
    Check(*function != nullptr, name);
  }
};

// A stream's XQueue for the length of a phase.
class ScopedQueue {
 public:
  ScopedQueue(cudaStream_t stream, Priority priority)
  {
    XSCHED_CHECK(Api().cuda_queue_create(&hwq_, stream));
    XSCHED_CHECK(Api().queue_create(
        &queue_, hwq_, kPreemptLevelDeactivate, kQueueCreateFlagNone));
    XSCHED_CHECK(Api().set_priority(queue_, priority));
  }
  ~ScopedQueue()
  {
    XSCHED_CHECK(Api().queue_destroy(queue_));
    XSCHED_CHECK(Api().hw_queue_destroy(hwq_));
  }
  ScopedQueue(const ScopedQueue&) = delete;
  ScopedQueue& operator=(const ScopedQueue&) = delete;

  XQueueStats Stats() const
  {
    XQueueStats stats = {};
    XSCHED_CHECK(Api().get_stats(queue_, &stats));
    return stats;
  }

 private:
  static XSched& Api()
  {
    static XSched api;
    return api;
  }

  HwQueueHandle hwq_ = 0;
  XQueueHandle queue_ = 0;
};

enum class Churning { kNever, kWithin, kEarly };

struct Phase {
  const char* name;
  bool foreground;
  bool background;
  bool queues;
  bool urgent;
  Churning churning;
  bool back_to_back;
};

constexpr Phase kPhases[] = {
    {"alone", true, false, false, true, Churning::kNever, false},
    {"background", false, true, false, false, Churning::kNever, false},
    {"native", true, true, false, false, Churning::kNever, false},
    {"priority", true, true, false, true, Churning::kNever, false},
    {"xsched", true, true, true, true, Churning::kNever, false},
    {"queue", true, false, true, true, Churning::kNever, false},
    {"bounded", false, true, true, true, Churning::kNever, false},
    {"churn", true, false, false, true, Churning::kWithin, false},
    {"xsched-churn", true, true, true, true, Churning::kWithin, false},
    {"early-churn", true, false, false, true, Churning::kEarly, false},
    {"xsched-early-churn", true, true, true, true, Churning::kEarly, false},
    {"back-to-back", true, false, false, true, Churning::kNever, true},
    {"back-to-back-queue", true, false, true, true, Churning::kNever, true},
};

// The processor time that others took from this machine, and all its processor
// time, in ticks.
std::pair<double, double>
StolenAndAll()
{
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  double stolen = 0, all = 0, ticks = 0;
  for (int column = 0; column < 8 && file >> ticks; ++column) {
    all += ticks;
    stolen = column == 7 ? ticks : 0;
  }
  return {stolen, all};
}

// Two processors on different cores, so that the threads disturb each other as
// little as possible.
std::pair<int, int>
TwoCores()
{
  const unsigned count = std::thread::hardware_concurrency();
  std::string first_siblings;
  int first = -1;
  for (unsigned cpu = 1; cpu < count; ++cpu) {
    std::ifstream file(
        "/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
        "/topology/thread_siblings_list");
    std::string siblings = std::to_string(cpu);
    std::getline(file, siblings);
    if (first < 0) {
      first = static_cast<int>(cpu);
      first_siblings = siblings;
    } else if (siblings != first_siblings) {
      return {first, static_cast<int>(cpu)};
    }
  }
  return {-1, -1};
}

void
PinThisThread(int cpu)
{
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
  }
}

// Runs inferences back to back until stopped.
class Background {
 public:
  Background(Model* model, int cpu)
      : thread_([this, model, cpu] {
          PinThisThread(cpu);
          while (!stop_.load(std::memory_order_relaxed)) {
            model->Launch();
            model->Wait();
            completions_.push_back(Clock::now());
          }
        })
  {
    pthread_getcpuclockid(thread_.native_handle(), &cpu_clock_);
  }

  double CpuSeconds() const
  {
    struct timespec time;
    clock_gettime(cpu_clock_, &time);
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_nsec) * 1e-9;
  }

  // Ends the thread; returns the inferences per second between 'begin' and
  // 'end', from completion to completion.
  double Stop(Clock::time_point begin, Clock::time_point end)
  {
    stop_.store(true);
    thread_.join();
    const auto first =
        std::lower_bound(completions_.begin(), completions_.end(), begin);
    const auto last =
        std::upper_bound(completions_.begin(), completions_.end(), end);
    return last - first < 2 ? 0.0
                            : static_cast<double>(last - first - 1) /
                                  Seconds(*(last - 1) - *first);
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<Clock::time_point> completions_;
  clockid_t cpu_clock_;
  std::thread thread_;
};

double
Median(std::vector<double> values)
{
  if (values.empty()) {
    return 0;
  }
  std::nth_element(
      values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct Result {
  std::vector<double> latencies_us;
  std::vector<double> launches_us;  // how long the CPU took to launch
  double foreground_per_second = 0;
};

// Sends requests for 'seconds'. Drops requests that are still due then, as when
// the device cannot keep up.
Result
RunForeground(
    Model* model, const Phase& phase, double seconds, double period_ms)
{
  constexpr int kWarmUp = 2;
  Result result;
  const auto step = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double, std::milli>(period_ms));
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(seconds));
  long served = 0;
  for (auto due = begin; due < end && Clock::now() < end; due += step) {
    if (!phase.back_to_back) {
      std::this_thread::sleep_until(due - std::chrono::microseconds(200));
      while (Clock::now() < due) {
      }
    }
    const auto start = phase.back_to_back ? (due = Clock::now()) : due;
    const auto launch = Clock::now();
    if (phase.churning == Churning::kEarly) {
      Churn(model->stream());
    }
    model->Launch([&] {
      if (phase.churning == Churning::kWithin) {
        Churn(model->stream());
      }
    });
    const auto launched = Clock::now();
    model->Wait();
    if (++served > kWarmUp) {
      result.launches_us.push_back(1e6 * Seconds(launched - launch));
      result.latencies_us.push_back(1e6 * Seconds(Clock::now() - start));
    }
  }
  result.foreground_per_second =
      static_cast<double>(served) / Seconds(Clock::now() - begin);
  return result;
}

void
RunPhase(
    const Phase& phase, double seconds, double period_ms, Model* foreground,
    Model* background, std::pair<int, int> cores)
{
  foreground->Use(phase.urgent);
  std::unique_ptr<ScopedQueue> high, low;
  if (phase.queues) {
    high = std::make_unique<ScopedQueue>(foreground->stream(), PRIORITY_MAX);
    low = std::make_unique<ScopedQueue>(background->stream(), PRIORITY_MIN);
  }
  std::unique_ptr<Background> load;
  if (phase.background) {
    load = std::make_unique<Background>(background, cores.second);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const double cpu_before = load ? load->CpuSeconds() : 0;
  const std::pair<double, double> ticks_before = StolenAndAll();
  const auto begin = Clock::now();
  Result result;
  if (phase.foreground) {
    std::thread([&] {
      PinThisThread(cores.first);
      result = RunForeground(foreground, phase, seconds, period_ms);
    }).join();
  } else {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  }
  const auto end = Clock::now();
  const std::pair<double, double> ticks = StolenAndAll();
  const double stolen = (ticks.first - ticks_before.first) /
                        std::max(1.0, ticks.second - ticks_before.second);
  const double cpu =
      load ? (load->CpuSeconds() - cpu_before) / Seconds(end - begin) : 0;
  const double background_per_second = load ? load->Stop(begin, end) : 0;

  std::printf(
      "{\"phase\": \"%s\", \"foreground_per_s\": %.3f, \"background_per_s\": %.4f, "
      "\"background_cpu\": %.3f, \"stolen\": %.4f, ",
      phase.name, result.foreground_per_second, background_per_second, cpu,
      stolen);
  if (low != nullptr) {
    const XQueueStats stats = low->Stats();
    std::printf(
        "\"blocked\": %lld, \"blocked_ms\": %.1f, ",
        static_cast<long long>(stats.blocked),
        static_cast<double>(stats.blocked_ns) * 1e-6);
  }
  std::printf(
      "\"launch_us\": %.1f, \"latencies_us\": [", Median(result.launches_us));
  for (size_t i = 0; i < result.latencies_us.size(); ++i) {
    std::printf("%s%.1f", i == 0 ? "" : ", ", result.latencies_us[i]);
  }
  std::printf("]}\n");
  std::fflush(stdout);
}

}  // namespace

int
main(int argc, char** argv)
{
  int batch = 8, cycles = 1;
  double period = 10.0;
  std::pair<int, int> cores = TwoCores();
  bool planned = false;
  std::vector<std::pair<const Phase*, double>> plan;
  for (int index = 1; index < argc; ++index) {
    const std::string word = argv[index];
    const size_t equals = word.find('=');
    const Phase* phase = std::find_if(
        std::begin(kPhases), std::end(kPhases),
        [&](const Phase& each) { return word.substr(0, equals) == each.name; });
    if (phase != std::end(kPhases) && equals != std::string::npos) {
      plan.emplace_back(phase, std::atof(word.c_str() + equals + 1));
    } else if (index + 1 < argc && word == "--background") {
      batch = std::atoi(argv[++index]);
    } else if (word == "--planned") {
      planned = true;
    } else if (index + 1 < argc && word == "--period") {
      period = std::atof(argv[++index]);
    } else if (index + 1 < argc && word == "--cycles") {
      cycles = std::atoi(argv[++index]);
    } else if (
        index + 1 < argc && word == "--cores" &&
        std::sscanf(argv[index + 1], "%d,%d", &cores.first, &cores.second) ==
            2) {
      ++index;
    } else {
      std::fprintf(stderr, "contention: unknown argument %s\n", word.c_str());
      return 2;
    }
  }
  Model foreground(kForegroundBatch, planned), background(batch, planned);
  for (int warm = 0; warm < 20; ++warm) {
    for (Model* model : {&foreground, &background}) {
      model->Launch();
      model->Wait();
    }
  }
  for (int cycle = 0; cycle < cycles; ++cycle) {
    for (const auto& [phase, seconds] : plan) {
      RunPhase(*phase, seconds, period, &foreground, &background, cores);
    }
  }
  std::fflush(stdout);
  std::_Exit(0);
}
