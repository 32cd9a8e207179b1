// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Which library the shim takes for the driver: the one that the dynamic loader
// would take without the shim. Each case is a process of its own, because the
// driver is found once.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "built_files.h"
#include "cuda/loader_search.h"
#include "run_command.h"

namespace {

namespace fs = std::filesystem;

class DriverSearchTest : public testing::Test {
 protected:
  void SetUp() override
  {
    std::string folder = (fs::temp_directory_path() / "xsched-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }

  void TearDown() override { fs::remove_all(folder_); }

  // A folder for LD_LIBRARY_PATH, with libcuda.so.1 in it.
  std::string FolderWith(const std::string& name)
  {
    fs::create_directories(folder_ / name);
    return (folder_ / name).string();
  }
  std::string FolderWithCopy(
      const std::string& name, const std::string& library)
  {
    const std::string folder = FolderWith(name);
    fs::copy_file(library, folder + "/libcuda.so.1");
    return folder;
  }
  std::string FolderWithLink(
      const std::string& name, const std::string& library)
  {
    const std::string folder = FolderWith(name);
    fs::create_symlink(library, folder + "/libcuda.so.1");
    return folder;
  }
  std::string FolderWithText(const std::string& name)
  {
    const std::string folder = FolderWith(name);
    std::ofstream(folder + "/libcuda.so.1") << "not a library\n";
    return folder;
  }

  // Runs the probe with these settings; its standard output and error.
  static std::string Probe(const std::string& cuda_lib, const std::string& path)
  {
    return RunCommand(
        "XSCHED_CUDA_LIB='" + cuda_lib + "' LD_LIBRARY_PATH='" + path + "' " +
        ProbeCommand());
  }

  static void ExpectDriver(
      const std::string& output, const std::string& library)
  {
    EXPECT_EQ(CountIn(output, "driver " + library + ","), 1) << output;
    EXPECT_EQ(CountIn(output, "cuInit 0, devices 2"), 1) << output;
    EXPECT_EQ(CountIn(output, "ERROR"), 0) << output;
  }

  // One line says why, and whatever is called says so, too.
  static void ExpectNone(const std::string& output, const std::string& why)
  {
    EXPECT_EQ(CountIn(output, "ERROR"), 1) << output;
    EXPECT_EQ(CountIn(output, why), 1) << output;
    EXPECT_EQ(CountIn(output, "WARN"), 0) << output;
    EXPECT_EQ(CountIn(output, "cuInit 500, every call failed"), 1) << output;
  }

  fs::path folder_;
};

TEST_F(DriverSearchTest, EarlierFoldersComeFirst)
{
  const std::string compat = FolderWithCopy("compat", kSimulatedDriver);
  const std::string host = FolderWithCopy("host", kSimulatedDriver);
  ExpectDriver(Probe("", compat + ":" + host), compat + "/libcuda.so.1");
  ExpectDriver(Probe("", host + ":" + compat), host + "/libcuda.so.1");
  ExpectDriver(
      Probe("", "/nonexistent::" + host + ";" + compat),
      host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, ItselfIsNotTheDriver)
{
  const std::string link = FolderWithLink("link", kShim);
  const std::string copy = FolderWithCopy("copy", kShim);
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ExpectDriver(
      Probe("", link + ":" + copy + ":" + host), host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, FilesThatAreNoLibraryArePassedOver)
{
  const std::string text = FolderWithText("text");
  const std::string other = FolderWithLink("other", kOtherLibrary);
  const std::string dangling = FolderWithLink("dangling", "/nonexistent");
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ExpectDriver(
      Probe("", text + ":" + other + ":" + dangling + ":" + host),
      host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, GivenLibraryComesBeforeAllFolders)
{
  const std::string given = FolderWithCopy("given", kSimulatedDriver);
  const std::string host = FolderWithCopy("host", kSimulatedDriver);
  ExpectDriver(Probe(given + "/libcuda.so.1", host), given + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, GivenLibraryThatIsWrong)
{
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ExpectNone(
      Probe("/nonexistent/libcuda.so.1", host),
      "XSCHED_CUDA_LIB=/nonexistent/libcuda.so.1 is not the CUDA driver's "
      "library: there is no such file");
  const std::string text = FolderWithText("text") + "/libcuda.so.1";
  ExpectNone(
      Probe(text, host), "XSCHED_CUDA_LIB=" + text +
                             " is not the CUDA driver's library: " + text +
                             ": ");
  ExpectNone(Probe(kOtherLibrary, host), "it has no cuInit");
  const std::string copy = FolderWithCopy("copy", kShim) + "/libcuda.so.1";
  ExpectNone(Probe(copy, host), "it is this package's own stand-in");
}

TEST_F(DriverSearchTest, SeveralShimsAreAllPassedOver)
{
  const std::string first = FolderWithLink("first", kShim);
  const std::string second = FolderWithCopy("second", kShim);
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ExpectDriver(
      Probe("", first + ":" + second + ":" + first + ":" + host),
      host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, RelativeFoldersAreThoseOfTheWorkingDirectory)
{
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  for (const char* path : {"host", "./host", "/nonexistent:host"}) {
    const std::string output = RunCommand(
        "cd '" + folder_.string() + "' && XSCHED_CUDA_LIB= " +
        "LD_LIBRARY_PATH='" + path + "' " + ProbeCommand());
    EXPECT_EQ(CountIn(output, "driver " + folder_.string() + "/"), 1) << output;
    EXPECT_EQ(CountIn(output, "host/libcuda.so.1,"), 1) << output;
    EXPECT_EQ(CountIn(output, "cuInit 0, devices 2"), 1) << output;
  }
  // An empty entry is the working directory itself.
  ExpectDriver(
      RunCommand(
          "cd '" + host +
          "' && XSCHED_CUDA_LIB= LD_LIBRARY_PATH=/x: " + ProbeCommand()),
      host + "/libcuda.so.1");
}

// NVIDIA's entrypoint makes compat/lib a link to lib.real if the image's
// driver fits the host, and leaves it out if not. The image's LD_LIBRARY_PATH
// names compat/lib in both cases.
TEST_F(DriverSearchTest, CompatibilityLibrariesCountIfTheyAreChosen)
{
  const std::string real = FolderWithCopy("compat/lib.real", kSimulatedDriver);
  const std::string host = FolderWithCopy("host", kSimulatedDriver);
  const std::string compat = (folder_ / "compat/lib").string();
  ExpectDriver(Probe("", compat + ":" + host), host + "/libcuda.so.1");
  fs::create_directory_symlink("lib.real", compat);
  ExpectDriver(Probe("", compat + ":" + host), compat + "/libcuda.so.1");
  fs::remove(compat);
  // Where that folder is read-only it puts lib.real itself on the path.
  ExpectDriver(
      Probe("", real + ":" + compat + ":" + host), real + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, LibrariesOfOtherArchitecturesArePassedOver)
{
  const std::string narrow = FolderWithCopy("narrow", kSimulatedDriver);
  {
    // A library of 32 bits is one of another class, for another machine.
    std::fstream file(
        narrow + "/libcuda.so.1",
        std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(4).put(1);
    file.seekp(18).put(3);
  }
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ExpectDriver(Probe("", narrow + ":" + host), host + "/libcuda.so.1");
}

// --- arrangements of a whole file system -----------------------------------

// Each in a mount namespace of its own, for which one must be root, or may be
// root in a namespace of users.
class ArrangementTest : public DriverSearchTest {
 protected:
  void SetUp() override
  {
    DriverSearchTest::SetUp();
    namespaces_ =
        geteuid() == 0 ? "unshare --mount" : "unshare --map-root-user --mount";
    if (system((namespaces_ + " true >/dev/null 2>&1").c_str()) != 0) {
      GTEST_SKIP() << "this machine allows no mount namespaces";
    }
    // What a container has besides: a rejected driver of the image's.
    Arrange(
        "mount -t tmpfs none /usr/local\n"
        "mkdir -p /usr/local/cuda/compat/lib.real /usr/local/nvidia/lib64\n"
        "cp '" +
        std::string(kSimulatedDriver) +
        "' /usr/local/cuda/compat/lib.real/libcuda.so.1\n");
  }

  void Arrange(const std::string& script) { script_ += script; }

  // What the container toolkit does with the driver that it mounts: ldconfig.
  std::string CacheDriver(const std::string& format)
  {
    const std::string folder = FolderWithCopy("mounted", kInstalledDriver);
    std::ofstream(folder_ / "ld.so.conf") << folder << "\n";
    const std::string cache = (folder_ / "ld.so.cache").string();
    EXPECT_EQ(
        system(("PATH=$PATH:/sbin:/usr/sbin ldconfig -X -c " + format +
                " -C '" + cache + "' -f '" + (folder_ / "ld.so.conf").string() +
                "'")
                   .c_str()),
        0);
    Arrange("mount --bind '" + cache + "' /etc/ld.so.cache\n");
    return folder;
  }

  std::string ProbeThere(const std::string& path)
  {
    std::ofstream(folder_ / "arrange.sh")
        << "set -e\n"
        << script_ << "exec env XSCHED_CUDA_LIB= "
        << "LD_LIBRARY_PATH='" << path << "' " << ProbeCommand() << "\n";
    return RunCommand(
        namespaces_ + " sh '" + (folder_ / "arrange.sh").string() + "'");
  }

  // What the loader itself takes, with the shim's folder off the path.
  std::string LoaderChoice(const std::string& path)
  {
    std::ofstream(folder_ / "trace.sh")
        << "set -e\n"
        << script_ << "LD_LIBRARY_PATH='" << path
        << "' LD_PRELOAD=libcuda.so.1 LD_TRACE_LOADED_OBJECTS=1 /bin/sleep 0 |"
        << " sed -n 's/.*libcuda.so.1 => \\(.*\\) (.*/\\1/p'\n";
    std::string output = RunCommand(
        namespaces_ + " sh '" + (folder_ / "trace.sh").string() + "'");
    return output.substr(0, output.find('\n'));
  }

  std::string namespaces_;
  std::string script_;
};

TEST_F(ArrangementTest, MountedDriverInTheLoadersCache)
{
  for (const char* format : {"new", "compat"}) {
    const std::string mounted = CacheDriver(format) + "/libcuda.so.1";
    const std::string shim = FolderWithLink("shim", kShim);
    ASSERT_EQ(LoaderChoice("/usr/local/cuda/compat/lib"), mounted);
    ExpectDriver(ProbeThere(shim + ":/usr/local/cuda/compat/lib"), mounted);
    fs::remove_all(folder_ / "mounted");
    fs::remove_all(folder_ / "shim");
  }
}

TEST_F(ArrangementTest, SearchPathComesBeforeTheCache)
{
  const std::string mounted = CacheDriver("new") + "/libcuda.so.1";
  const std::string host = FolderWithLink("host", kSimulatedDriver);
  ASSERT_EQ(LoaderChoice(host), host + "/libcuda.so.1");
  ExpectDriver(ProbeThere(host), host + "/libcuda.so.1");
  ASSERT_EQ(LoaderChoice(""), mounted);
  ExpectDriver(ProbeThere(""), mounted);
}

TEST_F(ArrangementTest, CompatibilityLibraryThatIsChosen)
{
  CacheDriver("new");
  Arrange("ln -s lib.real /usr/local/cuda/compat/lib\n");
  const std::string compat = "/usr/local/cuda/compat/lib";
  ASSERT_EQ(LoaderChoice(compat), compat + "/libcuda.so.1");
  ExpectDriver(ProbeThere(compat), compat + "/libcuda.so.1");
}

TEST_F(ArrangementTest, DriverThatNothingLeadsTo)
{
  Arrange(
      "cp '" + std::string(kSimulatedDriver) +
      "' /usr/local/nvidia/lib64/libcuda.so.1\n");
  ExpectDriver(ProbeThere(""), "/usr/local/nvidia/lib64/libcuda.so.1");
}

TEST_F(ArrangementTest, RejectedCompatibilityLibraryIsNoDriver)
{
  ExpectNone(
      ProbeThere("/usr/local/cuda/compat/lib"),
      "no libcuda.so.1 but this package's own was found");
}

// --- the loader's cache ----------------------------------------------------

TEST(LoaderCacheTest, KnowsWhatTheLoaderKnows)
{
  // Of this machine: what ldconfig says about the C library.
  const std::string found = xsched::FindInLoaderCache("libc.so.6");
  EXPECT_TRUE(fs::exists(found)) << found;
  EXPECT_EQ(fs::path(found).filename(), "libc.so.6");
  EXPECT_EQ(xsched::FindInLoaderCache("libnonexistent.so.1"), "");
}

TEST(LoaderCacheTest, ComesBeforeTheSystemsFolders)
{
  const std::string cached = xsched::FindInLoaderCache("libc.so.6");
  const std::vector<std::string> files = xsched::LoaderSearch("libc.so.6");
  const auto place = std::find(files.begin(), files.end(), cached);
  ASSERT_NE(place, files.end());
  // Without LD_LIBRARY_PATH, nothing but those folders comes after it.
  EXPECT_LT(place, files.end() - 1);
  for (auto file = place + 1; file != files.end(); ++file) {
    EXPECT_TRUE(file->rfind("/lib", 0) == 0 || file->rfind("/usr/lib", 0) == 0)
        << *file;
  }
}

TEST(LoaderCacheTest, IsNotTrustedBlindly)
{
  std::ifstream stream(xsched::kLoaderCache, std::ios::binary);
  const std::string whole(
      (std::istreambuf_iterator<char>(stream)),
      std::istreambuf_iterator<char>());
  const std::string file = testing::TempDir() + "cut.cache";
  // Cut off anywhere, it is read to its end and no further.
  for (size_t size = 0; size < whole.size(); size += 997) {
    std::ofstream(file, std::ios::binary) << whole.substr(0, size);
    const std::string found =
        xsched::FindInLoaderCache("libc.so.6", file.c_str());
    EXPECT_TRUE(found.empty() || fs::exists(found)) << found;
  }
  std::ofstream(file, std::ios::binary) << std::string(4096, '\xFF');
  EXPECT_EQ(xsched::FindInLoaderCache("libc.so.6", file.c_str()), "");
  EXPECT_EQ(xsched::FindInLoaderCache("libc.so.6", "/nonexistent"), "");
  fs::remove(file);
}

}  // namespace

int
main(int argc, char** argv)
{
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
