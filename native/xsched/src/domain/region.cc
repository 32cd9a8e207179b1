// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "domain/region.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "control/file_descriptor.h"
#include "domain/file.h"
#include "preempt/clock.h"
#include "preempt/wait.h"

namespace xsched { namespace domain {
namespace {

constexpr int64_t kLockPatienceNs = 1000000000;
constexpr int64_t kLockPauseNs = 2000000;
constexpr int kMaxRegions = 64;

// --- a file that somebody shortens -------------------------------------------
//
// Memory of a file beyond its end cannot be touched: the kernel sends SIGBUS.
// Nothing keeps the file's owner from shortening it (a file that is found by
// its path cannot be sealed), and a server must not end for that. So the handler
// does what Region::Leave does, and the access is made again.

std::atomic<Layout*> mapped[kMaxRegions];
struct sigaction handler_before;

bool
MapNothingAt(Layout* shared)
{
  // The system call itself: in a handler of signals no library is asked.
  return syscall(
             SYS_mmap, shared, sizeof(Layout), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == reinterpret_cast<long>(shared);
}

void
OnBusError(int signal, siginfo_t* info, void* context)
{
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (auto& each : mapped) {
    Layout* const shared = each.load(std::memory_order_acquire);
    const auto begin = reinterpret_cast<uintptr_t>(shared);
    if (shared != nullptr && address >= begin &&
        address < begin + sizeof(Layout) && MapNothingAt(shared)) {
      return;
    }
  }
  // Somebody else's.
  if ((handler_before.sa_flags & SA_SIGINFO) != 0) {
    handler_before.sa_sigaction(signal, info, context);
  } else if (
      handler_before.sa_handler != SIG_DFL &&
      handler_before.sa_handler != SIG_IGN) {
    handler_before.sa_handler(signal);
  } else {
    // The access is made again, and ends the process as it would have.
    ::signal(signal, SIG_DFL);
  }
}

bool
CatchBusErrorsIn(Layout* shared)
{
  static const bool caught = [] {
    struct sigaction action = {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &handler_before) == 0;
  }();
  for (auto& each : mapped) {
    Layout* expected = nullptr;
    if (caught && each.compare_exchange_strong(
                      expected, shared, std::memory_order_acq_rel)) {
      return true;
    }
  }
  return false;
}

// --- the file ----------------------------------------------------------------

bool
IsLocked(int fd, int slot)
{
  struct flock lock = SlotByte(slot, F_WRLCK);
  return fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

std::string
Because(const std::string& what)
{
  return what + ": " + strerror(errno);
}

// Null descriptor, with the reason. Others could put files into a folder that
// they can write to.
FileDescriptor
OpenFolder(const std::string& path, std::string* error)
{
  if (path.empty() || path[0] != '/') {
    *error = path + " is not an absolute path";
    return FileDescriptor();
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    *error = Because(path + " cannot be created");
    return FileDescriptor();
  }
  FileDescriptor folder(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!folder.IsOpen() || fstat(folder.Get(), &status) != 0) {
    *error = Because(path + " cannot be opened");
    return FileDescriptor();
  }
  if (!IsPrivate(status)) {
    *error = path + (status.st_uid != geteuid()
                         ? " belongs to another user"
                         : " is writable by others; run chmod go-w on it");
    return FileDescriptor();
  }
  return folder;
}

// Keeps others from joining meanwhile. A lock of the open file, which ends with
// this object; a process that is stopped with it is not waited for.
class JoinLock {
 public:
  explicit JoinLock(int fd) : fd_(fd)
  {
    const int64_t until_ns = NowNs() + kLockPatienceNs;
    while (!(locked_ = flock(fd_, LOCK_EX | LOCK_NB) == 0) &&
           NowNs() < until_ns) {
      SleepNs(kLockPauseNs);
    }
  }
  ~JoinLock() { flock(fd_, LOCK_UN); }
  JoinLock(const JoinLock&) = delete;
  JoinLock& operator=(const JoinLock&) = delete;

  bool Locked() const { return locked_; }

 private:
  const int fd_;
  bool locked_ = false;
};

// Makes the file what this version understands, or says why it is not. Under
// the lock.
bool
Prepare(int fd, std::string* error)
{
  struct {
    uint64_t magic;
    uint32_t version;
    uint32_t size;
  } header = {};
  static_assert(sizeof(header) <= offsetof(Header, used), "its beginning");
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
      !IsPrivate(status)) {
    *error = "is not a file that only this user can write to";
    return false;
  }
  const bool whole = status.st_size == static_cast<off_t>(sizeof(Layout)) &&
                     pread(fd, &header, sizeof(header), 0) ==
                         static_cast<ssize_t>(sizeof(header));
  if (whole && header.magic == kMagic && header.version == kLayoutVersion &&
      header.size == sizeof(Layout)) {
    return true;
  }
  // Not what it should be. As long as somebody works with it, it is theirs.
  struct flock all = SlotByte(0, F_WRLCK);
  all.l_start = 0;
  all.l_len = 0;
  if (fcntl(fd, F_GETLK, &all) != 0 || all.l_type != F_UNLCK) {
    *error = whole && header.magic == kMagic
                 ? "is in use by processes with version " +
                       std::to_string(header.version) +
                       " of the layout; this one has version " +
                       std::to_string(kLayoutVersion)
                 : "is damaged, and in use; end the processes that use it";
    return false;
  }
  header = {kMagic, kLayoutVersion, sizeof(Layout)};
  // Allocated, so that a full disk is noticed here and not as a SIGBUS.
  if (ftruncate(fd, 0) != 0 || posix_fallocate(fd, 0, sizeof(Layout)) != 0 ||
      pwrite(fd, &header, sizeof(header), 0) !=
          static_cast<ssize_t>(sizeof(header))) {
    *error = "cannot be written";
    return false;
  }
  return true;
}

int
TakeSlot(int fd)
{
  for (int slot = 0; slot < kSlots; ++slot) {
    struct flock lock = SlotByte(slot, F_WRLCK);
    if (fcntl(fd, F_SETLK, &lock) == 0) {
      return slot;
    }
  }
  return -1;
}

}  // namespace

Region::Region(int fd, Layout* shared, int own, std::string path)
    : fd_(fd), shared_(shared), own_(own), path_(std::move(path))
{
}

Region*
Region::Join(
    const std::string& folder_path, const std::string& device,
    std::string* error)
{
  const FileDescriptor folder = OpenFolder(folder_path, error);
  if (!folder.IsOpen()) {
    return nullptr;
  }
  const std::string path = folder_path + "/" + device;
  const JoinLock lock(folder.Get());
  if (!lock.Locked()) {
    *error = folder_path + " is locked by another process";
    return nullptr;
  }
  FileDescriptor file(openat(
      folder.Get(), device.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
      0600));
  if (!file.IsOpen()) {
    *error = Because(path + " cannot be opened");
    return nullptr;
  }
  std::string reason;
  if (!Prepare(file.Get(), &reason)) {
    *error = path + " " + reason;
    return nullptr;
  }
  const int own = TakeSlot(file.Get());
  if (own < 0) {
    *error = path + " has " + std::to_string(kSlots) + " processes already";
    return nullptr;
  }
  void* const memory = mmap(
      nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, file.Get(),
      0);
  if (memory == MAP_FAILED || !CatchBusErrorsIn(static_cast<Layout*>(memory))) {
    *error = path + " cannot be mapped";
    return nullptr;
  }
  // Never closed: see the class.
  return new Region(file.Release(), static_cast<Layout*>(memory), own, path);
}

bool
Region::IsTaken(int slot) const
{
  return IsLocked(fd_, slot);
}

bool
Region::IsIntact() const
{
  struct stat file;
  struct stat found;
  return fstat(fd_, &file) == 0 &&
         file.st_size == static_cast<off_t>(sizeof(Layout)) &&
         stat(path_.c_str(), &found) == 0 && found.st_ino == file.st_ino &&
         found.st_dev == file.st_dev && shared_->header.magic == kMagic &&
         shared_->header.version == kLayoutVersion;
}

void
Region::Leave()
{
  MapNothingAt(shared_);
}

}}  // namespace xsched::domain
