// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// xsched-run: runs a program under XSched, in the user's scheduling domain.

#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "control/protocol.h"
#include "preempt/name.h"
#include "xsched/types.h"

namespace {

constexpr const char* kHelp =
    R"(usage: xsched-run [--priority N] [--floor PERCENT] [--weight N]
                  [--run-ahead N] [--name NAME] [--] COMMAND [ARGUMENT...]

Runs COMMAND so that all its work on GPUs has one priority among the processes
of this user: a training job or a notebook below the models of a server, for
example. What COMMAND starts runs the same way, and its processes on several GPUs
together.

options:
  --priority N           -255 to 255, max (255), default (0) or min (-255), the
                         default; larger is more urgent
  --floor PERCENT        what it gets of the GPU's time at least while it has
                         work, whatever is above it: 0, the default, to 50;
                         processes of one name share it
  --weight N             what it shares the time of its priority by with others
                         that have a weight: 1 to 100; 0, the default: nothing
  --run-ahead N          how many calls of a stream are kept for later where it
                         has to wait, so that the program goes on: 0 to 65536;
                         the default is $XSCHED_RUN_AHEAD, or 0
  --name NAME            the name of its queues in xsched-ctl, at most 63 bytes;
                         the default is COMMAND's, without its folder
  --help, --version

The processes meet in $XSCHED_DOMAIN_DIR or, if that is not set, in
/dev/shm/xsched-<uid>. While COMMAND runs, xsched-ctl changes its priority.

exit code: COMMAND's; 125 if xsched-run fails, 126 if COMMAND cannot be run, 127
if there is none
)";

constexpr int kFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// What no other run has: the processes of this one work together.
std::string
GangOf(const std::string& name)
{
  struct timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return name + "." + std::to_string(getpid()) + "." +
         std::to_string(now.tv_sec) + "." + std::to_string(now.tv_nsec);
}

int
Fail(const std::string& message)
{
  fprintf(
      stderr, "xsched-run: %s; see xsched-run --help\n",
      xsched::OneLine(message).c_str());
  return kFailed;
}

// The folder of the shim, beside this program's own.
std::string
LibraryFolder()
{
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  if (size <= 0 || size == sizeof(path)) {
    return "";
  }
  std::string folder(path, size);
  for (int level = 0; level < 2; ++level) {
    folder.resize(
        folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'));
  }
  return folder + "/lib";
}

struct Settings {
  Priority priority = PRIORITY_MIN;
  int floor = 0;
  int weight = 0;
  int run_ahead = -1;  // what the environment says
  std::string name;
};

bool
ReadNumber(
    const std::string& option, const std::string& value, Settings* settings,
    std::string* error)
{
  if (option == "--floor") {
    return xsched::ParseFloor(value, &settings->floor, error);
  }
  if (option == "--run-ahead") {
    return xsched::ParseRunAhead(value, &settings->run_ahead, error);
  }
  return option == "--weight"
             ? xsched::ParseWeight(value, &settings->weight, error)
             : xsched::ParsePriority(value, &settings->priority, error);
}

// Reads the options, and sets 'next' to the first word of the command. False,
// with the exit code, if there is nothing to run.
bool
ReadOptions(int argc, char** argv, Settings* settings, int* next, int* code)
{
  bool has_name = false;
  for (*next = 1; *next < argc && argv[*next][0] == '-'; ++*next) {
    const std::string option = argv[*next];
    if (option == "--") {
      ++*next;
      break;
    }
    if (option == "--help" || option == "-h") {
      fputs(kHelp, stdout);
      *code = 0;
      return false;
    }
    if (option == "--version") {
      puts("xsched-run " XSCHED_VERSION);
      *code = 0;
      return false;
    }
    if (option != "--priority" && option != "--floor" && option != "--weight" &&
        option != "--run-ahead" && option != "--name") {
      *code = Fail("unknown option \"" + option + "\"");
      return false;
    }
    if (++*next == argc) {
      *code = Fail(option + " needs a value");
      return false;
    }
    const std::string value = argv[*next];
    std::string error;
    if (option == "--name") {
      if (!xsched::IsName(value.c_str())) {
        *code = Fail(
            "a name has at most 63 bytes and no control characters, unlike \"" +
            value + "\"");
        return false;
      }
      settings->name = value;
      has_name = true;
    } else if (!ReadNumber(option, value, settings, &error)) {
      *code = Fail(error);
      return false;
    }
  }
  if (*next == argc || argv[*next][0] == '\0') {
    *code = Fail("no command was given");
    return false;
  }
  if (!has_name) {
    const char* slash = strrchr(argv[*next], '/');
    settings->name = slash == nullptr ? argv[*next] : slash + 1;
    if (!xsched::IsName(settings->name.c_str())) {
      settings->name.clear();
    }
  }
  return true;
}

}  // namespace

int
main(int argc, char** argv)
{
  Settings settings;
  int next = 0;
  int code = 0;
  if (!ReadOptions(argc, argv, &settings, &next, &code)) {
    return code;
  }
  const std::string folder = LibraryFolder();
  const std::string shim = folder + "/libcuda.so.1";
  if (access(shim.c_str(), R_OK) != 0) {
    return Fail("there is no " + shim + ", which comes with xsched-run");
  }
  const char* before = getenv("LD_LIBRARY_PATH");
  const bool has_path = before != nullptr && before[0] != '\0';
  const std::string path = has_path ? folder + ":" + before : folder;
  if (setenv("LD_LIBRARY_PATH", path.c_str(), 1) != 0 ||
      setenv("XSCHED_SCHEDULER", "GLB", 1) != 0 ||
      setenv("XSCHED_AUTO_XQUEUE", "ON", 1) != 0 ||
      setenv("XSCHED_AUTO_XQUEUE_NAME", settings.name.c_str(), 1) != 0 ||
      setenv(
          "XSCHED_AUTO_XQUEUE_PRIORITY",
          std::to_string(settings.priority).c_str(), 1) != 0 ||
      setenv(
          "XSCHED_AUTO_XQUEUE_FLOOR", std::to_string(settings.floor).c_str(),
          1) != 0 ||
      setenv(
          "XSCHED_AUTO_XQUEUE_WEIGHT", std::to_string(settings.weight).c_str(),
          1) != 0 ||
      (settings.run_ahead >= 0 &&
       setenv(
           "XSCHED_RUN_AHEAD", std::to_string(settings.run_ahead).c_str(), 1) !=
           0) ||
      setenv("XSCHED_GANG", GangOf(settings.name).c_str(), 0) != 0) {
    return Fail(strerror(errno));
  }
  execvp(argv[next], argv + next);
  code = errno == ENOENT ? kNotFound : kNotExecutable;
  fprintf(
      stderr, "xsched-run: %s: %s\n", xsched::OneLine(argv[next]).c_str(),
      strerror(errno));
  return code;
}
