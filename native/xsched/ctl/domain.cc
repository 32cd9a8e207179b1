// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/domain.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/protocol.h"
#include "ctl/connection.h"
#include "ctl/floor.h"
#include "ctl/json.h"
#include "ctl/processes.h"
#include "ctl/show_changes.h"
#include "ctl/table.h"
#include "domain/census.h"
#include "domain/folder.h"
#include "preempt/name.h"

namespace xsched {
namespace {

using domain::Census;
using domain::Participant;

// A model's floor in a process, and whether the model lacks a part of it.
struct ModelFloor {
  std::string model;
  std::string device;
  Floor floor;
  bool is_missed;
};

// What the control socket of each process tells of its queues.
class QueuesOfAll {
 public:
  // Asks all processes.
  void Read()
  {
    for (const Process& process : FindProcesses()) {
      AnswerTable answer({});
      std::string problem;
      if (Ask(process.socket, "queues", &answer, &problem) != kExitSuccess) {
        // One that has ended is no concern; of one that hangs, the domain tells.
        continue;
      }
      for (size_t row = 0; row < answer.Rows(); ++row) {
        const std::string name = answer.Field(row, "name");
        if (!name.empty()) {
          models_[process.pid].insert(ModelOf(name));
        }
        const Floor floor = {
            answer.Field(row, "floor"), answer.Field(row, "used")};
        AddFloor(
            {ModelOf(name), answer.Field(row, "device"), floor,
             floor.IsMissed(answer.Field(row, "state"))},
            &floors_[process.pid]);
        rows_.push_back(
            {std::to_string(process.pid), answer.Field(row, "id"),
             name.empty() ? "-" : name, answer.Field(row, "device"),
             answer.Field(row, "priority"), answer.Field(row, "state"),
             answer.Field(row, "launches"), answer.Field(row, "blocked"),
             floor.Shown()});
      }
    }
  }

  // The models whose queues a process has.
  std::vector<std::string> ModelsOf(pid_t pid) const
  {
    const auto found = models_.find(pid);
    if (found == models_.end()) {
      return {};
    }
    return {found->second.begin(), found->second.end()};
  }

  // Of each model and device once, however many queues share it.
  std::vector<ModelFloor> FloorsOf(pid_t pid) const
  {
    const auto found = floors_.find(pid);
    return found == floors_.end() ? std::vector<ModelFloor>() : found->second;
  }

  const std::vector<std::vector<std::string>>& Rows() const { return rows_; }

 private:
  static void AddFloor(const ModelFloor& added, std::vector<ModelFloor>* floors)
  {
    if (!added.floor.Exists()) {
      return;
    }
    const auto known =
        std::find_if(floors->begin(), floors->end(), [&](const auto& each) {
          return !each.model.empty() && each.model == added.model &&
                 each.device == added.device;
        });
    if (known == floors->end()) {
      floors->push_back(added);
    } else {
      known->is_missed = known->is_missed || added.is_missed;
    }
  }

