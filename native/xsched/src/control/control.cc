// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/control.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "control/listener.h"
#include "control/metrics.h"
#include "control/protocol.h"
#include "control/requests.h"
#include "control/server.h"
#include "control/socket_directory.h"
#include "preempt/clock.h"
#include "preempt/log.h"
#include "preempt/options.h"
#include "preempt/own_thread.h"
#include "preempt/scheduler.h"

namespace xsched {
namespace {

// How long the process's exit waits for the thread.
constexpr int kStopSeconds = 2;

// The thread, and what it serves. There is one instance, and it is never
// destroyed, because other threads may still run while the process exits.
class Control {
 public:
  explicit Control(const ShimDescription& shim) : shim_(shim) {}

  // The socket's path; empty without a socket.
  std::string Start();

 private:
  void OpenSocket(const std::string& directory);
  bool StartThread();
  void Run();
  void WriteMetrics(int64_t now_ns);
  // Removes the files that this process created.
  void RemoveFiles();

  void Stop();
  void BeforeFork() { mutex_.lock(); }
  void AfterForkInParent() { mutex_.unlock(); }
  void AfterForkInChild();

  static std::atomic<Control*> instance_;

  const ShimDescription shim_;
  const pid_t pid_ = getpid();
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<MetricsFile> metrics_;
  int64_t next_metrics_ns_ = INT64_MAX;
  FileDescriptor stop_;
  std::vector<struct pollfd> polled_;
  pthread_t thread_ = {};
  // Held while the thread works, but not while it waits. fork takes it, so that
  // the child finds the sockets in a consistent state, and no scheduler lock
  // held by a thread that the child does not have.
  std::mutex mutex_;
};

std::atomic<Control*> Control::instance_{nullptr};

std::string
Control::Start()
{
  // Release: the handlers below see a complete object.
  instance_.store(this, std::memory_order_release);
  const Options& options = GetOptions();
  polled_.reserve(Server::kMaxConnections + 2);
  stop_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (options.control) {
    OpenSocket(ControlDirectories(options.control_directory).front());
  }
  if (!options.metrics_file.empty()) {
    metrics_ = std::make_unique<MetricsFile>(options.metrics_file, pid_);
    next_metrics_ns_ = NowNs();
  }
  if (server_ == nullptr && metrics_ == nullptr) {
    return "";
  }
  pthread_atfork(
      [] { instance_.load(std::memory_order_acquire)->BeforeFork(); },
      [] { instance_.load(std::memory_order_acquire)->AfterForkInParent(); },
      [] { instance_.load(std::memory_order_acquire)->AfterForkInChild(); });
  if (!StartThread()) {
    Log(LogLevel::kError,
        "cannot start the thread of the control socket and the metrics");
    RemoveFiles();
    if (listener_ != nullptr) {
      listener_->Close();
    }
    return "";
  }
  atexit([] { instance_.load(std::memory_order_acquire)->Stop(); });
  return listener_ == nullptr ? "" : listener_->Path();
}

void
Control::OpenSocket(const std::string& directory)
{
  std::string error;
  listener_ = Listener::Open(directory, pid_, &error);
  if (listener_ == nullptr) {
    Log(LogLevel::kWarning, "no control socket: %s", error.c_str());
    return;
  }
  server_ = std::make_unique<Server>(
      listener_->Socket().Get(), kMaxRequest,
      [this](const std::string& request) {
        return AnswerRequest(shim_, request);
      });
}

bool
Control::StartThread()
{
  return StartOwnThread<&Control::Run>("xsched-control", this, &thread_);
}

void
Control::Run()
{
  for (;;) {
    polled_.clear();
    int64_t until_ns = next_metrics_ns_;
    int64_t now_ns = NowNs();
    polled_.push_back({stop_.Get(), POLLIN, 0});
    if (server_ != nullptr) {
      until_ns = std::min(until_ns, server_->Prepare(now_ns, &polled_));
    }
    // Rounded up, so as not to return too early. An hour will do for ever.
    const int64_t rest_ms =
        std::min<int64_t>((until_ns - now_ns) / 1000000 + 1, 3600000);
    const int found = poll(
        polled_.data(), polled_.size(),
        static_cast<int>(std::max<int64_t>(rest_ms, 0)));
    if (found < 0 && errno != EINTR) {
      // Out of memory for the moment.
      const struct timespec pause = {0, 100000000};
      nanosleep(&pause, nullptr);
      continue;
    }
    if (found > 0 && polled_[0].revents != 0) {
      RemoveFiles();
      return;
    }
    now_ns = NowNs();
    if (server_ != nullptr) {
      std::lock_guard<std::mutex> lock(mutex_);
      server_->Serve(now_ns, polled_.data() + 1, polled_.size() - 1);
    }
    if (now_ns >= next_metrics_ns_) {
      WriteMetrics(now_ns);
    }
  }
}

void
Control::WriteMetrics(int64_t now_ns)
{
  next_metrics_ns_ = now_ns + GetOptions().metrics_interval_ns;
  try {
    std::string text;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      text = RenderMetrics(
          GetProcessStatus(shim_), Scheduler::Get().ReportAll(),
          Scheduler::Get().ReportDomains());
    }
    metrics_->Write(text);
  } catch (...) {
    return;  // out of memory; next time
  }
}

void
Control::RemoveFiles()
{
  if (listener_ != nullptr) {
    listener_->RemoveFile();
  }
  if (metrics_ != nullptr) {
    metrics_->Remove();
  }
}

void
Control::Stop()
{
  if (getpid() != pid_) {
    return;  // forked: the files belong to the parent
  }
  const uint64_t one = 1;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += kStopSeconds;
  // If the thread does not end, as when a disk hangs, go on without it: at
  // worst, the metrics file stays.
  if (write(stop_.Get(), &one, sizeof(one)) < 0 ||
      pthread_timedjoin_np(thread_, nullptr, &until) != 0) {
    RemoveFiles();
  }
}

void
Control::AfterForkInChild()
{
  // A child that kept the listening socket would keep it open after the
  // parent's death, with nobody to answer.
  if (listener_ != nullptr) {
    listener_->Close();
    server_->Abandon();
  }
  stop_.Close();
  mutex_.unlock();
}

}  // namespace

std::string
StartControl(const ShimDescription& shim)
{
  try {
    return (new Control(shim))->Start();
  } catch (...) {
    Log(LogLevel::kError, "out of memory for the control socket");
    return "";
  }
}

}  // namespace xsched
