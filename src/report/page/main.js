// The page begins here.

const study = read_study("study");
const other = read_study("other");
read_colours();
set_chart_defaults();
register_marks();
if (other) {
  comparison_header(study, other);
  filter_bar([study, other]);
  comparison_scatter(study, other);
  comparison_table(study, other);
} else {
  study_header(study);
  filter_bar([study]);
  costs_section(study);
  size_section(study);
  if (study.combinations.length) threshold_section(study);
  if (study.cells.some((cell) => cell !== study.dense && cell.growth.length)) growth_section(study);
  layers_section(study);
  picture_section(study);
  theory_section(study);
  sensitivity_section(study);
  made_section(study);
}
set_up_tips();
document.getElementById("footer").append(el("p", {}, `Made by scant ${study.scant}. This page holds all its figures and asks no network for anything. ` +
  "Charts: Chart.js 3.9.1, © 2022 Chart.js Contributors, MIT License."));
changed();
