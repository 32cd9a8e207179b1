// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Which library the shim takes for the driver. Each case is a process of its
// own, because the driver is found once.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;

class DriverSearchTest : public testing::Test {
 protected:
  void
  SetUp() override
  {
    std::string folder = (fs::temp_directory_path() / "xsched-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }

  void TearDown() override { fs::remove_all(folder_); }

  // A folder for LD_LIBRARY_PATH, with libcuda.so.1 in it.
  std::string
  FolderWith(const std::string& name)
  {
    fs::create_directories(folder_ / name);
    return (folder_ / name).string();
  }
  std::string
  FolderWithCopy(const std::string& name, const std::string& library)
  {
    const std::string folder = FolderWith(name);
    fs::copy_file(library, folder + "/libcuda.so.1");
    return folder;
  }
  std::string
  FolderWithLink(const std::string& name, const std::string& library)
  {
    const std::string folder = FolderWith(name);
    fs::create_symlink(library, folder + "/libcuda.so.1");
    return folder;
  }
  std::string
  FolderWithText(const std::string& name)
  {
    const std::string folder = FolderWith(name);
    std::ofstream(folder + "/libcuda.so.1") << "not a library\n";
    return folder;
  }

  // Runs the probe with these settings; its standard output and error.
  static std::string
  Probe(const std::string& cuda_lib, const std::string& path)
  {
    const std::string command = "XSCHED_CUDA_LIB='" + cuda_lib +
                                "' LD_LIBRARY_PATH='" + path +
                                "' " DRIVER_PROBE " " SHIM " " SYMBOLS " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    char buffer[4096];
    size_t length = 0;
    while ((length = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
      output.append(buffer, length);
    }
    EXPECT_EQ(pclose(pipe), 0) << output;
    return output;
  }

  static int
  Count(const std::string& text, const std::string& part)
  {
    int count = 0;
    for (size_t at = text.find(part); at != std::string::npos;
         at = text.find(part, at + 1)) {
      ++count;
    }
    return count;
  }

  static void
  ExpectDriver(const std::string& output, const std::string& library)
  {
    EXPECT_EQ(Count(output, "driver " + library + ","), 1) << output;
    EXPECT_EQ(Count(output, "cuInit 0, devices 2"), 1) << output;
    EXPECT_EQ(Count(output, "ERROR"), 0) << output;
  }

  // One line says why, and whatever is called says so, too.
  static void
  ExpectNone(const std::string& output, const std::string& why)
  {
    EXPECT_EQ(Count(output, "ERROR"), 1) << output;
    EXPECT_EQ(Count(output, why), 1) << output;
    EXPECT_EQ(Count(output, "WARN"), 0) << output;
    EXPECT_EQ(Count(output, "cuInit 500, every call failed"), 1) << output;
  }

  fs::path folder_;
};

TEST_F(DriverSearchTest, EarlierFoldersComeFirst)
{
  const std::string compat = FolderWithCopy("compat", SIMULATED_DRIVER);
  const std::string host = FolderWithCopy("host", SIMULATED_DRIVER);
  ExpectDriver(Probe("", compat + ":" + host), compat + "/libcuda.so.1");
  ExpectDriver(Probe("", host + ":" + compat), host + "/libcuda.so.1");
  ExpectDriver(
      Probe("", "/nonexistent::" + host + ";" + compat),
      host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, ItselfIsNotTheDriver)
{
  const std::string link = FolderWithLink("link", SHIM);
  const std::string copy = FolderWithCopy("copy", SHIM);
  const std::string host = FolderWithLink("host", SIMULATED_DRIVER);
  ExpectDriver(
      Probe("", link + ":" + copy + ":" + host), host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, FilesThatAreNoLibraryArePassedOver)
{
  const std::string text = FolderWithText("text");
  const std::string other = FolderWithLink("other", OTHER_LIBRARY);
  const std::string dangling = FolderWithLink("dangling", "/nonexistent");
  const std::string host = FolderWithLink("host", SIMULATED_DRIVER);
  ExpectDriver(
      Probe("", text + ":" + other + ":" + dangling + ":" + host),
      host + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, GivenLibraryComesBeforeAllFolders)
{
  const std::string given = FolderWithCopy("given", SIMULATED_DRIVER);
  const std::string host = FolderWithCopy("host", SIMULATED_DRIVER);
  ExpectDriver(
      Probe(given + "/libcuda.so.1", host), given + "/libcuda.so.1");
}

TEST_F(DriverSearchTest, GivenLibraryThatIsWrong)
{
  const std::string host = FolderWithLink("host", SIMULATED_DRIVER);
  ExpectNone(
      Probe("/nonexistent/libcuda.so.1", host),
      "XSCHED_CUDA_LIB=/nonexistent/libcuda.so.1 is not the CUDA driver's "
      "library: there is no such file");
  const std::string text = FolderWithText("text") + "/libcuda.so.1";
  ExpectNone(
      Probe(text, host),
      "XSCHED_CUDA_LIB=" + text + " is not the CUDA driver's library: " +
          text + ": ");
  ExpectNone(Probe(OTHER_LIBRARY, host), "it has no cuInit");
  const std::string copy = FolderWithCopy("copy", SHIM) + "/libcuda.so.1";
  ExpectNone(Probe(copy, host), "it is this package's own stand-in");
}

}  // namespace

int
main(int argc, char** argv)
{
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
