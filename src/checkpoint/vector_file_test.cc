#include "checkpoint/vector_file.h"

#include <gtest/gtest.h>

#include "checkpoint/testing_files.h"

namespace scant {
namespace {

TEST(VectorFile, ReadsBackWhatItWrote) {
  const std::string path = fresh_folder("vectors") + "/scant.safetensors";
  const NamedVectors vectors = {{"a.input_maxima", {1.5f, 0.0f, 3e-20f}}, {"b", {}}, {"c", {2}}};
  write_vectors(path, vectors);
  EXPECT_EQ(read_vectors(path), vectors);
}

TEST(VectorFile, RefusesWhatIsNoVector) {
  const std::string path = fresh_folder("no_vectors") + "/scant.safetensors";
  for (const char* header : {R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})",
                             R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})",
                             R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "{"}) {
    put(path, safetensors_bytes(header, "12345678"));
    EXPECT_THROW(read_vectors(path), Error) << header;
  }
}

}  // namespace
}  // namespace scant
