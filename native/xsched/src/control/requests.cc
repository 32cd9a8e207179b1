// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/requests.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>
#include <vector>

#include "control/protocol.h"
#include "preempt/name.h"
#include "preempt/policy.h"
#include "preempt/recent_use.h"
#include "preempt/scheduler.h"

namespace xsched {
namespace {

// How many queues an error lists at most.
constexpr size_t kMaxListed = 20;

const char*
StateOf(const QueueReport& queue)
{
  return queue.suspended ? "suspended"
         : queue.blocked ? "blocked"
         : queue.ready   ? "ready"
                         : "idle";
}

std::string
Label(const QueueReport& queue)
{
  return std::to_string(queue.id) +
         (queue.name.empty() ? "" : " (" + queue.name + ")");
}

std::string
Labels(const std::vector<QueueReport>& queues)
{
  std::string text;
  for (size_t i = 0; i < queues.size() && i < kMaxListed; ++i) {
    text += (i == 0 ? "" : ", ") + Label(queues[i]);
  }
  if (queues.size() > kMaxListed) {
    text += " and " + std::to_string(queues.size() - kMaxListed) + " more";
  }
  return text;
}

// Device time of the last two seconds as a part of them.
std::string
Percent(int64_t recent_ns)
{
  char text[32];
  snprintf(
      text, sizeof(text), "%.1f",
      100.0 * static_cast<double>(recent_ns) /
          static_cast<double>(RecentUse::kWindowNs));
  return text;
}

std::string
AnswerStatus(const ShimDescription& shim)
{
  const ProcessStatus status = GetProcessStatus(shim);
  AnswerTable table(
      {"version", "pid", "driver", "policy", "scheduler", "mode",
       "in_flight_limit_us", "queues", "scheduled", "problem"});
  table.AddRow(
      {status.shim.version, std::to_string(status.pid), status.shim.driver,
       status.policy, status.scheduler, status.mode,
       std::to_string(status.in_flight_limit_ns / 1000),
       std::to_string(Scheduler::Get().ReportAll().size()),
       status.problem.empty() ? "yes" : "no", status.problem});
  return table.ToAnswer();
}

std::string
AnswerQueues()
{
  AnswerTable table(
      {"id",        "name",        "device",     "priority",    "state",
       "launches",  "blocked",     "blocked_ns", "preemptions", "in_flight_ns",
       "floor",     "used",        "weight",     "kept",        "kept_pending",
       "kept_max",  "kept_failed", "no_room",    "no_room_ns",  "awaited",
       "awaited_ns"});
  for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
    const XQueueStats& stats = queue.stats;
    table.AddRow(
        {std::to_string(queue.id),
         queue.name,
         std::to_string(queue.device),
         std::to_string(stats.priority),
         StateOf(queue),
         std::to_string(stats.launches),
         std::to_string(stats.blocked),
         std::to_string(stats.blocked_ns),
         std::to_string(stats.preemptions),
         std::to_string(stats.in_flight_ns),
         std::to_string(queue.floor),
         queue.floor == 0 ? "" : Percent(queue.recent_ns),
         std::to_string(queue.weight),
         std::to_string(queue.ahead.kept),
         std::to_string(queue.pending),
         std::to_string(queue.ahead.most),
         std::to_string(queue.ahead.failed),
         std::to_string(queue.ahead.full),
         std::to_string(queue.ahead.full_ns),
         std::to_string(queue.ahead.awaited),
         std::to_string(queue.ahead.awaited_ns)});
  }
  return table.ToAnswer();
}

// Whether a person who writes 'meant' means what has that name.
bool
IsMeant(const std::string& name, const std::string& meant)
{
  return name == meant || ModelOf(name) == meant;
}

// The queues that a person means. With the reason in 'error': false if that is
// ambiguous, none if there are none.
bool
FindQueues(
    const std::string& meant, std::vector<QueueReport>* found,
    std::string* error)
{
  std::vector<QueueReport> all = Scheduler::Get().ReportAll();
  std::vector<QueueReport> with_id;
  std::vector<QueueReport> named;
  for (const QueueReport& queue : all) {
    if (meant == std::to_string(queue.id)) {
      with_id.push_back(queue);
    } else if (IsMeant(queue.name, meant)) {
      named.push_back(queue);
    }
  }
  const std::string quoted = "\"" + meant + "\"";
  if (!with_id.empty() && !named.empty()) {
    *error = quoted + " is the id of the queue " + Label(with_id[0]) +
             " and the name of others: " + Labels(named) +
             "; use the name of the former or the ids of the latter";
    return false;
  }
  if (with_id.empty() && named.empty()) {
    *error = "there is no queue " + quoted + "; " +
             (all.empty() ? "the process has none" : "use " + Labels(all));
  }
  *found = with_id.empty() ? named : with_id;
  return true;
}

// "QUEUE VALUE": the last space is between them, as names may have some. False
// if either is missing.
bool
SplitChange(
    const std::string& arguments, std::string* meant, std::string* value)
{
  const size_t space = arguments.rfind(' ');
  if (space == std::string::npos || space == 0) {
    return false;
  }
  *meant = arguments.substr(0, space);
  *value = arguments.substr(space + 1);
  return true;
}

std::string
AnswerPriority(const std::string& arguments)
{
  std::string meant;
  std::string value;
  if (!SplitChange(arguments, &meant, &value)) {
    return ErrorAnswer("give a queue and a priority: priority QUEUE N");
  }
  std::string error;
  Priority priority = PRIORITY_DEFAULT;
  if (!ParsePriority(value, &priority, &error)) {
    return ErrorAnswer(error);
  }
  std::vector<QueueReport> queues;
  if (!FindQueues(meant, &queues, &error)) {
    return ErrorAnswer(error);
  }
  const bool by_id =
      !queues.empty() && meant == std::to_string(queues.front().id);
  // Of queues to come, too. First, so that one that is created meanwhile has it
  // either from its owner or from below.
  std::vector<std::pair<std::string, Priority>> owners;
  if (!by_id) {
    owners = Scheduler::Get().SetPriorityOfOwners(
        [&](const std::string& name) { return IsMeant(name, meant); },
        priority);
  }
  if (queues.empty() && owners.empty()) {
    return ErrorAnswer(error);
  }
  AnswerTable table({"id", "name", "previous", "priority"});
  if (queues.empty()) {
    // No queue yet, so no id.
    for (const auto& owner : owners) {
      table.AddRow(
          {"0", owner.first, std::to_string(owner.second),
           std::to_string(priority)});
    }
  }
  for (const QueueReport& queue : queues) {
    // Leaves out a queue that has just been destroyed.
    if (Scheduler::Get().SetPriority(queue.handle, priority) ==
        kXSchedSuccess) {
      table.AddRow(
          {std::to_string(queue.id), queue.name,
           std::to_string(queue.stats.priority), std::to_string(priority)});
    }
  }
  return table.ToAnswer();
}

std::vector<QueueReport>
QueuesOf(const std::string& model)
{
  std::vector<QueueReport> queues = Scheduler::Get().ReportAll();
  queues.erase(
      std::remove_if(
          queues.begin(), queues.end(),
          [&](const QueueReport& queue) {
            return ModelOf(queue.name) != model;
          }),
      queues.end());
  return queues;
}

// Why a model or a queue can't have so high a floor.
std::string
NoRoom(const std::string& whose, int percent, const FloorRefusal& refusal)
{
  return "\"" + whose + "\" can't have a floor of " + std::to_string(percent) +
         " %: the floors of a device come to at most " +
         std::to_string(kMaxFloors) + " %, and those of others leave it " +
         std::to_string(refusal.room) + " % on device " +
         std::to_string(refusal.device) + "; give it that, or lower another";
}

// What the queues of a model share and a person may change.
struct SharedValue {
  // Also the name of the request, and of its column.
  const char* name;
  const char* usage;
  bool (*parse)(const std::string& text, int* value, std::string* error);
  int QueueReport::*now;
  // Of a model, and of a queue without a name, which a person called 'meant'.
  // False, with the reason, if it is refused.
  bool (*set_of_model)(
      const std::string& model, int value,
      std::vector<std::pair<std::string, int>>* owners, std::string* error);
  bool (*set_of_queue)(
      XQueueHandle queue, const std::string& meant, int value,
      std::string* error);
};

constexpr SharedValue kFloor = {
    "floor",
    "give a queue and a share: floor QUEUE PERCENT",
    ParseFloor,
    &QueueReport::floor,
    [](const std::string& model, int percent,
       std::vector<std::pair<std::string, int>>* owners, std::string* error) {
      FloorRefusal refusal;
      if (Scheduler::Get().SetFloorOfModel(model, percent, &refusal, owners)) {
        return true;
      }
      *error = NoRoom(model, percent, refusal);
      return false;
    },
    [](XQueueHandle queue, const std::string& meant, int percent,
       std::string* error) {
      FloorRefusal refusal;
      if (Scheduler::Get().SetFloor(queue, percent, &refusal) !=
          kXSchedErrorInvalidValue) {
        return true;
      }
      *error = NoRoom(meant, percent, refusal);
      return false;
    }};

constexpr SharedValue kWeight = {
    "weight",
    "give a queue and a weight: weight QUEUE N",
    ParseWeight,
    &QueueReport::weight,
    [](const std::string& model, int weight,
       std::vector<std::pair<std::string, int>>* owners, std::string*) {
      Scheduler::Get().SetWeightOfModel(model, weight, owners);
      return true;
    },
    [](XQueueHandle queue, const std::string&, int weight, std::string*) {
      Scheduler::Get().SetWeight(queue, weight);
      return true;
    }};

// A model's, whichever of its queues is meant; of a queue without a name, its
// own.
std::string
AnswerChange(const SharedValue& shared, const std::string& arguments)
{
  std::string meant;
  std::string text;
  if (!SplitChange(arguments, &meant, &text)) {
    return ErrorAnswer(shared.usage);
  }
  std::string error;
  int value = 0;
  if (!shared.parse(text, &value, &error)) {
    return ErrorAnswer(error);
  }
  std::vector<QueueReport> queues;
  if (!FindQueues(meant, &queues, &error)) {
    return ErrorAnswer(error);
  }
  const std::string model =
      ModelOf(queues.empty() ? meant : queues.front().name);
  std::vector<std::pair<std::string, int>> owners;
  std::string refusal;
  if (!model.empty()) {
    // All of its queues, though only one of them was named.
    queues = QueuesOf(model);
    if (!shared.set_of_model(model, value, &owners, &refusal)) {
      return ErrorAnswer(refusal);
    }
  } else if (
      !queues.empty() &&
      !shared.set_of_queue(queues.front().handle, meant, value, &refusal)) {
    return ErrorAnswer(refusal);
  }
  if (queues.empty() && owners.empty()) {
    return ErrorAnswer(error);
  }
  AnswerTable table({"id", "name", "previous", shared.name});
  if (queues.empty()) {
    // No queue yet, so no id.
    for (const auto& owner : owners) {
      table.AddRow(
          {"0", owner.first, std::to_string(owner.second),
           std::to_string(value)});
    }
  }
  for (const QueueReport& queue : queues) {
    table.AddRow(
        {std::to_string(queue.id), queue.name,
         std::to_string(queue.*shared.now), std::to_string(value)});
  }
  return table.ToAnswer();
}

}  // namespace

std::string
AnswerRequest(const ShimDescription& shim, const std::string& request)
{
  if (request.size() > kMaxRequest) {
    return ErrorAnswer(
        "the request is longer than " + std::to_string(kMaxRequest) + " bytes");
  }
  if (OneLine(request) != request) {
    return ErrorAnswer("the request contains control characters");
  }
  if (request == "status") {
    return AnswerStatus(shim);
  }
  if (request == "queues") {
    return AnswerQueues();
  }
  constexpr const char kPriority[] = "priority ";
  if (request.compare(0, sizeof(kPriority) - 1, kPriority) == 0) {
    return AnswerPriority(request.substr(sizeof(kPriority) - 1));
  }
  for (const SharedValue* shared : {&kFloor, &kWeight}) {
    const std::string verb = std::string(shared->name) + " ";
    if (request.compare(0, verb.size(), verb) == 0) {
      return AnswerChange(*shared, request.substr(verb.size()));
    }
  }
  return ErrorAnswer(
      "unknown request \"" + request.substr(0, 64) +
      "\"; use status, queues, priority QUEUE N, floor QUEUE PERCENT or "
      "weight QUEUE N");
}

}  // namespace xsched
