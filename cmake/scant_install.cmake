# `cmake --install` and find_package(scant): the target scant::scant is the whole library.
include(CMakePackageConfigHelpers)
get_property(modules GLOBAL PROPERTY SCANT_MODULES)
list(REMOVE_ITEM modules scant_cli)

add_library(scant_library INTERFACE)
target_link_libraries(scant_library INTERFACE ${modules})
set_target_properties(scant_library PROPERTIES EXPORT_NAME scant)
add_library(scant::scant ALIAS scant_library)

install(TARGETS scant RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS scant_library scant_options scant_openblas ${modules} EXPORT scant_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT scant_targets NAMESPACE scant:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/scant)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/scant
  FILES_MATCHING PATTERN "*.h" PATTERN "cli" EXCLUDE)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/scant-config.cmake.in
  ${PROJECT_BINARY_DIR}/scant-config.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/scant)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/scant-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/scant-config.cmake ${PROJECT_BINARY_DIR}/scant-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/scant)
