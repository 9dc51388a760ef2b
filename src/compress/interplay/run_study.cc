#include "compress/interplay/run_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "compress/interplay/calibrated_cells.h"
#include "compress/interplay/sensitivity.h"
#include "compress/interplay/study_runner.h"
#include "compress/interplay/study_store.h"
#include "compress/interplay/tensor_picture.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "evaluate/perplexity.h"
#include "methods/joint/joint_solver.h"
#include "methods/method_names.h"

namespace scant {

class StudySession::Job {
 public:
  Job(const Model& model, const TextWindows& text, const TextWindows& calibration,
      const StudyOptions& options, const ContentStore& store, Context& context)
      : model_(model),
        text_(text),
        options_(options),
        context_(context),
        runner_(model, text, calibration, study_.times, context),
        store_(store, model, text, calibration, runner_.growth_windows(), options.seed,
               options.methods),
        cells_(study_cells(options.grid)),
        windows_(windows_of(calibration)),
        calibrated_(model, options.methods, windows_, options.seed, store.folder() + "/blocks",
                    context) {
    for (const CellSpec& spec : cells_) {
      if (auto known = store_.find_cell(spec)) found_.emplace(spec.name(), std::move(*known));
    }
    study_.times.reused = static_cast<int64_t>(found_.size());
    study_.input.calibration_tokens = calibration_tokens(model, calibration);
  }

  StudyEstimate estimate() {
    StudyEstimate result;
    result.cells = static_cast<int64_t>(cells_.size());
    result.known = static_cast<int64_t>(found_.size());
    const double pass = estimate_evaluation_seconds(Subject(model_), text_, context_);
    // Making the cells' weights, figures and divergences add about a twentieth to a forward pass.
    constexpr double kOverhead = 1.06;
    result.seconds = kOverhead * pass * static_cast<double>(result.cells - result.known);
    for (const CellSpec& spec : cells_) {  // one of them stands for all
      if (!spec.order || !makes_in_blocks(spec) || found_.contains(spec.name())) continue;
      result.seconds +=
          calibrated_.estimate(spec) * static_cast<double>(result.cells - result.known);
      break;
    }
    if (options_.sensitivity) {
      // Every layer twice, through the half of the model that lies behind it on average.
      const double share =
          static_cast<double>(sensitivity_windows()) / static_cast<double>(text_.size());
      result.seconds += 1.2 * pass * share * static_cast<double>(model_.linears().size());
    }
    return result;
  }

  Study run() {
    const Stopwatch watch;
    describe();
    const std::vector<Wave> waves = plan_waves();
    total_tokens_ = 0;
    for (const Wave& wave : waves) total_tokens_ += tokens_of(wave);
    if (!found_.contains("dense")) {
      found_.emplace("dense", runner_.dense());
      store_.put_cell(runner_.dense());
    }
    for (const Wave& wave : waves) run_wave(wave);
    calibrated_.clear();
    gather();
    draw_pictures();
    if (options_.sensitivity) {
      study_.sensitivity = rank_layers(
          model_, text_, sensitivity_windows(), *options_.sensitivity, store_,
          [&](double share) {
            const auto layers = static_cast<int64_t>(study_.layers.size());
            const double done = share * static_cast<double>(layers);
            context_.progress({"sensitivity", static_cast<int64_t>(done), layers, "layers"});
            stop_if_asked();
          },
          options_.seed, context_);
    }
    study_.times.total = watch.seconds();
    return std::move(study_);
  }

 private:
  static Calibration windows_of(const TextWindows& text) {
    Calibration calibration;
    for (int64_t i = 0; i < text.size(); ++i) {
      calibration.windows.push_back(text.sample(i).state.tokens);
    }
    return calibration;
  }

  bool makes_in_blocks(const CellSpec& cell) const { return is_calibrated(cell, options_.methods); }

  bool all_data_free() const {
    return std::ranges::none_of(cells_,
                                [&](const CellSpec& cell) { return makes_in_blocks(cell); });
  }

  int64_t sensitivity_windows() const {
    const int64_t window = text_.window();
    return std::clamp<int64_t>(options_.sensitivity_tokens / window, 1, text_.size());
  }

  void stop_if_asked() const {
    if (context_.cancelled()) throw Error("interplay", "stopped; finished cells are kept");
  }

  void describe() {
    StudyInput& input = study_.input;
    input.architecture = model_.facts().architecture;
    for (const StoredTensor& tensor : model_.checkpoint().tensors()) {
      input.parameters += element_count(tensor.shape);
    }
    for (const LinearInfo& info : model_.linears()) {
      input.linear_weights += info.outputs * info.inputs;
      study_.layers.push_back({info, model_.checkpoint().require(info.tensor).bytes});
    }
    for (const auto& stage : model_.stages()) study_.stages.push_back(stage->name());
    input.tokens = text_.tokens_used();
    input.windows = text_.size();
    input.window = text_.window();
    input.growth_tokens = runner_.growth_windows() * input.window;
    input.seed = options_.seed;
  }

