#pragma once

#include <string>
#include <string_view>

namespace scant {

/// A self-contained HTML page that draws a study (docs/guide/interplay-json.md) and asks no network
/// for anything. The JSON is the page's only data, put into it as it is except that "<" within a
/// string becomes "\u003c" and "</" becomes "<\/". `where` names the study in errors: throws Error
/// if `study_json` is not JSON, not a study, of a newer version, or lacks a part the page is made
/// of.
std::string study_page(std::string_view study_json, const std::string& where = "study");

/// The same for two studies, whose cells are matched by name.
std::string comparison_page(std::string_view a_json, std::string_view b_json,
                            const std::string& a_where = "first study",
                            const std::string& b_where = "second study");

}  // namespace scant
