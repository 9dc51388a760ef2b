#include "cli/study_files.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/atomic_write.h"
#include "core/error.h"
#include "report/study_csv.h"
#include "report/study_json.h"
#include "report/study_page.h"

namespace scant {

void prepare_study_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(folder, "cannot be created: " + error.message());
}

void write_study(const std::string& folder, const Study& study, const StudyAnalysis& analysis,
                 const std::vector<Advice>& advice) {
  const std::string json = study_json(study, analysis, advice);
  write_file_atomic(folder + "/interplay.json", json);
  const std::string where = folder + "/interplay.json";
  for (const CsvFile& table : study_csv(nlohmann::json::parse(json), where)) {
    write_file_atomic(folder + "/" + table.name, table.content);
  }
  write_file_atomic(folder + "/report.html", study_page(json, where));
}

}  // namespace scant