  /// The wave of a format (none: patterns alone) with everything that the store lacks.
  Wave wave_of(const std::optional<NumberFormat>& format, bool activations) {
    Wave wave;
    wave.format = format;
    wave.activations = activations;
    wave.orders = options_.grid.orders;
    wave.seed = options_.seed;
    for (const CellSpec& cell : cells_) {
      const bool dense = !cell.format && !cell.sparsity;
      const bool belongs = !dense && cell.format == format && cell.activations == activations;
      if (belongs && !found_.contains(cell.name())) wave.cells.push_back(cell);
    }
    // Figures of tensors and layers are those of the data-free methods.
    if (!format || options_.grid.orders.empty() || !all_data_free()) return wave;
    for (const SparsityPattern& pattern : options_.grid.sparsity) {
      if (auto known = store_.find_figures(wave, pattern)) {
        keep(std::move(*known));
      } else {
        wave.figures.push_back(pattern);
      }
    }
    return wave;
  }

  std::vector<Wave> plan_waves() {
    std::vector<Wave> waves = {wave_of(std::nullopt, false)};
    for (const bool activations : {false, true}) {
      if (activations && !options_.grid.activations) continue;
      for (const NumberFormat& format : options_.grid.formats) {
        waves.push_back(wave_of(format, activations));
      }
    }
    std::vector<Wave> fitting;
    const auto at_once = static_cast<size_t>(runner_.cells_at_once());
    for (Wave& wave : waves) {
      const std::vector<CellSpec> cells = std::move(wave.cells);
      size_t begin = 0;
      do {
        const size_t end = std::min(cells.size(), begin + at_once);
        wave.cells.assign(cells.begin() + static_cast<ptrdiff_t>(begin),
                          cells.begin() + static_cast<ptrdiff_t>(end));
        if (!wave.cells.empty() || !wave.figures.empty()) fitting.push_back(wave);
        wave.figures.clear();
        begin = end;
      } while (begin < cells.size());
    }
    return fitting;
  }

  int64_t tokens_of(const Wave& wave) const {
    return static_cast<int64_t>(wave.cells.size()) * text_.tokens_used();
  }

  void run_wave(const Wave& wave) {
    const auto advance = [&](double share) {
      const auto done =
          done_tokens_ + static_cast<int64_t>(share * static_cast<double>(tokens_of(wave)));
      context_.progress({"cells", done, total_tokens_, "tokens"});
      stop_if_asked();
    };
    StudyRunner::Result result;
    try {
      if (all_data_free()) {
        result = runner_.run(wave, advance);
      } else {
        result = run_in_blocks(wave, advance);
      }
    } catch (const Error& error) {
      stop_if_asked();
      for (const CellSpec& spec : wave.cells) {
        Cell failed;
        failed.spec = spec;
        failed.failure = error.what();
        result.cells.push_back(std::move(failed));
      }
    }
    done_tokens_ += tokens_of(wave);
    for (Cell& cell : result.cells) {
      if (cell.failure.empty()) {
        store_.put_cell(cell);
      } else {
        context_.log(LogLevel::kWarning, cell.spec.name() + ": " + cell.failure);
      }
      const std::string name = cell.spec.name();
      found_.insert_or_assign(name, std::move(cell));
    }
    for (const SparsityPattern& pattern : wave.figures) {
      StudyStore::Figures figures;
      std::ranges::copy_if(result.tensors, std::back_inserter(figures.tensors),
                           [&](const auto& t) { return t.sparsity == pattern.spelling(); });
      std::ranges::copy_if(result.layers, std::back_inserter(figures.layers),
                           [&](const auto& f) { return f.sparsity == pattern.spelling(); });
      if (!figures.layers.empty()) store_.put_figures(wave, pattern, figures);
      keep(std::move(figures));
    }
  }

  /// Cell by cell, so that the weights of one lie on disk at a time.
  StudyRunner::Result run_in_blocks(Wave wave, const std::function<void(double)>& advance) {
    wave.made = [&](const CellSpec& cell, const LinearInfo& info) {
      return calibrated_.layer(cell, info);
    };
    const std::vector<CellSpec> cells = std::exchange(wave.cells, {});
    StudyRunner::Result result;
    for (size_t i = 0; i < cells.size(); ++i) {
      const auto part = [&](double share) {
        advance((static_cast<double>(i) + share) / static_cast<double>(cells.size()));
      };
      calibrated_.prepare(cells[i]);
      part(0.5);
      wave.cells = {cells[i]};
      StudyRunner::Result one = runner_.run(wave, [&](double share) { part(0.5 + share / 2); });
      result.cells.push_back(std::move(one.cells.front()));
      calibrated_.clear();
    }
    return result;
  }

  void keep(StudyStore::Figures figures) {
    std::ranges::move(figures.tensors, std::back_inserter(study_.tensors));
    std::ranges::move(figures.layers, std::back_inserter(study_.layer_figures));
  }

