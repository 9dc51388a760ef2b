#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// The house plan of docs/architecture.md, checked on the text of src/: layers that are only
// written down invert themselves.
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

constexpr size_t kLineLimit = 450;

// Every module, and the modules that it may include besides itself.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"core", {}},
    {"formats", {"core"}},
    {"ops", {"core", "formats"}},
    {"methods", {"core", "formats", "ops"}},
    {"kernels", {"core", "formats", "ops"}},
    {"checkpoint", {"core", "formats"}},
    {"models", {"core", "formats", "ops", "kernels", "checkpoint"}},
    {"evaluate", {"core", "formats", "ops", "kernels", "checkpoint", "models"}},
    {"compress",
     {"core", "formats", "ops", "kernels", "checkpoint", "models", "evaluate", "methods"}},
    {"report", {"core", "formats", "evaluate", "compress"}},
    {"cli",
     {"core", "formats", "ops", "kernels", "checkpoint", "models", "evaluate", "methods",
      "compress", "report"}},
};

// What an ISA file may include besides the declarations of its own folder: nothing that defines an
// inline function with external linkage, which the linker could pick for a lesser machine.
const std::set<std::string> kIsaSystemHeaders = {"immintrin.h", "arm_neon.h", "cstddef", "cstdint"};

struct Include {
  std::string path;
  bool system = false;
  int line = 0;
};

struct SourceFile {
  std::string path;    ///< below src/, "ops/quantize/table.cc"
  std::string module;  ///< "ops"
  std::string folder;  ///< "ops/quantize"
  std::string stem;
  std::string code;  ///< without comments and the contents of literals, line breaks kept
  std::vector<Include> includes;
  size_t lines = 0;
};

// Blanks comments and the contents of string and character literals, so that prose may say
// "printf". A quote between digits is a separator (1'000).
std::string blank_prose(std::string_view text) {
  std::string out;
  enum class State { kCode, kLine, kBlock, kString, kChar, kRaw } state = State::kCode;
  std::string raw_end;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\n') {
      if (state == State::kLine) state = State::kCode;
      out += c;
      continue;
    }
    switch (state) {
      case State::kCode:
        if (c == '/' && next == '/') {
          state = State::kLine;
        } else if (c == '/' && next == '*') {
          state = State::kBlock;
          ++i;
        } else if (c == '"' && i > 0 && text[i - 1] == 'R') {
          const size_t open = text.find('(', i);
          raw_end = ")" + std::string(text.substr(i + 1, open - i - 1)) + "\"";
          state = State::kRaw;
        } else if (c == '"') {
          state = State::kString;
        } else if (c == '\'' && !(i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])))) {
          state = State::kChar;
        }
        out += state == State::kCode ? c : ' ';
        break;
      case State::kBlock:
        if (c == '*' && next == '/') {
          state = State::kCode;
          ++i;
        }
        break;
      case State::kString:
      case State::kChar:
        if (c == '\\') {
          ++i;
        } else if (c == (state == State::kString ? '"' : '\'')) {
          state = State::kCode;
        }
        break;
      case State::kRaw:
        if (text.substr(i, raw_end.size()) == raw_end) {
          i += raw_end.size() - 1;
          state = State::kCode;
        }
        break;
      case State::kLine:
        break;
    }
  }
  return out;
}

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  std::istringstream stream(text);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) {
      includes.push_back({match[2], match[1] == "<", number});
    }
  }
  return includes;
}

SourceFile read_source(const fs::path& root, const fs::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  const fs::path relative = fs::relative(path, root);
  SourceFile file;
  file.path = relative.generic_string();
  file.module = relative.begin()->string();
  file.folder = relative.parent_path().generic_string();
  file.stem = relative.stem().string();
  file.code = blank_prose(text.str());
  file.includes = includes_of(text.str());
  file.lines = static_cast<size_t>(std::ranges::count(text.str(), '\n'));
  return file;
}

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> files = [] {
    const fs::path root = fs::path(SCANT_SOURCE_DIR) / "src";
    std::vector<SourceFile> found;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".cc" || extension == ".h" || extension == ".cu") {
        found.push_back(read_source(root, entry.path()));
      }
    }
    std::ranges::sort(found, {}, &SourceFile::path);
    return found;
  }();
  return files;
}

bool is_test(const SourceFile& file) { return file.stem.ends_with("_test"); }
bool is_isa_file(const SourceFile& file) {
  return file.stem.starts_with("x86_") || file.stem.starts_with("arm_");
}

