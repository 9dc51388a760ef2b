# `cmake --install` and find_package(scant).
include(CMakePackageConfigHelpers)
get_property(modules GLOBAL PROPERTY SCANT_MODULES)
