// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_CONTROL_CHILD_PROCESS_H_
#define XSCHED_TESTS_CONTROL_CHILD_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

// Changes to the environment; an empty value takes a variable away.
using Environment = std::map<std::string, std::string>;

// A program that runs beside the test. Killed at the end, if it still runs.
class ChildProcess {
 public:
  // Its standard input and output are pipes; its standard error is a file.
  ChildProcess(
      const std::vector<std::string>& words, const Environment& environment);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t Pid() const { return pid_; }
  // The next line of its output, without the end; empty at the end of all.
  std::string ReadLine();
  std::string ReadAll();
  // What it has written to standard error so far.
  std::string Errors() const;
  void WriteLine(const std::string& line);
  void CloseInput();
  void Signal(int signal);
  // Returns when all of its threads are stopped: each goes on until it comes to
  // take notice. SIGCONT ends that.
  void Stop();
  // Waits for its end: the exit code, or the negative signal.
  int Wait();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int errors_ = -1;
  std::string read_;
};

// A program that has run to its end.
struct Finished {
  int code;
  std::string output;
  std::string errors;
};

Finished RunTool(
    const std::vector<std::string>& arguments, const Environment& environment);

// A folder for one test, removed with what is in it.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& Path() const { return path_; }
  std::string operator/(const std::string& name) const;

 private:
  std::string path_;
};

// The names of what is in a folder, in order.
std::vector<std::string> FilesIn(const std::string& folder);
bool Exists(const std::string& path);
std::string ReadFile(const std::string& path);

#endif  // XSCHED_TESTS_CONTROL_CHILD_PROCESS_H_
