#!/usr/bin/env python3
"""Perplexity against decoding speed and against bytes: packed models of ours and llama.cpp's types, made from one model.

    pareto.py MODEL.gguf --scant build/release/scant --python VENV/bin/python --work FOLDER \\
        --text wiki.test.raw --calibration calib.txt --json pareto.json --picture docs/images/pareto.png

Ours are made with calibration (gptq where nothing is pruned, otherwise the one-pass joint solver), llama.cpp's by its own
quantizer without; head and embeddings have 8 bits in ours above 4 bits a weight and 4 bits below, in llama.cpp's the type
itself. Perplexity of both is `scant eval` of the same tokens, so that only the weights differ. Models and perplexities are
made once in FOLDER and kept; speeds are measured in each call, alternately. --python is an interpreter with
llama-cpp-python built on this machine (bench/peers/time_llama_cpp.py); --picture needs matplotlib.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

PEER = pathlib.Path(__file__).resolve().parent.parent / "peers" / "time_llama_cpp.py"
SMALL = ["--embeddings", "int4:g32"]
LARGE = ["--embeddings", "int8:g32"]
OURS = {  # name: family, flags
    "int8:g32": ("dense", ["--weights", "int8:g32", "--quantizer", "gptq", *LARGE]),
    "int6:g64": ("dense", ["--weights", "int6:g64", "--quantizer", "gptq", *LARGE]),
    "int4:g32": ("dense", ["--weights", "int4:g32", "--quantizer", "gptq", *SMALL]),
    "int4:g128": ("dense", ["--weights", "int4:g128", "--quantizer", "gptq", *SMALL]),
    "int3:g64": ("dense", ["--weights", "int3:g64", "--quantizer", "gptq", *SMALL]),
    "2:4 + int8:g32": ("2:4", ["--sparsity", "2:4", "--weights", "int8:g32", "--joint", "one-pass", *LARGE]),
    "2:4 + int4:g64": ("2:4", ["--sparsity", "2:4", "--weights", "int4:g64", "--joint", "one-pass", *SMALL]),
    "50% + int8:g32": ("50%, bitmask", ["--sparsity", "50%", "--weights", "int8:g32", "--joint", "one-pass", *LARGE]),
    "50% + int4:g64": ("50%, bitmask", ["--sparsity", "50%", "--weights", "int4:g64", "--joint", "one-pass", *SMALL]),
}
THEIRS = ("Q8_0", "Q5_0", "Q4_0")


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr.strip()}")
    return done.stdout


def folder_name(name):
    return name.replace(":", "").replace("%", "").replace(" + ", "-")


def model_of(options, name):
    out = pathlib.Path(options.work, folder_name(name))
    if not out.exists():
        run([options.scant, "compress", options.model, "-o", out, "--to", "packed", "--quiet", "--force", "--calibration", options.calibration,
             "--samples", options.samples, *OURS[name][1]])
    return out


def gguf_of(options, kind):
    return pathlib.Path(options.work, f"{pathlib.Path(options.model).stem}-{kind}.gguf")


def perplexity(options, name, path):
    kept = pathlib.Path(options.work, folder_name(name) + ".perplexity.json")
    if not kept.exists():
        kept.write_text(run([options.scant, "eval", path, "--text", options.text, "--max-tokens", options.tokens, "--quiet", "--json"]),
                        encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))["perplexity"]


def speeds(options, folders):
    """Of each name tokens/s, a list over the rounds, and the bytes that a token touches."""
    common = ["--threads", options.threads, "--prompt", "64", "--generate", "64"]
    found = {}
    for _ in range(options.rounds):
        paths = list(folders.values())
        ours = json.loads(run([options.scant, "bench", paths[0], "--compare", *paths[1:], "--kv", "bf16", "--quiet", "--json", *common]))
        theirs = json.loads(run([options.python, PEER, options.model, "--work", options.work, "--types", *THEIRS, *common]))
        for name, result in zip(folders, ours["models"]):
            found.setdefault(name, []).append(result["decode_tokens_per_second"])
        for kind, result in theirs["types"].items():
            found.setdefault(kind, []).append(result["decode_tokens_per_second"])
    return found


def draw(points, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    styles = {"dense": ("#1f6fb4", "o"), "2:4": ("#c8501e", "s"), "50%, bitmask": ("#7a5aa6", "D"), "llama.cpp": ("#666666", "^")}
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, key, label in ((axes[0], "decode", "tokens per second of decoding (right is better)"),
                             (axes[1], "megabytes", "megabytes of weights (left is better)")):
        for family, (colour, marker) in styles.items():
            those = [point for point in points if point["family"] == family]
            axis.scatter([p[key] for p in those], [p["perplexity"] for p in those], c=colour, marker=marker, s=42, label=family, zorder=3)
            for p in those:
                place, side = {"dense": ((-6, -3), "right"), "llama.cpp": ((0, -12), "center")}.get(family, ((7, -3), "left"))
                axis.annotate(p["name"], (p[key], p["perplexity"]), textcoords="offset points", xytext=place, ha=side,
                              fontsize=7.5, color=colour)
        axis.set_xlabel(label)
        axis.set_yscale("log")
        axis.grid(True, which="both", linewidth=0.4, alpha=0.5)
        axis.margins(x=0.16, y=0.08)
    axes[0].set_ylabel("perplexity (lower is better)")
    axes[0].legend(frameon=False, fontsize=8)
    axes[0].minorticks_off()
    shown = [t for t in (5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000)
             if min(p["perplexity"] for p in points) * 0.9 < t < max(p["perplexity"] for p in points) * 1.1]
    axes[0].set_yticks(shown, [str(t) for t in shown])
    figure.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--scant", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prepare-only", action="store_true", help="make models and perplexities, measure nothing")
    parser.add_argument("--json")
    parser.add_argument("--picture")
    options = parser.parse_args()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    folders = {name: model_of(options, name) for name in OURS}
    run([options.python, PEER, options.model, "--work", options.work, "--types", *THEIRS, "--prompt", "1", "--generate", "1", "--runs", "1"])
    paths = {**folders, **{kind: gguf_of(options, kind) for kind in THEIRS}}
    values = {name: perplexity(options, name, path) for name, path in paths.items()}
    dense = perplexity(options, "given", options.model)
    print(f"the given model: perplexity {dense:.2f}")
    if options.prepare_only:
        return
    found = speeds(options, folders)
    points = []
    for name, path in paths.items():
        size = path.stat().st_size if path.is_file() else (path / "model.safetensors").stat().st_size
        points.append({"name": name, "family": OURS[name][0] if name in OURS else "llama.cpp", "perplexity": values[name],
                       "decode": statistics.median(found[name]), "megabytes": size / 1e6})
    print("| weights | MB | perplexity | decode tokens/s |\n| --- | --- | --- | --- |")
    for p in sorted(points, key=lambda point: point["megabytes"]):
        print(f"| {p['name']}{' (llama.cpp)' if p['family'] == 'llama.cpp' else ''} | {p['megabytes']:.0f} | {p['perplexity']:.2f} | {p['decode']:.0f} |")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(points, options.picture)


if __name__ == "__main__":
    main()
