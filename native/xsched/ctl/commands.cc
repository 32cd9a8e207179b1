// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/commands.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "control/protocol.h"
#include "ctl/connection.h"
#include "ctl/floor.h"
#include "ctl/json.h"
#include "ctl/processes.h"
#include "ctl/show_changes.h"
#include "ctl/table.h"

namespace xsched {
namespace {

// What a queue has kept: XSCHED_RUN_AHEAD. A process of an earlier version does
// not say.
struct Ahead {
  int64_t kept;
  int64_t pending;
  int64_t max;
  int64_t failed;
  int64_t no_room;
  int64_t no_room_ns;
  int64_t awaited;
  int64_t awaited_ns;
};

struct QueueRow {
  int64_t id;
  std::string name;
  int64_t device;
  int64_t priority;
  std::string state;
  int64_t launches;
  int64_t blocked;
  int64_t blocked_ns;
  int64_t preemptions;
  int64_t in_flight_ns;
  Floor floor;
  int64_t weight;
  Ahead ahead;
  // Whose it is, where there are several processes.
  pid_t pid;
};

void
AddQueues(const AnswerTable& answer, pid_t pid, std::vector<QueueRow>* queues)
{
  for (size_t row = 0; row < answer.Rows(); ++row) {
    const auto number = [&](const char* column) -> int64_t {
      return strtoll(answer.Field(row, column).c_str(), nullptr, 10);
    };
    queues->push_back(
        {number("id"),
         answer.Field(row, "name"),
         number("device"),
         number("priority"),
         answer.Field(row, "state"),
         number("launches"),
         number("blocked"),
         number("blocked_ns"),
         number("preemptions"),
         number("in_flight_ns"),
         {answer.Field(row, "floor"), answer.Field(row, "used")},
         number("weight"),
         {number("kept"), number("kept_pending"), number("kept_max"),
          number("kept_failed"), number("no_room"), number("no_room_ns"),
          number("awaited"), number("awaited_ns")},
         pid});
  }
}

ExitCode
AskForQueues(const std::string& socket, std::vector<QueueRow>* queues)
{
  AnswerTable answer({});
  const ExitCode code = Ask(socket, "queues", &answer);
  queues->clear();
  AddQueues(answer, 0, queues);
  return code;
}

std::string
Shown(const std::string& name)
{
  return name.empty() ? "-" : name;
}

std::string
Microseconds(int64_t ns)
{
  return Fixed(static_cast<double>(ns) / 1e3, 0, " us");
}

std::string
Seconds(int64_t ns)
{
  return Fixed(static_cast<double>(ns) / 1e9, 3, " s");
}

void
Print(const std::string& text)
{
  fputs(text.c_str(), stdout);
  fflush(stdout);
}

// Rates between two samples. A queue that is new since the first has none yet.
std::string
Rates(
    const std::vector<QueueRow>& before, const std::vector<QueueRow>& now,
    double seconds)
{
  std::vector<std::vector<std::string>> rows;
  for (const QueueRow& queue : now) {
    const auto old = std::find_if(
        before.begin(), before.end(),
        [&](const QueueRow& each) { return each.id == queue.id; });
    const auto rate = [&](int64_t QueueRow::*counter, double unit, int digits,
                          const char* suffix) {
      return old == before.end()
                 ? std::string("-")
                 : Fixed(
                       static_cast<double>(queue.*counter - (*old).*counter) /
                           unit / seconds,
                       digits, suffix);
    };
    rows.push_back(
        {std::to_string(queue.id), Shown(queue.name),
         std::to_string(queue.priority), queue.state,
         rate(&QueueRow::launches, 1, 0, ""),
         rate(&QueueRow::blocked, 1, 0, ""),
         rate(&QueueRow::blocked_ns, 1e9, 3, ""),
         rate(&QueueRow::preemptions, 1, 0, ""),
         Microseconds(queue.in_flight_ns)});
  }
  return FormatTable(
      {{"ID", Align::kRight},
       {"NAME", Align::kLeft},
       {"PRIORITY", Align::kRight},
       {"STATE", Align::kLeft},
       {"LAUNCHES/S", Align::kRight},
       {"BLOCKED/S", Align::kRight},
       {"BLOCKED S/S", Align::kRight},
       {"PREEMPTIONS/S", Align::kRight},
       {"IN FLIGHT", Align::kRight}},
      rows);
}

void
PrintJson(const std::vector<QueueRow>& queues)
{
  std::string text = "{\"queues\": [";
  for (size_t i = 0; i < queues.size(); ++i) {
    const QueueRow& queue = queues[i];
    text += i == 0 ? "\n" : ",\n";
    text += "  {";
    if (queue.pid != 0) {
      text += "\"pid\": " + std::to_string(queue.pid) + ", ";
    }
    text +=
        "\"id\": " + std::to_string(queue.id) +
        ", \"name\": " + JsonString(queue.name) +
        ", \"device\": " + std::to_string(queue.device) +
        ", \"priority\": " + std::to_string(queue.priority) +
        ", \"state\": " + JsonString(queue.state) +
        ", \"launches\": " + std::to_string(queue.launches) +
        ", \"blocked\": " + std::to_string(queue.blocked) +
        ", \"blocked_ns\": " + std::to_string(queue.blocked_ns) +
        ", \"preemptions\": " + std::to_string(queue.preemptions) +
        ", \"in_flight_ns\": " + std::to_string(queue.in_flight_ns) +
        ", \"kept\": " + std::to_string(queue.ahead.kept) +
        ", \"kept_pending\": " + std::to_string(queue.ahead.pending) +
        ", \"kept_max\": " + std::to_string(queue.ahead.max) +
        ", \"kept_failed\": " + std::to_string(queue.ahead.failed) +
        ", \"no_room\": " + std::to_string(queue.ahead.no_room) +
        ", \"no_room_ns\": " + std::to_string(queue.ahead.no_room_ns) +
        ", \"awaited\": " + std::to_string(queue.ahead.awaited) +
        ", \"awaited_ns\": " + std::to_string(queue.ahead.awaited_ns) +
        ", \"weight\": " + std::to_string(queue.weight) +
        ", \"floor_percent\": " +
        (queue.floor.Exists()
             ? queue.floor.percent + ", \"used_percent\": " + queue.floor.used
             : "0") +
        "}";
  }
  Print(text + (queues.empty() ? "]}\n" : "\n]}\n"));
}

// Why a process did not do what it was asked.
struct Refusal {
  ExitCode code = kExitSuccess;
  std::string problem;
};

// Asks every process. One that has started since the others were looked for is
// asked, too: it may have begun with what it knew before. Returns why those
// refuse that have not ended meanwhile.
template <typename Visit>
std::map<pid_t, Refusal>
AskAll(const std::string& request, const Visit& visit)
{
  std::map<pid_t, Refusal> refusals;
  std::set<pid_t> told;
  std::set<pid_t> live;
  for (bool is_new = true; is_new;) {
    is_new = false;
    live.clear();
    for (const Process& process : FindProcesses()) {
      live.insert(process.pid);
      if (!told.insert(process.pid).second) {
        continue;
      }
      is_new = true;
      AnswerTable answer({});
      Refusal refusal;
      refusal.code = Ask(process.socket, request, &answer, &refusal.problem);
      if (refusal.code == kExitSuccess) {
        visit(process.pid, answer);
      } else {
        refusals[process.pid] = refusal;
      }
    }
  }
  for (auto each = refusals.begin(); each != refusals.end();) {
    each = live.count(each->first) == 0 ? refusals.erase(each) : ++each;
  }
  return refusals;
}

// Prints the refusals that are at least as bad as 'least'. Returns the worst of
// them, or 'otherwise'.
ExitCode
Report(
    const std::map<pid_t, Refusal>& refusals, ExitCode least,
    ExitCode otherwise)
{
  ExitCode worst = otherwise;
  for (const auto& each : refusals) {
    if (each.second.code >= least) {
      worst = std::max(worst, each.second.code);
      fprintf(
          stderr, "xsched-ctl: process %d: %s\n", static_cast<int>(each.first),
          each.second.problem.c_str());
    }
  }
  return worst;
}

// 'first' comes before what the answer says of a queue.
void
AddChanges(
    const AnswerTable& answer, const Changeable& what,
    std::vector<std::vector<std::string>>* rows,
    const std::vector<std::string>& first = {})
{
  for (size_t row = 0; row < answer.Rows(); ++row) {
    std::vector<std::string> cells = first;
    for (const std::string& cell :
         {answer.Field(row, "id"), Shown(answer.Field(row, "name")),
          answer.Field(row, "previous") + what.unit,
          answer.Field(row, what.request) + what.unit}) {
      cells.push_back(cell);
    }
    rows->push_back(cells);
  }
}

void
PrintChanges(
    std::vector<Column> columns, const Changeable& what,
    const std::vector<std::vector<std::string>>& rows)
{
  for (const Column& column :
       {Column{"ID", Align::kRight}, Column{"NAME", Align::kLeft},
        Column{"PREVIOUS", Align::kRight}, Column{what.title, Align::kRight}}) {
    columns.push_back(column);
  }
  Print(
      std::to_string(rows.size()) +
      (rows.size() == 1 ? " queue changed\n" : " queues changed\n") +
      FormatTable(columns, rows));
}

// Of a queue that has kept nothing, there is nothing to say.
void
AddAhead(const Ahead& ahead, std::vector<std::string>* cells)
{
  const bool any = ahead.kept != 0;
  for (const std::string& cell :
       {std::to_string(ahead.kept), std::to_string(ahead.max),
        std::to_string(ahead.no_room), Seconds(ahead.no_room_ns),
        std::to_string(ahead.awaited), Seconds(ahead.awaited_ns)}) {
    cells->push_back(any ? cell : "-");
  }
}

void
PrintStats(const std::vector<QueueRow>& queues, bool as_json)
{
  if (as_json) {
    PrintJson(queues);
    return;
  }
  // Few programs run ahead.
  const bool ahead = std::any_of(
      queues.begin(), queues.end(),
      [](const QueueRow& queue) { return queue.ahead.kept != 0; });
  std::vector<std::vector<std::string>> rows;
  for (const QueueRow& queue : queues) {
    rows.push_back(
        {queue.pid == 0 ? "-" : std::to_string(queue.pid),
         std::to_string(queue.id), Shown(queue.name),
         std::to_string(queue.priority), std::to_string(queue.launches),
         std::to_string(queue.blocked), Seconds(queue.blocked_ns),
         std::to_string(queue.preemptions), Microseconds(queue.in_flight_ns)});
    if (ahead) {
      AddAhead(queue.ahead, &rows.back());
    }
  }
  std::vector<Column> columns = {
      {"PID", Align::kRight},          {"ID", Align::kRight},
      {"NAME", Align::kLeft},          {"PRIORITY", Align::kRight},
      {"LAUNCHES", Align::kRight},     {"BLOCKED", Align::kRight},
      {"BLOCKED TIME", Align::kRight}, {"PREEMPTIONS", Align::kRight},
      {"IN FLIGHT", Align::kRight}};
  if (ahead) {
    for (const char* title :
         {"KEPT", "MOST KEPT", "NO ROOM", "NO ROOM TIME", "AWAITED",
          "AWAITED TIME"}) {
      columns.push_back({title, Align::kRight});
    }
  }
  if (queues.empty() || queues.front().pid == 0) {
    columns.erase(columns.begin());
    for (std::vector<std::string>& row : rows) {
      row.erase(row.begin());
    }
  }
  Print(FormatTable(columns, rows));
}

}  // namespace

ExitCode
ListQueues(const std::string& socket)
{
  std::vector<QueueRow> queues;
  const ExitCode code = AskForQueues(socket, &queues);
  if (code != kExitSuccess) {
    return code;
  }
  std::vector<std::vector<std::string>> rows;
  for (const QueueRow& queue : queues) {
    rows.push_back(
        {std::to_string(queue.id), Shown(queue.name),
         std::to_string(queue.device), std::to_string(queue.priority),
         queue.state, std::to_string(queue.launches),
         Microseconds(queue.in_flight_ns), queue.floor.Shown()});
  }
  Print(FormatTable(
      {{"ID", Align::kRight},
       {"NAME", Align::kLeft},
       {"DEVICE", Align::kRight},
       {"PRIORITY", Align::kRight},
       {"STATE", Align::kLeft},
       {"LAUNCHES", Align::kRight},
       {"IN FLIGHT", Align::kRight},
       {"FLOOR", Align::kRight}},
      rows));
  return kExitSuccess;
}

ExitCode
Change(
    const std::string& socket, const Changeable& what, const std::string& queue,
    const std::string& value)
{
  AnswerTable answer({});
  const ExitCode code = Ask(
      socket, std::string(what.request) + " " + queue + " " + value, &answer);
  if (code != kExitSuccess) {
    return code;
  }
  std::vector<std::vector<std::string>> rows;
  AddChanges(answer, what, &rows);
  PrintChanges({}, what, rows);
  return kExitSuccess;
}

ExitCode
ChangeEverywhere(
    const Changeable& what, const std::string& queue, const std::string& value)
{
  std::vector<std::vector<std::string>> rows;
  const std::map<pid_t, Refusal> refusals = AskAll(
      std::string(what.request) + " " + queue + " " + value,
      [&](pid_t pid, const AnswerTable& answer) {
        AddChanges(answer, what, &rows, {std::to_string(pid)});
      });
  // Most processes have no such queue. One that does not answer may have it.
  const ExitCode code = Report(
      refusals, rows.empty() ? kExitRefused : kExitNoAnswer,
      rows.empty() ? kExitRefused : kExitSuccess);
  if (!rows.empty()) {
    PrintChanges({{"PID", Align::kRight}}, what, rows);
  }
  return code;
}

ExitCode
ShowStats(const std::string& socket, bool as_json)
{
  std::vector<QueueRow> queues;
  const ExitCode code = AskForQueues(socket, &queues);
  if (code == kExitSuccess) {
    PrintStats(queues, as_json);
  }
  return code;
}

ExitCode
ShowStatsOfAll(bool as_json)
{
  std::vector<QueueRow> queues;
  size_t answers = 0;
  const std::map<pid_t, Refusal> refusals =
      AskAll("queues", [&](pid_t pid, const AnswerTable& answer) {
        ++answers;
        AddQueues(answer, pid, &queues);
      });
  const ExitCode code = Report(refusals, kExitRefused, kExitSuccess);
  if (code != kExitSuccess) {
    return code;
  }
  if (answers == 0) {
    std::string socket;
    return FindProcess(0, &socket);
  }
  PrintStats(queues, as_json);
  return kExitSuccess;
}

ExitCode
Watch(const std::string& socket, int64_t interval_ns)
{
  return ShowChanges<std::vector<QueueRow>>(
      interval_ns,
      [&](std::vector<QueueRow>* queues) {
        return AskForQueues(socket, queues);
      },
      Rates);
}

ExitCode
ShowStatus(const std::string& socket)
{
  AnswerTable answer({});
  const ExitCode code = Ask(socket, "status", &answer);
  if (code != kExitSuccess) {
    return code;
  }
  const std::string& driver = answer.Field(0, "driver");
  // Anything but a clear yes is a no: health checks rely on this.
  const bool scheduled = answer.Field(0, "scheduled") == "yes";
  const std::string limit = answer.Field(0, "in_flight_limit_us");
  const std::string lines[] = {
      "version    " + answer.Field(0, "version"),
      "pid        " + answer.Field(0, "pid"),
      "driver     " + (driver.empty() ? "(none)" : driver),
      "policy     " + answer.Field(0, "policy"),
      "scheduler  " + answer.Field(0, "scheduler"),
      "mode       " + answer.Field(0, "mode"),
      "in flight  at most " + limit + " us",
      "queues     " + answer.Field(0, "queues"),
      "scheduled  " + (scheduled ? "yes" : "no: " + answer.Field(0, "problem")),
  };
  for (const std::string& line : lines) {
    Print(line + "\n");
  }
  return scheduled ? kExitSuccess : kExitRefused;
}

}  // namespace xsched
