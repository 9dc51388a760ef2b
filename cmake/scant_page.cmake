# The report page is put together once, at build time, and becomes a string of the program:
# src/report/page/ (HTML, CSS and the scripts in this order) and Chart.js from the system.
# As a script (cmake -P) this file writes the C++ source; included, it makes the rule for it.
set(SCANT_PAGE_SCRIPTS format study theme section marks filters summary costs scatters depth tensors
  sensitivity comparison main)

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${FOLDER}/page.html" page)
  file(READ "${FOLDER}/page.css" style)
  file(READ "${CHART}" chart)
  set(script "")
  foreach(name ${SCANT_PAGE_SCRIPTS})
    file(READ "${FOLDER}/${name}.js" part)
    string(APPEND script "${part}\n")
  endforeach()
  string(REPLACE "{{style}}" "${style}" page "${page}")
  string(REPLACE "{{script}}" "(() => {\n\"use strict\";\n${script}})();" page "${page}")
  string(REPLACE "{{chart}}" "${chart}" page "${page}")
  string(FIND "${page}" ")scant_page\"" delimiter)
  if(NOT delimiter EQUAL -1)
    message(FATAL_ERROR "${FOLDER}: holds the end of the raw string that it is put in")
  endif()
  file(WRITE "${OUTPUT}" "#include \"report/page_template.h\"\n\nnamespace scant {\n"
    "const std::string_view kPageTemplate = R\"scant_page(${page})scant_page\";\n}  // namespace scant\n")
  return()
endif()

# scant_page(TARGET): adds the page's source to a library.
function(scant_page target)
  find_file(SCANT_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist)
  if(NOT SCANT_CHART_JS)
    message(FATAL_ERROR "Chart.js 3 was not found (chart.min.js; Debian and Ubuntu: libjs-chart.js). "
      "Run `make deps` or set SCANT_CHART_JS to the file.")
  endif()
  file(STRINGS "${SCANT_CHART_JS}" banner LIMIT_COUNT 3 REGEX "Chart.js v3\\.")
  if(NOT banner)
    message(FATAL_ERROR "${SCANT_CHART_JS}: not Chart.js 3, which the report page is written for")
  endif()
  set(folder ${PROJECT_SOURCE_DIR}/src/report/page)
  set(output ${PROJECT_BINARY_DIR}/generated/page_template.cc)
  list(TRANSFORM SCANT_PAGE_SCRIPTS REPLACE "(.+)" "${folder}/\\1.js" OUTPUT_VARIABLE scripts)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DCHART=${SCANT_CHART_JS} -DOUTPUT=${output}
      -P ${PROJECT_SOURCE_DIR}/cmake/scant_page.cmake
    DEPENDS ${folder}/page.html ${folder}/page.css ${scripts} ${SCANT_CHART_JS}
      ${PROJECT_SOURCE_DIR}/cmake/scant_page.cmake
    COMMENT "Putting the report page together" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
