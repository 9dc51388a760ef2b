# Language level, warnings, sanitizers and the instruction-set flags of single files.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(scant_options INTERFACE)
# Contraction into FMA would make an ISA's codes differ from the reference's.
target_compile_options(scant_options INTERFACE -ffp-contract=off)
# Only for what is built here: a user of the installed library keeps its own warnings.
add_library(scant_warnings INTERFACE)
target_compile_options(scant_warnings INTERFACE -Wall -Wextra -Wnon-virtual-dtor
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow>  # clang's also flags fields that a static function cannot see
  $<$<BOOL:${SCANT_WERROR}>:-Werror>)
# At -O3 GCC 12 warns falsely of string concatenations and variants (GCC bugs 105651 and 105562).
target_compile_options(scant_warnings INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict;-Wno-maybe-uninitialized>)
if(SCANT_FUZZ)  # coverage feedback in the libraries, the driver only in the targets
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(SCANT_SANITIZE)
  string(REPLACE ";" "," _sanitizers "${SCANT_SANITIZE}")
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${_sanitizers})
endif()

# An ISA file's stem names its target; nothing else in the build may use these flags.
function(scant_isa_flags)
  foreach(file ${ARGN})
    get_filename_component(stem ${file} NAME_WE)
    if(stem STREQUAL "x86_avx2")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c;-mbmi2")
    elseif(stem STREQUAL "x86_avx512" OR stem STREQUAL "x86_avx512vnni")
      set(vnni "")
      if(stem STREQUAL "x86_avx512vnni")
        set(vnni "-mavx512vnni;-mavx512vbmi;-mavx512vbmi2;")
      endif()
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
        "${vnni}-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512cd;-mavx2;-mfma;-mf16c;-mbmi2")
      # GCC 12 warns of its own avx512fintrin.h (bug 105593).
      set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS
        "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>")
    endif()
  endforeach()
endfunction()
