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
#include "ctl/processes.h"
#include "ctl/table.h"
#include "domain/census.h"
#include "domain/folder.h"

namespace xsched {
namespace {

using domain::Census;
using domain::Participant;

// What the control socket of each process tells of its queues.
class QueuesOfAll {
 public:
  QueuesOfAll()
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
        models_[process.pid].insert(name.empty() ? "-" : ModelOf(name));
        rows_.push_back(
            {std::to_string(process.pid), answer.Field(row, "id"),
             name.empty() ? "-" : name, answer.Field(row, "device"),
             answer.Field(row, "priority"), answer.Field(row, "state"),
             answer.Field(row, "launches"), answer.Field(row, "blocked")});
      }
    }
  }

  // The models whose queues a process has.
  std::string ModelsOf(pid_t pid) const
  {
    const auto found = models_.find(pid);
    std::string text;
    if (found != models_.end()) {
      for (const std::string& model : found->second) {
        text += (text.empty() ? "" : ", ") + model;
      }
    }
    return text.empty() ? "-" : text;
  }

  const std::vector<std::vector<std::string>>& Rows() const { return rows_; }

 private:
  std::map<pid_t, std::set<std::string>> models_;
  std::vector<std::vector<std::string>> rows_;
};

std::string
ShownPriority(int priority)
{
  return priority == PRIORITY_NO_EXECUTE ? "-" : std::to_string(priority);
}

std::string
Seconds(int64_t ns)
{
  char text[32];
  snprintf(text, sizeof(text), "%.3f s", static_cast<double>(ns) / 1e9);
  return text;
}

void
PrintCensus(const Census& census, const QueuesOfAll& queues)
{
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < census.participants.size(); ++i) {
    const Participant& process = census.participants[i];
    std::string blockers;
    for (const size_t blocker : domain::BlockersOf(census, i)) {
      blockers += (blockers.empty() ? "" : ", ") +
                  std::to_string(census.participants[blocker].pid);
    }
    rows.push_back(
        {std::to_string(process.pid), queues.ModelsOf(process.pid),
         ShownPriority(process.ready), ShownPriority(process.waits),
         blockers.empty() ? "-" : blockers, Seconds(process.used_ns)});
  }
  printf(
      "%s\n%s\n", census.device.c_str(),
      FormatTable(
          {{"PID", Align::kRight},
           {"MODELS", Align::kLeft},
           {"WORK", Align::kRight},
           {"WAITS", Align::kRight},
           {"BLOCKED BY", Align::kLeft},
           {"GPU TIME", Align::kRight}},
          rows)
          .c_str());
}

}  // namespace

ExitCode
ListDomain()
{
  const char* given = getenv("XSCHED_DOMAIN_DIR");
  const std::string folder = domain::Folder(given == nullptr ? "" : given);
  std::string error;
  const std::vector<Census> found = domain::TakeCensus(folder, &error);
  if (!error.empty()) {
    fprintf(stderr, "xsched-ctl: %s\n", error.c_str());
    return kExitRefused;
  }
  const QueuesOfAll queues;
  size_t processes = 0;
  for (const Census& census : found) {
    if (!census.problem.empty()) {
      fprintf(
          stderr, "xsched-ctl: %s/%s: %s\n", folder.c_str(),
          OneLine(census.device).c_str(), census.problem.c_str());
    } else if (!census.participants.empty()) {
      processes += census.participants.size();
      PrintCensus(census, queues);
    }
  }
  if (processes == 0) {
    fprintf(
        stderr,
        "xsched-ctl: no process is in the scheduling domain %s; run them with "
        "XSCHED_SCHEDULER=GLB, as the same user, and set XSCHED_DOMAIN_DIR as "
        "they have it\n",
        folder.c_str());
    return kExitNoAnswer;
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
                 {"BLOCKED", Align::kRight}},
                queues.Rows())
                .c_str());
  return kExitSuccess;
}

}  // namespace xsched