  /// Everything in the order of the grid, wherever it came from.
  void gather() {
    for (const CellSpec& spec : cells_) {
      Cell& cell = found_.at(spec.name());
      cell.bits_per_weight = cell.failure.empty()
                                 ? 8.0 * static_cast<double>(cell.bytes) /
                                       static_cast<double>(study_.input.linear_weights)
                                 : 0.0;
      study_.cells.push_back(std::move(cell));
    }
    const auto place = [&](const std::string& pattern, const std::string& format) {
      const auto p = std::ranges::find(options_.grid.sparsity, pattern, &SparsityPattern::spelling);
      const auto f = std::ranges::find(options_.grid.formats, format, &NumberFormat::spelling);
      return std::pair(p - options_.grid.sparsity.begin(), f - options_.grid.formats.begin());
    };
    std::ranges::stable_sort(study_.tensors, {}, [&](const TensorFigures& t) {
      return std::tuple(place(t.sparsity, t.format), t.layer);
    });
    std::ranges::stable_sort(study_.layer_figures, {}, [&](const LayerFigures& f) {
      return std::tuple(f.activations, place(f.sparsity, f.format), f.layer, f.order);
    });
  }

  /// The layer to draw for a pattern and a format; nothing if the pair has no figures.
  std::optional<int64_t> layer_to_draw(const std::string& pattern,
                                       const std::string& format) const {
    std::optional<int64_t> best;
    int64_t most = -1;
    for (const TensorFigures& t : study_.tensors) {
      if (t.sparsity != pattern || t.format != format) continue;
      const bool named = study_.layers[static_cast<size_t>(t.layer)].info.name == options_.picture;
      if (named || (options_.picture.empty() && t.swapped > most)) {
        best = t.layer;
        most = t.swapped;
      }
    }
    return best;
  }

  void draw_pictures() {
    for (const SparsityPattern& pattern : options_.grid.sparsity) {
      for (const NumberFormat& format : options_.grid.formats) {
        const auto layer = layer_to_draw(pattern.spelling(), format.spelling());
        if (!layer) continue;
        const LinearInfo& info = study_.layers[static_cast<size_t>(*layer)].info;
        const Matrix weight = dense_weight(model_.weights().linear(info));
        try {
          study_.pictures.push_back(
              picture_of(weight.view(), info, *layer, pattern, format, options_.seed, context_));
        } catch (const Error& error) {
          context_.log(LogLevel::kWarning, info.name + ": " + error.what());
        }
      }
    }
  }

  const Model& model_;
  const TextWindows& text_;
  const StudyOptions& options_;
  Context& context_;
  Study study_;
  StudyRunner runner_;
  StudyStore store_;
  std::vector<CellSpec> cells_;
  Calibration windows_;
  CalibratedCells calibrated_;
  std::map<std::string, Cell> found_;
  int64_t total_tokens_ = 0;
  int64_t done_tokens_ = 0;
};

namespace {

void require_known(const StepMethods& methods) {
  const auto unknown = [](const char* option, const std::string& name, const std::string& names) {
    throw Error(option, fmt::format("\"{}\" is no method; there are {}", name, names));
  };
  if (find_pruner(methods.pruner) == nullptr) {
    unknown("--pruner", methods.pruner, names_of(all_pruners()));
  }
  if (find_quantizer(methods.quantizer) == nullptr) {
    unknown("--quantizer", methods.quantizer, names_of(all_quantizers()));
  }
  if (find_joint_solver(methods.joint) == nullptr) {
    unknown("--joint", methods.joint, names_of(all_joint_solvers()));
  }
}

}  // namespace

void check_study(const Model& model, const StudyOptions& options) {
  if (options.grid.sparsity.empty() && options.grid.formats.empty()) {
    throw Error("interplay", "neither sparsity patterns nor formats; expected at least one cell");
  }
  require_known(options.methods);
  for (const CellSpec& cell : study_cells(options.grid)) {
    if (options.sensitivity && is_calibrated(cell, options.methods)) {
      throw Error("--sensitivity",
                  "ranks layers with data-free methods; expected no --pruner, --quantizer or "
                  "--joint beside it");
    }
  }
  if (options.picture.empty()) return;
  const std::vector<LinearInfo> layers = model.linears();
  if (std::ranges::find(layers, options.picture, &LinearInfo::name) == layers.end()) {
    throw Error("--tensor", fmt::format("\"{}\" is no linear layer of the model; for example {}",
                                        options.picture, layers.front().name));
  }
}

StudySession::StudySession(const Model& model, const TextWindows& text,
                           const TextWindows& calibration, const StudyOptions& options,
                           const ContentStore& store, Context& context) {
  check_study(model, options);
  job_ = std::make_unique<Job>(model, text, calibration, options, store, context);
}

StudySession::~StudySession() = default;

StudyEstimate StudySession::estimate() { return job_->estimate(); }

Study StudySession::run() { return job_->run(); }

}  // namespace scant
