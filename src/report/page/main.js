// The page begins here.

function draw_comparison(a, b) {
  comparison_header(a, b);
  filter_bar([a, b]);
  comparison_scatter(a, b);
  comparison_table(a, b);
}

function draw_study(study) {
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

read_colours();
set_chart_defaults();
register_marks();
try {
  const study = read_study("study");
  const other = read_study("other");
  if (other) draw_comparison(study, other);
  else draw_study(study);
  set_up_tips();
  document.getElementById("footer").append(el("p", {}, `Made by scant ${study.scant}. This page holds all its figures and ` +
    "asks no network for anything. Charts: Chart.js 3.9.1, © 2022 Chart.js Contributors, MIT License."));
  changed();
} catch (error) {
  document.getElementById("main").prepend(el("p", {class: "notice"},
    `This study cannot be drawn in full: its interplay.json is not what the page expects (${error.message}).`));
  throw error;
}
