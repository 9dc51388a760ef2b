# scant_protobuf(TARGET FILE.proto): adds the code that protoc makes of a schema to a library, whose sources (and tests)
# then include <FILE.pb.h>.
find_program(SCANT_PROTOC protoc)
if(NOT SCANT_PROTOC)
  message(FATAL_ERROR "protoc was not found (Debian and Ubuntu: protobuf-compiler). Run `make deps` or set SCANT_PROTOC.")
endif()

function(scant_protobuf target proto)
  get_filename_component(name ${proto} NAME_WE)
  get_filename_component(folder ${PROJECT_SOURCE_DIR}/${proto} DIRECTORY)
  set(generated ${PROJECT_BINARY_DIR}/generated/protobuf)
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(OUTPUT ${generated}/${name}.pb.cc ${generated}/${name}.pb.h
    COMMAND ${SCANT_PROTOC} --proto_path=${folder} --cpp_out=${generated} ${name}.proto
    DEPENDS ${PROJECT_SOURCE_DIR}/${proto} VERBATIM)
  # A library of objects, so that warnings and clang-tidy leave generated code alone.
  add_library(${target}_${name} OBJECT ${generated}/${name}.pb.cc)
  target_link_libraries(${target}_${name} PRIVATE PkgConfig::protobuf)
  target_compile_options(${target}_${name} PRIVATE -w)
  set_target_properties(${target}_${name} PROPERTIES CXX_CLANG_TIDY "")
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${name}> ${generated}/${name}.pb.h)
  target_include_directories(${target} SYSTEM PUBLIC $<BUILD_INTERFACE:${generated}>)
endfunction()
