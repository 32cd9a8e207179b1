// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// xsched-ctl: inspects a scheduled process and changes its priorities.

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "control/protocol.h"
#include "ctl/check.h"
#include "ctl/commands.h"
#include "ctl/domain.h"
#include "ctl/exit_code.h"
#include "ctl/processes.h"

namespace {

using namespace xsched;

constexpr const char* kHelp =
    R"(usage: xsched-ctl [--pid PID | --socket PATH] COMMAND

Inspects a process that runs under XSched, and changes its priorities. Without
an option, uses the only such process of this user; with a name,
priority, floor and weight use all.

commands:
  status                 show the process's configuration; the health check
  list [--domain [--json]]
                         list the queues; with --domain, the processes of the
                         user's scheduling domain, who waits for whom, and the
                         queues of all of them
  priority QUEUE N       set QUEUE's priority to N: -255 to 255, max (255),
                         default (0) or min (-255); larger is more urgent.
                         QUEUE is an id, a name, or the part of names before
                         the first slash, so a model's name means all its queues;
                         without an option, a name means those of all processes
  floor QUEUE PERCENT    give QUEUE at least so much of the GPU's time while it
                         has work, whatever is above it: 0 (none) to 50. A
                         model's queues get it together. Until the process ends
                         or the queue does
  weight QUEUE N         share the GPU's time among models of equal priority in
                         the ratio of their weights, 1 to 100; 0: none. Like a
                         floor, a model's queues have it together
  stats [--json] [--all] show the queues' counters; with --all, of all processes
                         of this user
  check                  show which driver a program would use if it started in
                         this environment, and whether that driver starts
  watch [--domain] [SECONDS]
                         show the counters as rates, every SECONDS (0.1 to 3600,
                         default 1), until interrupted; with --domain, the
                         processes of the user's scheduling domain, who waits
                         for whom, and each one's share of the GPU's time

options:
  --pid PID              the process
  --socket PATH          its control socket; the first line of its log names it
  --help, --version

The sockets are in $XSCHED_CONTROL_DIR; if that is not set, in
$XDG_RUNTIME_DIR/xsched or /tmp/xsched-<uid>. The domain is in
$XSCHED_DOMAIN_DIR; if that is not set, in /dev/shm/xsched-<uid>.

exit code:
  0  done; status: the process is scheduled; check: a program would be
  1  refused; status: the process answers, but nothing is scheduled; check: a
     program would not be
  2  wrong usage, or several processes and no choice
  3  no process found, or it does not answer
)";

ExitCode
WrongUsage(const std::string& message)
{
  fprintf(
      stderr, "xsched-ctl: %s; see xsched-ctl --help\n",
      OneLine(message).c_str());
  return kExitUsage;
}

// Selects a process.
struct Target {
  pid_t pid = 0;
  std::string socket;
};

// Runs 'command' on the target's socket.
template <typename Command>
ExitCode
WithSocket(const Target& target, const Command& command)
{
  std::string socket = target.socket;
  if (socket.empty()) {
    const ExitCode code = FindProcess(target.pid, &socket);
    if (code != kExitSuccess) {
      return code;
    }
  }
  return command(socket);
}

// Of the queues of one process, or of all that have such a queue.
ExitCode
RunChange(
    const Target& target, const Changeable& what,
    bool (*parse)(const std::string&, int*, std::string*),
    const std::vector<std::string>& arguments)
{
  if (arguments.size() != 2 || arguments[0].empty()) {
    return WrongUsage(
        std::string(what.request) + " needs a queue and a number");
  }
  const std::string& queue = arguments[0];
  if (OneLine(queue) != queue) {
    return WrongUsage(
        "the queue \"" + queue +
        "\" contains control characters, which no "
        "queue's name does");
  }
  int value = 0;
  std::string error;
  if (!parse(arguments[1], &value, &error)) {
    return WrongUsage(error);
  }
  const bool is_name =
      queue.find_first_not_of("0123456789") != std::string::npos;
  if (is_name && target.pid == 0 && target.socket.empty() &&
      FindProcesses().size() > 1) {
    return ChangeEverywhere(what, queue, std::to_string(value));
  }
  return WithSocket(target, [&](const std::string& socket) {
    return Change(socket, what, queue, std::to_string(value));
  });
}

ExitCode
RunStats(const Target& target, const std::vector<std::string>& arguments)
{
  bool as_json = false;
  bool of_all = false;
  for (const std::string& argument : arguments) {
    as_json = as_json || argument == "--json";
    of_all = of_all || argument == "--all";
    if (argument != "--json" && argument != "--all") {
      return WrongUsage("stats takes no arguments but --json and --all");
    }
  }
  if (of_all) {
    return target.pid == 0 && target.socket.empty()
               ? ShowStatsOfAll(as_json)
               : WrongUsage("stats --all is about all processes");
  }
  return WithSocket(target, [&](const std::string& socket) {
    return ShowStats(socket, as_json);
  });
}