  std::map<pid_t, std::set<std::string>> models_;
  std::map<pid_t, std::vector<ModelFloor>> floors_;
  std::vector<std::vector<std::string>> rows_;
};

// A process that takes part on one device.
struct Member {
  Participant process;
  std::vector<std::string> models;
  // On all devices that the process uses: it numbers them by itself.
  std::vector<ModelFloor> floors;
  // The processes that it waits for.
  std::vector<std::string> blockers;
};

struct Device {
  std::string name;
  std::vector<Member> members;
};

// The user's domain at one moment.
struct Domain {
  std::vector<Device> devices;
  QueuesOfAll queues;
};

// Prints why it cannot be read, or why a part of it cannot.
ExitCode
ReadDomain(Domain* domain)
{
  const char* given = getenv("XSCHED_DOMAIN_DIR");
  const std::string folder = domain::Folder(given == nullptr ? "" : given);
  std::string error;
  const std::vector<Census> found = domain::TakeCensus(folder, &error);
  if (!error.empty()) {
    fprintf(stderr, "xsched-ctl: %s\n", error.c_str());
    return kExitRefused;
  }
  domain->queues.Read();
  for (const Census& census : found) {
    if (!census.problem.empty()) {
      fprintf(
          stderr, "xsched-ctl: %s/%s: %s\n", folder.c_str(),
          OneLine(census.device).c_str(), census.problem.c_str());
      continue;
    }
    Device device = {census.device, {}};
    for (size_t i = 0; i < census.participants.size(); ++i) {
      const Participant& process = census.participants[i];
      Member member = {
          process,
          domain->queues.ModelsOf(process.pid),
          domain->queues.FloorsOf(process.pid),
          {}};
      for (const size_t blocker : domain::BlockersOf(census, i)) {
        member.blockers.push_back(
            std::to_string(census.participants[blocker].pid));
      }
      device.members.push_back(member);
    }
    if (!device.members.empty()) {
      domain->devices.push_back(device);
    }
  }
  if (domain->devices.empty()) {
    fprintf(
        stderr,
        "xsched-ctl: no process is in the scheduling domain %s; run them with "
        "XSCHED_SCHEDULER=GLB, as the same user, and set XSCHED_DOMAIN_DIR as "
        "they have it\n",
        folder.c_str());
    return kExitNoAnswer;
  }
  return kExitSuccess;
}

std::string
Joined(const std::vector<std::string>& words)
{
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

std::string
OrDash(const std::string& text)
{
  return text.empty() ? "-" : text;
}

std::string
ShownPriority(int priority)
{
  return priority == PRIORITY_NO_EXECUTE ? "-" : std::to_string(priority);
}

std::string
ShownFloors(const std::vector<ModelFloor>& floors)
{
  std::vector<std::string> shown;
  for (const ModelFloor& each : floors) {
    shown.push_back(
        (each.model.empty() ? "" : each.model + " ") + each.floor.Shown() +
        (each.is_missed ? " (missed)" : ""));
  }
  return OrDash(Joined(shown));
}

// A table of a device's members; the last column is 'title', with what
// 'device_time' says of each.
template <typename DeviceTime>
std::string
Table(
    const Device& device, const std::string& title,
    const DeviceTime& device_time)
{
  std::vector<std::vector<std::string>> rows;
  for (const Member& member : device.members) {
    rows.push_back(
        {std::to_string(member.process.pid), OrDash(Joined(member.models)),
         ShownPriority(member.process.ready) +
             (member.process.has_slice ? " (slice)" : ""),
         ShownPriority(member.process.waits), OrDash(Joined(member.blockers)),
         ShownFloors(member.floors), device_time(member)});
  }
  return device.name + "\n" +
         FormatTable(
             {{"PID", Align::kRight},
              {"MODELS", Align::kLeft},
              {"WORK", Align::kRight},
              {"WAITS", Align::kRight},
              {"BLOCKED BY", Align::kLeft},
              {"FLOORS", Align::kLeft},
              {title, Align::kRight}},
             rows);
}

// The time that a process has used since an earlier moment; -1 if it was not
// there, or another one had its process id.
int64_t
UsedSince(const Domain& before, const Device& device, const Member& member)
{
  for (const Device& former : before.devices) {
    for (const Member& each : former.members) {
      if (former.name == device.name &&
          each.process.pid == member.process.pid &&
          each.process.since_ns == member.process.since_ns) {
        return member.process.used_ns - each.process.used_ns;
      }
    }
  }
  return -1;
}

std::string
JsonPriority(int priority)
{
  return priority == PRIORITY_NO_EXECUTE ? "null" : std::to_string(priority);
}

std::string
JsonFloors(const std::vector<ModelFloor>& floors)
{
  std::string text;
  for (const ModelFloor& each : floors) {
    text += (text.empty() ? "{\"model\": " : ", {\"model\": ") +
            JsonString(each.model) +
            ", \"floor_percent\": " + each.floor.percent +
            ", \"used_percent\": " + each.floor.used +
            ", \"missed\": " + (each.is_missed ? "true" : "false") + "}";
  }
  return "[" + text + "]";
}

std::string
JsonOf(const Domain& domain)
{
  std::string text = "{\"devices\": [";
  for (const Device& device : domain.devices) {
    text += &device == &domain.devices.front() ? "\n" : ",\n";
    text += "  {\"device\": " + JsonString(device.name) + ", \"processes\": [";
    for (const Member& member : device.members) {
      std::string models;
      for (const std::string& model : member.models) {
        models += (models.empty() ? "" : ", ") + JsonString(model);
      }
      text += &member == &device.members.front() ? "\n" : ",\n";
      text += "    {\"pid\": " + std::to_string(member.process.pid) +
              ", \"models\": [" + models +
              "], \"work\": " + JsonPriority(member.process.ready) +
              ", \"waits\": " + JsonPriority(member.process.waits) +
              ", \"slice\": " + (member.process.has_slice ? "true" : "false") +
              ", \"blocked_by\": [" + Joined(member.blockers) +
              "], \"floors\": " + JsonFloors(member.floors) +
              ", \"used_ns\": " + std::to_string(member.process.used_ns) + "}";
    }
    text += "\n  ]}";
  }
  return text + "\n]}\n";
}

}  // namespace

ExitCode
ListDomain(bool as_json)
{
  Domain domain;
  const ExitCode code = ReadDomain(&domain);
  if (code != kExitSuccess) {
    return code;
  }
  if (as_json) {
    printf("%s", JsonOf(domain).c_str());
    return kExitSuccess;
  }
  for (const Device& device : domain.devices) {
    const std::string table =
        Table(device, "GPU TIME", [](const Member& member) {
          return Fixed(
              static_cast<double>(member.process.used_ns) / 1e9, 3, " s");
        });
    printf("%s\n", table.c_str());
  }
  printf(
      "%s", FormatTable(
                {{"PID", Align::kRight},
                 {"ID", Align::kRight},
                 {"NAME", Align::kLeft},
                 {"DEVICE", Align::kRight},
                 {"PRIORITY", Align::kRight},
                 {"STATE", Align::kLeft},
                 {"LAUNCHES", Align::kRight},
                 {"BLOCKED", Align::kRight},
                 {"FLOOR", Align::kRight}},
                domain.queues.Rows())
                .c_str());
  return kExitSuccess;
}

ExitCode
WatchDomain(int64_t interval_ns)
{
  return ShowChanges<Domain>(
      interval_ns, ReadDomain,
      [](const Domain& before, const Domain& now, double seconds) {
        std::string text;
        for (const Device& device : now.devices) {
          text += text.empty() ? "" : "\n";
          text += Table(device, "GPU SHARE", [&](const Member& member) {
            const int64_t used_ns = UsedSince(before, device, member);
            return used_ns < 0
                       ? std::string("-")
                       : Fixed(
                             static_cast<double>(used_ns) / 1e7 / seconds, 1,
                             " %");
          });
        }
        return text;
      });
}

}  // namespace xsched
