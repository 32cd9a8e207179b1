// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What a control socket and a metrics file are to other processes: where they
// are, who may use them, and what is left of them.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "built_files.h"
#include "control/child_process.h"
#include "control/listener.h"
#include "control/raw_client.h"
#include "control/socket_directory.h"
#include "sanitizers.h"

namespace {

using xsched::Listener;
using xsched::SocketDirectory;

class ControlProcessTest : public testing::Test {
 protected:
  void SetUp() override
  {
    environment_ = {
        {"XSCHED_CUDA_LIB", kSimulatedDriver},
        {"XSCHED_CONTROL", ""},
        {"XSCHED_CONTROL_DIR", directory_},
        {"XSCHED_SCHEDULER", ""},
        {"XDG_RUNTIME_DIR", ""}};
  }

  // A process that has said that it is ready.
  std::unique_ptr<ChildProcess> StartProcess(
      const std::vector<std::string>& words = {"wait"})
  {
    std::vector<std::string> all = {kScheduledProcess};
    all.insert(all.end(), words.begin(), words.end());
    auto process = std::make_unique<ChildProcess>(all, environment_);
    said_ = process->ReadLine();
    return process;
  }

  std::string SocketOf(const ChildProcess& process) const
  {
    return directory_ + "/" + std::to_string(process.Pid()) + ".sock";
  }

  Finished Tool(const std::vector<std::string>& arguments) const
  {
    return RunTool(arguments, environment_);
  }

  // The process goes on without a socket, and says why in one line.
  void ExpectNoSocket(const std::string& reason)
  {
    const auto process = StartProcess();
    EXPECT_EQ(said_, "ready");
    const std::string log = process->Errors();
    const size_t at = log.find("no control socket: ");
    ASSERT_NE(at, std::string::npos) << log;
    EXPECT_NE(log.find(reason), std::string::npos) << log;
    EXPECT_EQ(log.find("no control socket: ", at + 1), std::string::npos);
    EXPECT_NE(log.find(", control off\n"), std::string::npos) << log;
    EXPECT_NE(Tool({"status"}).code, 0);
    process->CloseInput();
    EXPECT_EQ(process->Wait(), 0) << process->Errors();
  }

  const TestFolder folder_;
  std::string directory_ = folder_ / "control";
  Environment environment_;
  std::string said_;
};

mode_t
ModeOf(const std::string& path)
{
  struct stat file = {};
  EXPECT_EQ(lstat(path.c_str(), &file), 0) << path;
  return file.st_mode & 07777;
}

// --- the health check -------------------------------------------------------

TEST_F(ControlProcessTest, StatusIsZeroForAScheduledProcess)
{
  const auto process = StartProcess({"wait", "bert/0"});
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 0) << status.errors;
  EXPECT_NE(
      status.output.find("pid        " + std::to_string(process->Pid())),
      std::string::npos)
      << status.output;
  EXPECT_NE(status.output.find("scheduled  yes\n"), std::string::npos);
  EXPECT_NE(status.output.find("queues     1\n"), std::string::npos);
  const std::string pid = std::to_string(process->Pid());
  EXPECT_EQ(Tool({"--pid", pid, "status"}).code, 0);
  EXPECT_EQ(Tool({"--socket", SocketOf(*process), "status"}).code, 0);
  EXPECT_NE(
      process->Errors().find(", control " + SocketOf(*process) + "\n"),
      std::string::npos)
      << process->Errors();
}

TEST_F(ControlProcessTest, StatusIsOneIfTheApplicationSchedules)
{
  environment_["XSCHED_SCHEDULER"] = "APP";
  const auto process = StartProcess();
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 1);
  EXPECT_NE(status.output.find("XSCHED_SCHEDULER=APP"), std::string::npos);
}

TEST_F(ControlProcessTest, StatusIsOneWithoutADriver)
{
  environment_["XSCHED_CUDA_LIB"] = folder_ / "nothing";
  const auto process = StartProcess();
  EXPECT_EQ(said_, "no device");
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 1);
  EXPECT_NE(status.output.find("no CUDA driver"), std::string::npos);
  EXPECT_NE(status.output.find("driver     (none)"), std::string::npos);
}

