// The top of the page: what was studied and what came out, in short.

function methods_of(study) {
  return study.protocol.methods || "magnitude, rtn; joint: gain_mask (data-free)";
}

function study_header(study) {
  const {model, protocol} = study;
  const header = document.getElementById("top");
  header.append(
    el("div", {class: "mast"}, el("span", {}, "Scant · interplay study"), theme_button()),
    el("h1", {}, "How do sparsity and quantization combine in ", el("span", {class: "names"}, model.name), "?"),
    el("p", {class: "facts"}, `${model.architecture} with ${million(model.parameters)} parameters, ` +
      `${million(model.linear_weights)} of them in the compressed layers. Measured on ${count(protocol.tokens)} tokens of ` +
      `${protocol.text} in ${count(protocol.windows)} windows of ${count(protocol.window)}. ` +
      `Methods: ${methods_of(study)}.`));
  const tally = verdict_tally(study);
  if (!has_interval(study.dense.nll)) {
    header.append(el("p", {class: "notice"}, `${count(protocol.windows)} windows are too few for intervals, so no difference ` +
      "here is known to be more than noise. Measure on more tokens."));
  }
  header.append(el("div", {class: "overview" + (study.advice.length ? "" : " single")},
    study.advice.length ? el("div", {}, el("h2", {}, "In short"), advice_list(study)) : null,
    el("div", {}, el("h2", {}, "At a glance"), tally, words(study.advice.length > 3 && innerWidth > 760))));
}

function advice_list(study) {
  return el("ol", {class: "advice"}, study.advice.map((item) => el("li", {}, item.text,
    item.figures.length ? el("details", {class: "figures"}, el("summary", {}, "its figures"),
      el("ul", {}, advice_figures(item.figures).map((text) => el("li", {}, text)))) : null)));
}

// "x: 1 (0.9 to 1.1)" where "x, low" and "x, high" follow "x".
function advice_figures(figures) {
  const by_label = new Map(figures);
  return figures.filter(([label]) => !/, (low|high)$/.test(label)).map(([label, figure]) => {
    const ends = [by_label.get(label + ", low"), by_label.get(label + ", high")];
    const known = ends.every((x) => x !== undefined && x !== null);
    return `${label}: ${plain(figure)}` + (known ? ` (${plain(ends[0])} to ${plain(ends[1])})` : "");
  });
}

function big_figure(figure, words) {
  return el("div", {class: "tally"}, el("div", {class: "big"}, figure), el("small", {}, words));
}

function verdict_tally(study) {
  const box = el("div", {}, big_figure(number(value_of(study.dense.perplexity)),
    has_interval(study.dense.perplexity) ? "perplexity of the dense model, 95% interval " +
      `${number(study.dense.perplexity[1])} to ${number(study.dense.perplexity[2])}` : "perplexity of the dense model"));
  if (study.combinations.length) {
    const names = ["compounding", "orthogonal", "depends on the scale"];
    const number_of = (name) => study.combinations.filter((c) => c.verdict === name).length;
    box.append(el("div", {class: "tally"},
      el("div", {class: "big"}, `${number_of("compounding")} of ${study.combinations.length}`),
      el("small", {}, "combinations of a pattern, a format and an order lose more than the sum of their parts"),
      el("div", {class: "split", "aria-hidden": "true"}, names.filter(number_of).map((name) =>
        el("i", {style: `flex:${number_of(name)};background:var(--${verdict_class(name)})`}))),
      el("ul", {class: "keys"}, names.map((name) => el("li", {},
        el("span", {class: "swatch", style: `background:var(--${verdict_class(name)})`, "aria-hidden": "true"}),
        `${number_of(name)} ${name}`)))));
  }
  const failed = study.cells.filter((cell) => cell.failure).length;
  box.append(big_figure(String(study.cells.length - failed),
    `models measured, the dense one among them${failed ? `; ${failed} more failed` : ""}`));
  return box;
}

function words(open) {
  const terms = [
    ["Sparsity (S)", "sets small weights to zero: 2:4 keeps two of every four, 50% the larger half of a tensor."],
    ["Quantization (Q)", "stores weights with few bits: int4, or blocks that share a scale (mxfp4, hbfp4)."],
    ["S then Q, Q then S, joint", "prune and quantize what is left; quantize, then prune what has become smallest; or choose both together."],
    ["Perplexity, NLL, KL", "how surprised the model is by the text (perplexity is the exponential of NLL, the loss per token), and how far it strays from the dense model. Lower is better."],
    ["Threshold", "what S and Q would cost together if their losses just added up: the dense model's figure, plus the loss of S alone, plus the loss of Q alone."],
    ["Compounding", "the combination is worse than the threshold, outside the 95% interval, whether one adds perplexities or NLL. Orthogonal: it is not worse in either. Otherwise the verdict depends on the scale."],
  ];
  return el("details", {class: "words", open}, el("summary", {}, "New here? The words of this page in a minute"),
    el("dl", {}, terms.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])));
}

function made_section(study) {
  const {protocol, times} = study;
  const body = section("made", "How was this made?", "The protocol and the time it took, so that you can repeat it.");
  const rows = [
    ["Program", "scant " + study.scant],
    ["Text", `${protocol.text}: ${count(protocol.tokens)} tokens, ${count(protocol.windows)} windows of ${count(protocol.window)}`],
    ["Methods", methods_of(study)],
    ["Calibration", `${protocol.calibration}: ${count(protocol.calibration_tokens)} tokens for the errors of layers; growth on ${count(protocol.growth_tokens)} tokens`],
    ["Intervals", `95%, ${count(protocol.bootstrap_rounds)} bootstrap resamples of the windows with seed ${protocol.seed}; every model with the same draws, so differences are paired`],
    ["Layers", `${count(study.layer_rows.length)} linear layers, ${count(study.model.linear_weights)} weights`],
    ["Time", `${seconds(times.total)}: forward passes ${seconds(times.forward)}, compressing ${seconds(times.compress)}, ` +
      `output head and divergence ${seconds(times.head)}, figures of tensors and layers ${seconds(times.figures)}` +
      (times.reused ? `; ${count(times.reused)} cells were taken from an earlier run` : "")],
  ];
  body.append(el("dl", {class: "made"}, rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])));
  const cells = study.cells;
  const columns = [
    {title: "Model", of: (c) => c.name},
    {title: "Bits per weight", of: (c) => c.bits_per_weight, format: (x) => fixed(x, 3)},
    {title: "Size of the layers", of: (c) => c.bytes, format: bytes},
    {title: "Perplexity", of: (c) => c.perplexity, format: interval},
    {title: "NLL − dense", of: (c) => c.nll_difference, format: (x) => interval(x, (v) => signed(v, 4))},
    {title: "KL", of: (c) => c.kl, format: (x) => interval(x, (v) => fixed(v, 4))},
    {title: "KL, 99th percentile", of: (c) => c.kl_p99, format: (x) => fixed(x, 3)},
    {title: "Same first choice", of: (c) => c.top1_agreement, format: (x) => (x === null ? NONE : fixed(100 * x, 1) + "%")},
    {title: "Failure", of: (c) => c.failure || "", wrap: true},
  ];
  body.append(el("details", {class: "data"}, el("summary", {}, "Every model with its intervals"),
    table_of("Every model of the study", columns, cells)));
}
