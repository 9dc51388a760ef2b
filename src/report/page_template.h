#pragma once

#include <string_view>

namespace scant {

/// The whole report page with its styles, scripts and chart library, made by cmake/scant_page.cmake
/// from src/report/page/. {{title}}, {{study}} and {{other}} stand where study_page() puts its
/// data.
extern const std::string_view kPageTemplate;

}  // namespace scant