TEST_F(ControlProcessTest, StatusIsOneIfTheDriverDoesNotStart)
{
  environment_["SIMULATED_INIT"] = "803";
  const auto process = StartProcess();
  EXPECT_EQ(said_, "no device");
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 1);
  EXPECT_NE(
      status.output.find(
          "scheduled  no: the CUDA driver does not start: cuInit returns 803"),
      std::string::npos)
      << status.output;
}

TEST_F(ControlProcessTest, CheckSaysWhatAProgramWouldRunWith)
{
  environment_["LD_LIBRARY_PATH"] = kShimFolder;
  const Finished good = Tool({"check"});
  EXPECT_EQ(good.code, 0) << good.output << good.errors;
  EXPECT_EQ(
      good.output, "library    " + std::string(kShimFolder) +
                       "/libcuda.so.1\ndriver     " + kSimulatedDriver +
                       "\nscheduled  yes\n");
  EXPECT_EQ(good.errors, "");
  EXPECT_FALSE(Exists(directory_));  // no control socket
  EXPECT_EQ(Tool({"--pid", "1", "check"}).code, 2);

  environment_["SIMULATED_INIT"] = "803";
  const Finished failed = Tool({"check"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_NE(
      failed.output.find(
          "\nscheduled  no: the CUDA driver does not start: cuInit returns "
          "803\n"),
      std::string::npos)
      << failed.output;

  environment_["XSCHED_CUDA_LIB"] = folder_ / "nothing";
  const Finished none = Tool({"check"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(
      none.output.find("driver     (none)\nscheduled  no: no CUDA driver"),
      std::string::npos)
      << none.output;

  ASSERT_EQ(symlink(kSimulatedDriver, (folder_ / "libcuda.so.1").c_str()), 0);
  environment_["LD_LIBRARY_PATH"] = folder_ / "";
  const Finished other = Tool({"check"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(
      other.output.find("scheduled  no: this library is not XSched's"),
      std::string::npos)
      << other.output;
}

TEST_F(ControlProcessTest, StatusIsTwoForWrongUsage)
{
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {""},
      {"stat"},
      {"status", "x"},
      {"list", "--pid", "1"},
      {"--pid", "status"},
      {"--pid", "x", "status"},
      {"--pid", "0", "status"},
      {"--pid", "-1", "status"},
      {"--pid", "99999999999", "status"},
      {"--pid"},
      {"--socket", "", "status"},
      {"--pid", "1", "--socket", "/x", "status"},
      {"--what", "status"},
      {"--socket", "/" + std::string(200, 'x'), "status"},
      {"priority"},
      {"priority", "x"},
      {"priority", "", "1"},
      {"priority", "a\nb", "1"},
      {"priority", "x", "1", "2"},
      {"stats", "--xml"},
      {"watch", "0"},
      {"watch", "nan"},
      {"watch", "1", "2"},
  };
  for (const auto& arguments : wrong) {
    const Finished tool = Tool(arguments);
    std::string words;
    for (const std::string& argument : arguments) {
      words += " '" + argument + "'";
    }
    EXPECT_EQ(tool.code, 2) << words;
    EXPECT_EQ(tool.output, "") << words;
    EXPECT_EQ(tool.errors.rfind("xsched-ctl: ", 0), 0u) << tool.errors;
  }
}

TEST_F(ControlProcessTest, HelpAndVersion)
{
  EXPECT_EQ(Tool({"--help"}).code, 0);
  EXPECT_EQ(Tool({"--help"}).output.rfind("usage: xsched-ctl", 0), 0u);
  EXPECT_EQ(Tool({"--version"}).output, "xsched-ctl 1.2.0\n");
}

TEST_F(ControlProcessTest, StatusIsThreeWithoutAProcess)
{
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 3);
  EXPECT_NE(status.errors.find(directory_), std::string::npos) << status.errors;
  EXPECT_FALSE(Exists(directory_));  // looking makes nothing
  EXPECT_EQ(Tool({"--socket", folder_ / "none", "status"}).code, 3);
  const auto process = StartProcess();
  EXPECT_EQ(Tool({"--pid", "1", "status"}).code, 3);
}

TEST_F(ControlProcessTest, StatusIsThreeForAProcessThatHangs)
{
  const auto process = StartProcess();
  process->Stop();
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 3);
  EXPECT_NE(status.errors.find("did not answer"), std::string::npos)
      << status.errors;
  EXPECT_TRUE(Exists(SocketOf(*process)));  // it is not dead
  process->Signal(SIGCONT);
  EXPECT_EQ(Tool({"status"}).code, 0);
}

TEST_F(ControlProcessTest, AnswerThatIsNoneIsNoHealth)
{
  // Something else listens where a process is expected.
  std::string error;
  const auto other = Listener::Open(directory_, 4242, &error);
  ASSERT_NE(other, nullptr) << error;
  for (const char* answer :
       {"", "ok\n", "ok\nscheduled\nyes\n", "HTTP/1.1 200 OK\n\n"}) {
    std::thread server([&] {
      int client = -1;
      while ((client = accept(other->Socket().Get(), nullptr, nullptr)) < 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      char request[16];
      EXPECT_GT(recv(client, request, sizeof(request), 0), 0);
      send(client, answer, strlen(answer), MSG_NOSIGNAL);
      close(client);
    });
    EXPECT_EQ(Tool({"--socket", other->Path(), "status"}).code, 3) << answer;
    server.join();
  }
}

TEST_F(ControlProcessTest, SeveralProcessesMustBeChosenFrom)
{
  const auto one = StartProcess({"wait", "one"});
  const auto two = StartProcess({"wait", "two"});
  const Finished none = Tool({"list"});
  EXPECT_EQ(none.code, 2);
  for (const auto& process : {&one, &two}) {
    EXPECT_NE(none.errors.find(SocketOf(**process)), std::string::npos)
        << none.errors;
  }
  const Finished list = Tool({"--pid", std::to_string(two->Pid()), "list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.output.find("two"), std::string::npos);
  EXPECT_EQ(list.output.find("one"), std::string::npos);
}

// What a queue says of itself in the JSON, from the kept calls on.
std::string
AheadOf(const std::string& json, const std::string& name)
{
  const size_t queue = json.find("\"name\": \"" + name + "\"");
  const size_t begin = json.find("\"kept\"", queue);
  const size_t end = json.find(", \"weight\"", begin);
  return queue == std::string::npos || end == std::string::npos
             ? "nothing: " + json
             : json.substr(begin, end - begin);
}

TEST_F(ControlProcessTest, StatsHaveWhatRunsAhead)
{
  environment_["XSCHED_RUN_AHEAD"] = "4";
  const auto process = StartProcess({"ahead", "high/0", "low/0"});
  const std::string none =
      "\"kept\": 0, \"kept_pending\": 0, \"kept_max\": 0, "
      "\"kept_failed\": 0, \"no_room\": 0, \"no_room_ns\": 0, "
      "\"awaited\": 0, \"awaited_ns\": 0";
  const Finished before = Tool({"stats", "--json"});
  ASSERT_EQ(before.code, 0) << before.errors;
  EXPECT_EQ(AheadOf(before.output, "high/0"), none);
  EXPECT_EQ(
      AheadOf(before.output, "low/0"),
      "\"kept\": 2, \"kept_pending\": 2, \"kept_max\": 2, "
      "\"kept_failed\": 0, \"no_room\": 0, \"no_room_ns\": 0, "
      "\"awaited\": 0, \"awaited_ns\": 0");
  const Finished table = Tool({"stats"});
  EXPECT_NE(
      table.output.find("KEPT  MOST KEPT  NO ROOM  NO ROOM TIME  AWAITED  "
                        "AWAITED TIME\n"),
      std::string::npos)
      << table.output;
  const auto ends_in = [&](const std::string& name, const std::string& end) {
    const size_t line_end = table.output.find('\n', table.output.find(name));
    std::string words;
    std::istringstream line(table.output.substr(0, line_end));
    for (std::string word; line >> word;) {
      words += " " + word;
    }
    return words.size() >= end.size() &&
           words.compare(words.size() - end.size(), end.size(), end) == 0;
  };
  EXPECT_TRUE(ends_in("high/0", " us - - - - - -")) << table.output;
  EXPECT_TRUE(ends_in("low/0", " us 2 2 0 0.000 s 0 0.000 s")) << table.output;
  // One call finds no room, and the thread waits for the others. On a busy machine
  // the device may be through before that.
  std::smatch seen;
  const std::regex more(
      "\"kept\": ([0-9]+), \"kept_pending\": 2, \"kept_max\": 4, "
      "\"kept_failed\": 0, \"no_room\": [1-9][0-9]*, "
      "\"no_room_ns\": [1-9][0-9]*, \"awaited\": [1-9][0-9]*, "
      "\"awaited_ns\": [1-9][0-9]*");
  std::string ahead;
  for (int round = 0; round < 100; ++round) {
    process->WriteLine("");
    ASSERT_EQ(process->ReadLine(), "done") << process->Errors();
    ahead = AheadOf(Tool({"stats", "--json"}).output, "low/0");
    if (std::regex_match(ahead, seen, more)) {
      break;
    }
  }
  ASSERT_TRUE(std::regex_match(ahead, seen, more)) << ahead;
  EXPECT_GT(std::stoi(seen[1]), 4);
}

TEST_F(ControlProcessTest, StatsOfAProcessThatDoesNotRunAheadDoNotMentionIt)
{
  const auto process = StartProcess({"wait", "chat/0"});
  EXPECT_EQ(Tool({"stats"}).output.find("KEPT"), std::string::npos);
}

// One from before there were floors, weights and calls that are kept.
TEST_F(ControlProcessTest, AnEarlierVersionAnswersWithFewerColumns)
{
  const std::string path = folder_ / "earlier.sock";
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  strcpy(address.sun_path, path.c_str());
  ASSERT_EQ(
      bind(
          listener, reinterpret_cast<const sockaddr*>(&address),
          sizeof(address)),
      0);
  ASSERT_EQ(listen(listener, 4), 0);
  std::thread server([&] {
    const std::string answer =
        "ok\n"
        "id\tname\tdevice\tpriority\tstate\tlaunches\tblocked\t"
        "blocked_ns\tpreemptions\tin_flight_ns\n"
        "1\tchat/0\t0\t5\tidle\t7\t3\t2000000000\t1\t0\n\n";
    for (int i = 0; i < 2; ++i) {
      const int client = accept(listener, nullptr, nullptr);
      char byte = 0;
      while (read(client, &byte, 1) == 1 && byte != '\n') {
      }
      EXPECT_EQ(
          write(client, answer.data(), answer.size()),
          static_cast<ssize_t>(answer.size()));
      close(client);
    }
  });
  const Finished table = Tool({"--socket", path, "stats"});
  const Finished json = Tool({"--socket", path, "stats", "--json"});
  server.join();
  close(listener);
  EXPECT_EQ(table.code, 0) << table.errors;
  EXPECT_NE(table.output.find("2.000 s"), std::string::npos) << table.output;
  EXPECT_EQ(table.output.find("KEPT"), std::string::npos) << table.output;
  EXPECT_EQ(
      json.output,
      "{\"queues\": [\n  {\"id\": 1, \"name\": \"chat/0\", \"device\": 0, "
      "\"priority\": 5, \"state\": \"idle\", \"launches\": 7, "
      "\"blocked\": 3, \"blocked_ns\": 2000000000, \"preemptions\": 1, "
      "\"in_flight_ns\": 0, \"kept\": 0, \"kept_pending\": 0, "
      "\"kept_max\": 0, \"kept_failed\": 0, \"no_room\": 0, "
      "\"no_room_ns\": 0, \"awaited\": 0, \"awaited_ns\": 0, "
      "\"weight\": 0, \"floor_percent\": 0}\n]}\n");
}

TEST_F(ControlProcessTest, PriorityByNameReachesAllProcesses)
{
  const auto one = StartProcess({"wait", "chat/0", "other/0"});
  const auto two = StartProcess({"wait", "chat/1"});
  const auto three = StartProcess({"wait"});
  const Finished changed = Tool({"priority", "chat", "7"});
  EXPECT_EQ(changed.code, 0) << changed.errors;
  EXPECT_EQ(changed.errors, "");
  EXPECT_NE(changed.output.find("2 queues changed\n"), std::string::npos)
      << changed.output;
  for (const auto& process : {&one, &two}) {
    const std::string pid = std::to_string((*process)->Pid());
    EXPECT_NE(changed.output.find(pid), std::string::npos) << changed.output;
    const Finished list = Tool({"--pid", pid, "list"});
    EXPECT_NE(list.output.find("       7 "), std::string::npos) << list.output;
  }
  const Finished stats = Tool({"stats", "--json", "--all"});
  EXPECT_EQ(stats.code, 0) << stats.errors;
  for (const char* name : {"chat/0", "other/0", "chat/1"}) {
    EXPECT_NE(
        stats.output.find("\"name\": \"" + std::string(name)),
        std::string::npos)
        << stats.output;
  }
  EXPECT_NE(
      stats.output.find(
          "{\"pid\": " + std::to_string(two->Pid()) + ", \"id\": 1, "),
      std::string::npos)
      << stats.output;
  EXPECT_NE(Tool({"stats", "--all"}).output.find("PID"), std::string::npos);
  EXPECT_EQ(Tool({"--pid", "1", "stats", "--all"}).code, 2);
  // A queue that nobody has; an id, which another process has, too.
  const Finished none = Tool({"priority", "chap", "7"});
  EXPECT_EQ(none.code, 1);
  for (const auto& process : {&one, &two, &three}) {
    EXPECT_NE(
        none.errors.find(
            "process " + std::to_string((*process)->Pid()) +
            ": there is no queue \"chap\""),
        std::string::npos)
        << none.errors;
  }
  EXPECT_EQ(Tool({"priority", "1", "7"}).code, 2);
  // One that does not answer may have it, too; one that has ended has not.
  two->Stop();
  const Finished hangs = Tool({"priority", "chat", "8"});
  EXPECT_EQ(Tool({"stats", "--all"}).code, 3);
  kill(two->Pid(), SIGKILL);
  EXPECT_EQ(hangs.code, 3);
  EXPECT_NE(
      hangs.errors.find(
          "process " + std::to_string(two->Pid()) + ": no answer"),
      std::string::npos)
      << hangs.errors;
  EXPECT_NE(hangs.output.find("1 queue changed\n"), std::string::npos);
  two->Wait();
  EXPECT_EQ(Tool({"priority", "chat", "9"}).code, 0);
}

// --- where the socket is ----------------------------------------------------

TEST_F(ControlProcessTest, SocketIsForItsUserOnly)
{
  for (const char* mask : {"0", "022", "077"}) {
    environment_["TEST_UMASK"] = mask;
    const auto process = StartProcess();
    EXPECT_EQ(ModeOf(directory_), 0700u) << mask;
    EXPECT_EQ(ModeOf(SocketOf(*process)), 0600u) << mask;
    process->CloseInput();
    EXPECT_EQ(process->Wait(), 0);
    ASSERT_EQ(rmdir(directory_.c_str()), 0);
  }
}

TEST_F(ControlProcessTest, RuntimeDirectoryIsTheDefault)
{
  environment_["XSCHED_CONTROL_DIR"] = "";
  environment_["XDG_RUNTIME_DIR"] = folder_.Path();
  directory_ = folder_ / "xsched";
  const auto process = StartProcess();
  EXPECT_TRUE(Exists(SocketOf(*process)));
  EXPECT_EQ(Tool({"--pid", std::to_string(process->Pid()), "status"}).code, 0);
}

TEST_F(ControlProcessTest, DirectoriesInOrder)
{
  const std::string own = "/tmp/xsched-" + std::to_string(geteuid());
  using Paths = std::vector<std::string>;
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(xsched::ControlDirectories(""), Paths{own});
  EXPECT_EQ(xsched::ControlDirectories("/x"), Paths{"/x"});
  setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
  EXPECT_EQ(xsched::ControlDirectories(""), (Paths{"/run/user/1/xsched", own}));
  setenv("XDG_RUNTIME_DIR", "run", 1);
  EXPECT_EQ(xsched::ControlDirectories(""), Paths{own});
  unsetenv("XDG_RUNTIME_DIR");
}

TEST_F(ControlProcessTest, ControlCanBeTurnedOff)
{
  environment_["XSCHED_CONTROL"] = "OFF";
  const auto process = StartProcess();
  EXPECT_EQ(said_, "ready");
  EXPECT_FALSE(Exists(directory_));
  EXPECT_NE(process->Errors().find(", control off\n"), std::string::npos);
  const std::string tasks = "/proc/" + std::to_string(process->Pid()) + "/task";
  for (const std::string& task : FilesIn(tasks)) {
    EXPECT_NE(ReadFile(tasks + "/" + task + "/comm"), "xsched-control\n");
  }
}

TEST_F(ControlProcessTest, SymbolicLinkIsRefused)
{
  const std::string real = folder_ / "real";
  ASSERT_EQ(mkdir(real.c_str(), 0700), 0);
  ASSERT_EQ(symlink(real.c_str(), directory_.c_str()), 0);
  ExpectNoSocket("symbolic link");
  environment_["XSCHED_CONTROL_DIR"] = directory_ + "//";
  ExpectNoSocket("symbolic link");
  EXPECT_TRUE(FilesIn(real).empty());
}

TEST_F(ControlProcessTest, DirectoryThatOthersCanWriteIsRefused)
{
  for (const mode_t mode : {0777, 0770, 0702}) {
    mkdir(directory_.c_str(), 0700);
    ASSERT_EQ(chmod(directory_.c_str(), mode), 0);
    ExpectNoSocket("writable by others");
    EXPECT_TRUE(FilesIn(directory_).empty());
  }
  // Others may read it: the socket has a mode of its own.
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  const auto process = StartProcess();
  EXPECT_EQ(Tool({"status"}).code, 0);
}

TEST_F(ControlProcessTest, ForeignDirectoryIsRefused)
{
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  if (chown(directory_.c_str(), 12345, 12345) != 0) {
    GTEST_SKIP() << "only root can give a directory to somebody else";
  }
  ExpectNoSocket("belongs to the user 12345");
  EXPECT_TRUE(FilesIn(directory_).empty());
}

TEST_F(ControlProcessTest, OtherFilesAndMissingParentsAreRefused)
{
  environment_["XSCHED_CONTROL_DIR"] = folder_ / "missing/control";
  ExpectNoSocket("cannot be created: No such file or directory");
  environment_["XSCHED_CONTROL_DIR"] = "control";
  ExpectNoSocket("is not an absolute path");
  environment_["XSCHED_CONTROL_DIR"] = kScheduledProcess;
  ExpectNoSocket("is a file");
}

TEST_F(ControlProcessTest, PathThatIsTooLongIsAClearError)
{
  environment_["XSCHED_CONTROL_DIR"] = folder_ / std::string(100, 'x');
  ExpectNoSocket("bytes; it may have 1 to 107; set XSCHED_CONTROL_DIR");
}

// --- what is left -----------------------------------------------------------

TEST_F(ControlProcessTest, NormalExitLeavesNothing)
{
  const std::string metrics = folder_ / "x.prom";
  environment_["XSCHED_METRICS_FILE"] = metrics;
  environment_["XSCHED_METRICS_INTERVAL_MS"] = "100";
  const auto process = StartProcess({"churn", "a"});
  while (!Exists(metrics)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process->CloseInput();
  EXPECT_EQ(process->Wait(), 0) << process->Errors();
  EXPECT_TRUE(FilesIn(directory_).empty());
  EXPECT_EQ(FilesIn(folder_.Path()), std::vector<std::string>{"control"});
}

TEST_F(ControlProcessTest, MetricsNeedNoSocket)
{
  const std::string metrics = folder_ / "%p.prom";
  environment_["XSCHED_CONTROL"] = "OFF";
  environment_["XSCHED_METRICS_FILE"] = metrics;
  const auto process = StartProcess();
  const std::string path = folder_ / (std::to_string(process->Pid()) + ".prom");
  while (!Exists(path)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(ModeOf(path), 0644u);
  process->CloseInput();
  EXPECT_EQ(process->Wait(), 0) << process->Errors();
  EXPECT_FALSE(Exists(path));
}

TEST_F(ControlProcessTest, SocketsOfKilledProcessesAreRemoved)
{
  auto killed = StartProcess();
  const std::string left = SocketOf(*killed);
  killed->Signal(SIGKILL);
  EXPECT_EQ(killed->Wait(), -SIGKILL);
  EXPECT_TRUE(Exists(left));
  EXPECT_EQ(Tool({"status"}).code, 3);  // the tool cleans up
  EXPECT_FALSE(Exists(left));

  killed = StartProcess();
  const std::string again = SocketOf(*killed);
  killed->Signal(SIGKILL);
  killed->Wait();
  const auto alive = StartProcess();  // so does the next process
  EXPECT_FALSE(Exists(again));
  EXPECT_EQ(Tool({"status"}).code, 0);
}

TEST_F(ControlProcessTest, OnlySocketsAreRemoved)
{
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  const auto make = [this](const std::string& name) {
    FILE* file = fopen((directory_ + "/" + name).c_str(), "w");
    ASSERT_NE(file, nullptr);
    fclose(file);
  };
  make("12345.sock");
  make("notes");
  make("12x.sock");
  ASSERT_EQ(symlink("/nowhere", (directory_ + "/12346.sock").c_str()), 0);
  {
    const auto process = StartProcess();
    const Finished status = Tool({"status"});
    EXPECT_EQ(status.code, 0)
        << process->Pid() << process->Errors() << status.errors;
    process->CloseInput();
    EXPECT_EQ(process->Wait(), 0);
  }
  EXPECT_EQ(
      FilesIn(directory_),
      (std::vector<std::string>{
          "12345.sock", "12346.sock", "12x.sock", "notes"}));
}

TEST_F(ControlProcessTest, SocketOfTheSamePidIsReplacedOnlyIfItIsStale)
{
  // As between containers that share a directory.
  std::string error;
  auto one = Listener::Open(directory_, 42, &error);
  ASSERT_NE(one, nullptr) << error;
  EXPECT_EQ(Listener::Open(directory_, 42, &error), nullptr);
  EXPECT_NE(error.find("another PID namespace"), std::string::npos) << error;
  EXPECT_TRUE(RawClient(one->Path()).Connected());
  one->Close();
  EXPECT_FALSE(RawClient(one->Path()).Connected());
  const auto two = Listener::Open(directory_, 42, &error);
  ASSERT_NE(two, nullptr) << error;
  EXPECT_TRUE(RawClient(two->Path()).Connected());
  two->RemoveFile();
  EXPECT_TRUE(FilesIn(directory_).empty());
}

#if XSCHED_CHILD_MAY_ALLOCATE
TEST_F(ControlProcessTest, ForkedChildLeavesTheParentsFiles)
{
  environment_["XSCHED_METRICS_FILE"] = folder_ / "x.prom";
  environment_["XSCHED_METRICS_INTERVAL_MS"] = "3600000";
  const auto process = StartProcess({"fork", "a"});
  EXPECT_EQ(said_, "ready") << process->Errors();
  EXPECT_TRUE(Exists(SocketOf(*process)));
  EXPECT_EQ(Tool({"status"}).code, 0);
  process->CloseInput();
  EXPECT_EQ(process->Wait(), 0) << process->Errors();
  EXPECT_TRUE(FilesIn(directory_).empty());
}
#endif

TEST_F(ControlProcessTest, ForkedChildDoesNotKeepTheSocketAlive)
{
  const auto process = StartProcess({"orphan"});
  const pid_t child = static_cast<pid_t>(std::stol(said_));
  ASSERT_NE(child, process->Pid());
  const std::string socket = SocketOf(*process);
  process->Signal(SIGKILL);
  process->Wait();
  ASSERT_EQ(kill(child, 0), 0);
  EXPECT_FALSE(RawClient(socket).Connected());
  EXPECT_EQ(Tool({"status"}).code, 3);
  EXPECT_FALSE(Exists(socket));
}

TEST_F(ControlProcessTest, KilledAtAnyMomentHindersNobody)
{
  environment_["XSCHED_METRICS_FILE"] = folder_ / "x.prom";
  environment_["XSCHED_METRICS_INTERVAL_MS"] = "100";
  std::mt19937 random(7);
  const std::vector<std::string> words = {
      kScheduledProcess, "churn", "a/0", "a/1"};
  for (int round = 0; round < 25; ++round) {
    ChildProcess process(words, environment_);
    ChildProcess beside(words, environment_);
    // Some from before their first line, some from well after their start.
    if (round % 2 == 0) {
      process.ReadLine();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
    process.Signal(SIGKILL);
    beside.Signal(SIGKILL);
    process.Wait();
    beside.Wait();
  }
  const auto process = StartProcess({"churn", "b/0"});
  EXPECT_EQ(said_, "ready");
  const std::string own = std::to_string(process->Pid()) + ".sock";
  EXPECT_EQ(FilesIn(directory_), std::vector<std::string>{own});
  const Finished status = Tool({"status"});
  EXPECT_EQ(status.code, 0) << status.errors;
  EXPECT_EQ(Tool({"priority", "b", "5"}).code, 0);
  while (ReadFile(folder_ / "x.prom").find("b/0") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process->CloseInput();
  EXPECT_EQ(process->Wait(), 0) << process->Errors();
  EXPECT_TRUE(FilesIn(directory_).empty());
}

}  // namespace