bool lies_in(const std::string& path, const std::string& folder) {
  return fs::path(path).parent_path().generic_string() == folder;
}

// "path:line" of every use of `pattern` in code outside cli.
std::vector<std::string> uses_below_cli(const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> uses;
  for (const SourceFile& file : sources()) {
    if (file.module == "cli" || is_test(file)) continue;
    std::istringstream stream(file.code);
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
      if (std::regex_search(line, regex)) {
        uses.push_back(file.path + ":" + std::to_string(number));
      }
    }
  }
  return uses;
}

TEST(Architecture, EveryFolderOfTheSourcesIsAModuleOfTheTable) {
  for (const SourceFile& file : sources()) {
    EXPECT_TRUE(kMayInclude.contains(file.module)) << file.path;
  }
}

TEST(Architecture, NoTwoModulesMayIncludeEachOther) {
  for (const auto& [module, allowed] : kMayInclude) {
    for (const std::string& other : allowed) {
      ASSERT_TRUE(kMayInclude.contains(other)) << other;
      EXPECT_FALSE(kMayInclude.at(other).contains(module)) << module << " and " << other;
    }
  }
}

TEST(Architecture, IncludesGoTowardsCoreOnly) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : sources()) {
    if (!kMayInclude.contains(file.module)) continue;
    for (const Include& include : file.includes) {
      const std::string target = include.path.substr(0, include.path.find('/'));
      if (include.system || target == file.module) continue;
      if (kMayInclude.at(file.module).contains(target)) continue;
      wrong.push_back(file.path + ":" + std::to_string(include.line) + " includes " + include.path);
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(Architecture, ProjectHeadersAreNamedFromTheSourceRoot) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : sources()) {
    for (const Include& include : file.includes) {
      if (include.system) continue;
      if (!fs::exists(fs::path(SCANT_SOURCE_DIR) / "src" / include.path)) {
        wrong.push_back(file.path + ":" + std::to_string(include.line) + " includes " +
                        include.path);
      }
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(Architecture, NothingBelowCliPrints) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : sources()) {
    if (file.module == "cli" || is_test(file)) continue;
    for (const Include& include : file.includes) {
      if (include.path == "iostream") wrong.push_back(file.path);
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
  EXPECT_THAT(uses_below_cli(R"(\bstd(::cout|::cerr|out\b|err\b))"), IsEmpty());
  EXPECT_THAT(uses_below_cli(R"(\b(printf|vprintf|fprintf|puts|putchar|fmt::print)\s*\()"),
              IsEmpty());
}

TEST(Architecture, NothingBelowCliEndsTheProcess) {
  EXPECT_THAT(uses_below_cli(R"(\b(exit|_exit|_Exit|quick_exit|abort|terminate)\s*\()"), IsEmpty());
}

TEST(Architecture, NothingBelowCliReadsTheEnvironment) {
  EXPECT_THAT(uses_below_cli(R"(\b(getenv|secure_getenv|setenv|environ)\b)"), IsEmpty());
}

TEST(Architecture, SourceFilesStayReadableInLength) {
  for (const SourceFile& file : sources()) EXPECT_LE(file.lines, kLineLimit) << file.path;
}

TEST(Architecture, IsaFilesIncludeOnlyDeclarationsVectorWrappersAndIntrinsics) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : sources()) {
    if (!is_isa_file(file)) continue;
    for (const Include& include : file.includes) {
      const bool allowed =
          include.system ? kIsaSystemHeaders.contains(include.path)
                         : lies_in(include.path, file.folder) ||
                               lies_in(include.path, file.module + "/simd");  // vector wrappers
      if (!allowed) {
        wrong.push_back(file.path + ":" + std::to_string(include.line) + " includes " +
                        include.path);
      }
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

// What the checks above rest on.
TEST(Architecture, ProseAndLiteralsAreNoCode) {
  EXPECT_EQ(blank_prose("a; // printf(\nb;"), "a;  \nb;");
  EXPECT_EQ(blank_prose("a /* exit( */ b"), "a   b");
  EXPECT_THAT(blank_prose(R"(f("exit(\"", 'e', 1'000);)"),
              testing::Not(testing::HasSubstr("exit")));
  EXPECT_THAT(blank_prose(R"(f("x"); exit(1);)"), testing::HasSubstr("exit(1)"));
  EXPECT_THAT(blank_prose("R\"(getenv)\" getenv"), testing::HasSubstr("getenv"));
  EXPECT_THAT(blank_prose("g(R\"(getenv)\");"), testing::Not(testing::HasSubstr("getenv")));
}

}  // namespace
