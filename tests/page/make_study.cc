// Writes FOLDER/NAME/interplay.json for the studies that page_test.py looks at.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "report/testing_study.h"

namespace {

void write(const std::string& folder, const std::string& name, scant::TestingStudy study) {
  study.model = name;
  std::filesystem::create_directories(folder + "/" + name);
  std::ofstream(folder + "/" + name + "/interplay.json") << study.json().dump();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: make_study FOLDER\n";
    return 2;
  }
  const std::string folder = arguments[1];
  write(folder, "typical", {});
  scant::TestingStudy full;
  full.activations = full.extreme = true;
  full.blocks = 12;
  full.seed = 2;
  write(folder, "full", full);
  scant::TestingStudy sparse;
  sparse.patterns = {"2:4"};
  sparse.formats = {"int4"};
  sparse.orders = {"sparsify-first"};
  sparse.blocks = 2;
  sparse.sensitivity = sparse.intervals = false;
  write(folder, "sparse", sparse);
  scant::TestingStudy alone;
  alone.formats = {};
  alone.sensitivity = false;
  write(folder, "alone", alone);
  return 0;
}
