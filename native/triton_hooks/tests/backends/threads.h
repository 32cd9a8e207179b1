// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <condition_variable>
#include <mutex>
#include <thread>

#include "driver.h"

namespace {

// An instance has threads of its own, which it starts when it is initialized
// and when it is first executed, and they create their streams by themselves;
// one works in its thread's default stream.
class Work {
 public:
  bool Begin()
  {
    if (!Driver::Get().Enter()) {
      return false;
    }
    first_.Start([](const Request& request, bool begins, bool ends) {
      static thread_local xsched::CUstream streams[2];
      for (xsched::CUstream& stream : streams) {
        if (begins) {
          stream = Driver::Get().CreateStream();
        } else if (ends) {
          Driver::Get().DestroyStream(stream);
        } else {
          Driver::Get().Launch(stream, request);
          Driver::Get().Synchronize(stream);
        }
      }
    });
    return true;
  }
  void Do(const Request& request)
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!second_.IsStarted()) {
      second_.Start([](const Request& each, bool begins, bool ends) {
        if (!begins && !ends) {
          Driver::Get().Launch(nullptr, each, true);
          Driver::Get().Synchronize(nullptr, true);
        }
      });
    }
    first_.Ask(request);
    second_.Ask(request);
  }
  void End()
  {
    first_.Stop();
    second_.Stop();
    Driver::Get().Leave();
  }

 private:
  class Worker {
   public:
    using Body = void (*)(const Request&, bool begins, bool ends);

    ~Worker() { Stop(); }
    bool IsStarted() const { return thread_.joinable(); }
    void Start(Body body)
    {
      thread_ = std::thread([this, body] { Run(body); });
      Await(kIdle);
    }
    void Ask(const Request& request)
    {
      request_ = request;
      Set(kAsked);
      Await(kIdle);
    }
    void Stop()
    {
      if (thread_.joinable()) {
        Set(kStopped);
        thread_.join();
      }
    }

   private:
    enum State { kStarting, kIdle, kAsked, kStopped };

    void Run(Body body)
    {
      Driver::Get().Enter();
      body({}, true, false);
      Set(kIdle);
      for (;;) {
        {
          std::unique_lock<std::mutex> lock(mutex_);
          changed_.wait(lock, [&] { return state_ != kIdle; });
          if (state_ == kStopped) {
            break;
          }
        }
        body(request_, false, false);
        Set(kIdle);
      }
      body({}, false, true);
      Driver::Get().Leave();
    }
    void Set(State state)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      state_ = state;
      changed_.notify_all();
    }
    void Await(State state)
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return state_ == state; });
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    State state_ = kStarting;
    Request request_ = {};
    std::thread thread_;
  };

  std::mutex mutex_;
  Worker first_;
  Worker second_;
};

}  // namespace
