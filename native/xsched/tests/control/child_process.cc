// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "built_files.h"

extern char** environ;

namespace {

std::vector<std::string>
Merged(const Environment& changes)
{
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (changes.count(text.substr(0, text.find('='))) == 0) {
      merged.push_back(text);
    }
  }
  for (const auto& change : changes) {
    if (!change.second.empty()) {
      merged.push_back(change.first + "=" + change.second);
    }
  }
  return merged;
}

std::vector<char*>
Pointers(const std::vector<std::string>& texts)
{
  std::vector<char*> pointers;
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildProcess::ChildProcess(
    const std::vector<std::string>& words, const Environment& environment)
{
  int input[2] = {-1, -1};
  int output[2] = {-1, -1};
  char errors[] = "/tmp/xsched-test-errors-XXXXXX";
  EXPECT_EQ(pipe2(input, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(output, O_CLOEXEC), 0);
  errors_ = mkostemp(errors, O_CLOEXEC);
  EXPECT_GE(errors_, 0);
  unlink(errors);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors_, STDERR_FILENO);
  // A test that was started in the background may ignore SIGINT; its children
  // do not.
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const std::vector<std::string> merged = Merged(environment);
  EXPECT_EQ(
      posix_spawn(
          &pid_, words[0].c_str(), &actions, &attributes,
          Pointers(words).data(), Pointers(merged).data()),
      0)
      << words[0];
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  output_ = output[0];
}

ChildProcess::~ChildProcess()
{
  CloseInput();
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  close(output_);
  close(errors_);
}

std::string
ChildProcess::ReadLine()
{
  for (;;) {
    const size_t end = read_.find('\n');
    if (end != std::string::npos) {
      const std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    char piece[4096];
    const ssize_t count = read(output_, piece, sizeof(piece));
    if (count > 0) {
      read_.append(piece, count);
    } else if (count == 0 || errno != EINTR) {
      return std::exchange(read_, "");
    }
  }
}

std::string
ChildProcess::ReadAll()
{
  std::string text = std::exchange(read_, "");
  char piece[4096];
  ssize_t count = 0;
  while ((count = read(output_, piece, sizeof(piece))) > 0 ||
         (count < 0 && errno == EINTR)) {
    text.append(piece, std::max<ssize_t>(count, 0));
  }
  return text;
}

std::string
ChildProcess::Errors() const
{
  std::string text(1 << 20, '\0');
  const ssize_t count = pread(errors_, &text[0], text.size(), 0);
  text.resize(std::max<ssize_t>(count, 0));
  return text;
}

void
ChildProcess::WriteLine(const std::string& line)
{
  const std::string text = line + "\n";
  EXPECT_EQ(
      write(input_, text.data(), text.size()),
      static_cast<ssize_t>(text.size()));
}

void
ChildProcess::CloseInput()
{
  if (input_ >= 0) {
    close(std::exchange(input_, -1));
  }
}

void
ChildProcess::Signal(int signal)
{
  EXPECT_EQ(kill(pid_, signal), 0);
}

void
ChildProcess::Stop()
{
  Signal(SIGSTOP);
  siginfo_t stopped = {};
  while (waitid(P_PID, pid_, &stopped, WSTOPPED | WNOWAIT) < 0 &&
         errno == EINTR) {
  }
}

int
ChildProcess::Wait()
{
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Finished
RunTool(
    const std::vector<std::string>& arguments, const Environment& environment)
{
  std::vector<std::string> words = {kXschedCtl};
  words.insert(words.end(), arguments.begin(), arguments.end());
  ChildProcess tool(words, environment);
  tool.CloseInput();
  Finished finished;
  finished.output = tool.ReadAll();
  finished.code = tool.Wait();
  finished.errors = tool.Errors();
  return finished;
}

TestFolder::TestFolder()
{
  char path[] = "/tmp/xsched-test-XXXXXX";
  EXPECT_NE(mkdtemp(path), nullptr);
  path_ = path;
}

TestFolder::~TestFolder()
{
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string
TestFolder::operator/(const std::string& name) const
{
  return path_ + "/" + name;
}

std::vector<std::string>
FilesIn(const std::string& folder)
{
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder, ignored)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool
Exists(const std::string& path)
{
  struct stat file;
  return lstat(path.c_str(), &file) == 0;
}

std::string
ReadFile(const std::string& path)
{
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}