ExitCode
RunWatch(const Target& target, std::vector<std::string> arguments)
{
  const bool of_domain = !arguments.empty() && arguments[0] == "--domain";
  if (of_domain) {
    if (target.pid != 0 || !target.socket.empty()) {
      return WrongUsage("watch --domain is about all processes");
    }
    arguments.erase(arguments.begin());
  }
  double seconds = 1;
  if (!arguments.empty()) {
    char* end = nullptr;
    seconds = strtod(arguments[0].c_str(), &end);
    if (arguments.size() > 1 || arguments[0].empty() || *end != '\0' ||
        !(seconds >= 0.1 && seconds <= 3600)) {
      return WrongUsage(
          "watch takes one number of seconds from 0.1 to 3600, not \"" +
          arguments[0] + "\"");
    }
  }
  const int64_t interval_ns = std::llround(seconds * 1e9);
  if (of_domain) {
    return WatchDomain(interval_ns);
  }
  return WithSocket(target, [&](const std::string& socket) {
    return Watch(socket, interval_ns);
  });
}

ExitCode
RunList(const Target& target, const std::vector<std::string>& arguments)
{
  if (arguments.empty()) {
    return WithSocket(target, ListQueues);
  }
  const bool as_json = arguments.size() == 2 && arguments[1] == "--json";
  if (arguments[0] != "--domain" || (arguments.size() > 1 && !as_json)) {
    return WrongUsage(
        "list takes no arguments but --domain and --domain --json");
  }
  return target.pid == 0 && target.socket.empty()
             ? ListDomain(as_json)
             : WrongUsage("list --domain is about all processes");
}

ExitCode
RunCommand(
    const Target& target, const std::string& command,
    const std::vector<std::string>& arguments)
{
  if (command == "priority") {
    return RunChange(
        target, {"priority", "PRIORITY", ""}, ParsePriority, arguments);
  }
  if (command == "floor") {
    return RunChange(target, {"floor", "FLOOR", " %"}, ParseFloor, arguments);
  }
  if (command == "weight") {
    return RunChange(target, {"weight", "WEIGHT", ""}, ParseWeight, arguments);
  }
  if (command == "stats") {
    return RunStats(target, arguments);
  }
  if (command == "watch") {
    return RunWatch(target, arguments);
  }
  if (command == "list") {
    return RunList(target, arguments);
  }
  if (command != "status" && command != "check") {
    return WrongUsage(
        "unknown command \"" + command +
        "\"; use status, list, priority, floor, weight, stats, watch or check");
  }
  if (!arguments.empty()) {
    return WrongUsage(command + " takes no arguments; options come before it");
  }
  if (command == "check") {
    return target.pid == 0 && target.socket.empty()
               ? CheckEnvironment()
               : WrongUsage("check is about no process");
  }
  return WithSocket(target, ShowStatus);
}

ExitCode
Run(const std::vector<std::string>& words)
{
  Target target;
  size_t next = 0;
  for (; next < words.size() && words[next][0] == '-'; ++next) {
    const std::string& option = words[next];
    if (option == "--help" || option == "-h") {
      fputs(kHelp, stdout);
      return kExitSuccess;
    }
    if (option == "--version") {
      puts("xsched-ctl " XSCHED_VERSION);
      return kExitSuccess;
    }
    if (option != "--pid" && option != "--socket") {
      return WrongUsage("unknown option \"" + option + "\"");
    }
    if (++next == words.size() || words[next].empty()) {
      return WrongUsage(option + " needs a value");
    }
    const std::string& value = words[next];
    if (option == "--socket") {
      target.socket = value;
      continue;
    }
    const char* end = value.data() + value.size();
    const auto result = std::from_chars(value.data(), end, target.pid);
    if (result.ec != std::errc() || result.ptr != end || target.pid <= 0) {
      return WrongUsage("\"" + value + "\" is not a process id");
    }
  }
  if (target.pid != 0 && !target.socket.empty()) {
    return WrongUsage("give --pid or --socket, not both");
  }
  if (next == words.size()) {
    return WrongUsage("no command was given");
  }
  return RunCommand(
      target, words[next],
      std::vector<std::string>(words.begin() + next + 1, words.end()));
}

}  // namespace

int
main(int argc, char** argv)
{
  return Run(std::vector<std::string>(argv + (argc > 0), argv + argc));
}
