"""Opens the report page in headless Chromium: no console errors, no requests, working controls, figures equal to the
JSON, readable colours, no sideways scrolling on a phone, names for a screen reader.

usage: page_test.py SCANT MAKE_STUDY   (exit status 77: skipped)
"""
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select
except ImportError:
    print("SKIPPED: python3-selenium is not installed (make deps-test)")
    sys.exit(77)

PROGRAM, MAKE_STUDY = sys.argv[1:3]
MINUS = "\u2212"


def number(value):
    """The page's spelling of a figure (format.js)."""
    if value is None:
        return "\u2013"
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.1e}"
    if value == int(value):
        return f"{int(value):,}"
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.1 else 5
    return f"{value:.{digits}f}".replace("-", MINUS)


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="scant_page_"))
        subprocess.run([MAKE_STUDY, cls.folder], check=True)
        cls.studies = {}
        for path in cls.folder.iterdir():
            subprocess.run([PROGRAM, "report", path, "--quiet"], check=True)
            cls.studies[path.name] = json.loads((path / "interplay.json").read_text())
        subprocess.run([PROGRAM, "report", cls.folder / "typical", cls.folder / "full", "-o",
                        cls.folder / "comparison.html", "--quiet"], check=True)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         f"--user-data-dir={cls.folder}/profile"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def open(self, name, width=1280, scheme="light"):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
        path = self.folder / "comparison.html" if name == "comparison" else self.folder / name / "report.html"
        self.browser.get(path.as_uri())

    def tearDown(self):
        self.assertEqual(self.browser.get_log("browser"), [], "console messages")
        self.assertEqual(self.script("return performance.getEntriesByType('resource').map((x) => x.name)"), [])

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def choose(self, section, label, text):
        for control in self.all(f"#{section} .controls label"):
            if control.text.startswith(label):
                Select(control.find_element(By.TAG_NAME, "select")).select_by_visible_text(text)
                return
        self.fail(f"no control {label} in {section}")

    def toggle(self, value):
        self.script("document.querySelector(`#filters input[value='${arguments[0]}']`).click()", value)

    def cost_cells(self):
        return dict(self.script("""return [...document.querySelectorAll("#costs [data-cell]")].map((cell) =>
            [cell.dataset.cell, cell.querySelector("span") ? cell.querySelector("span").textContent : cell.textContent])"""))

    def chart(self, section, index=0):
        """Points of a chart: [dataset label, x, y] as Chart.js holds them."""
        return self.script("""const chart = document.querySelectorAll(`#${arguments[0]} canvas`)[arguments[1]].chart;
            return chart.data.datasets.flatMap((set) => set.data.map((p, i) =>
              [set.label, typeof p === "object" && p ? p.x : i, typeof p === "object" && p ? p.y : p,
               p && p.cell ? p.cell.name : set.cell ? set.cell.name : null]))""", section, index)

    def test_every_page_renders_and_is_named_for_a_screen_reader(self):
        for name in ("typical", "full", "sparse", "alone", "comparison"):
            with self.subTest(name):
                self.open(name)
                self.assertEqual(self.all(".notice") != [], name == "sparse")
                for heading in self.all("main h2"):
                    self.assertTrue(heading.text.endswith("?"), heading.text)
                blank = self.script("""return [...document.querySelectorAll("canvas")].filter((canvas) => {
                    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                    return !pixels.some((x, i) => i % 4 === 3 && x) || !canvas.getAttribute("aria-label");
                  }).map((canvas) => canvas.closest("section").id)""")
                self.assertEqual(blank, [])
                self.assertEqual(self.script("return document.querySelectorAll('table:not(:has(caption)), th:not([scope])').length"), 0)
                self.assertNotIn("undefined", self.one("body").text)
                self.assertNotIn("NaN", self.one("body").text)
                self.assertEqual(self.browser.get_log("browser"), [])

    def test_the_table_shows_the_figures_of_the_json(self):
        for name in ("typical", "full", "sparse"):
            with self.subTest(name):
                self.open(name)
                cells = {cell["name"]: cell for cell in self.studies[name]["cells"] if not cell["activations"]}
                for metric, spell in (("Perplexity", lambda c: number(c["perplexity"][0])),
                                      ("NLL, nats per token", lambda c: f"{c['nll'][0]:.3f}"),
                                      ("KL to the dense model, nats per token", lambda c: f"{c['kl'][0]:.4f}")):
                    self.choose("costs", "Show", metric)
                    self.assertEqual(self.cost_cells(), {key: "failed" if cell["failure"] else spell(cell)
                                                         for key, cell in cells.items()})

    def test_the_charts_draw_the_figures_of_the_json(self):
        self.open("typical")
        study = self.studies["typical"]
        drawn = {name: (x, y) for _, x, y, name in self.chart("size") if name}
        self.assertEqual(drawn, {cell["name"]: (cell["bits_per_weight"], cell["perplexity"][0]) for cell in study["cells"]})
        front = [(x, y) for label, x, y, _ in self.chart("size") if label == "Best at its size"]
        for x, y in front:
            self.assertFalse(any(other != (x, y) and other[0] <= x and other[1] <= y for other in drawn.values()))
        drawn = {name: (x, y) for _, x, y, name in self.chart("threshold")}
        dense = study["cells"][0]["nll"][0]
        self.assertEqual(drawn, {study["cells"][c["cell"]]["name"]: (
            c["threshold_nll"][0] - dense, study["cells"][c["cell"]]["nll"][0] - dense) for c in study["combinations"]})
        self.choose("growth", "Pattern", "50%")
        self.choose("growth", "Format", "hbfp4")
        drawn = {}
        for _, _, y, name in self.chart("growth"):
            drawn.setdefault(name, []).append(y)
        expected = {cell["name"]: cell["growth"] for cell in study["cells"][1:]
                    if cell["sparsity"] in (None, "50%") and cell["format"] in (None, "hbfp4")}
        self.assertEqual(drawn, expected)
        picture = next(p for p in study["pictures"] if p["sparsity"] == "50%" and p["format"] == "hbfp4")
        for index, key in enumerate(("sparsify_first", "quantize_first")):
            bars = [y or 0 for label, _, y, _ in self.chart("picture", index) if label != "Before"]
            self.assertEqual(bars, picture[key])
        names = [row[0] for row in study["layers"]["rows"]]
        ranked = sorted(study["sensitivity"]["layers"]["rows"], key=lambda row: -row[1][0])[:20]
        self.assertEqual([y for _, _, y, _ in self.chart("sensitivity")], [row[1][0] for row in ranked])
        self.assertIn(names[ranked[0][0]], self.one("#sensitivity canvas").get_attribute("aria-label"))

    def test_the_map_of_layers_shows_the_share_of_the_chosen_combination(self):
        self.open("typical")
        study = self.studies["typical"]
        self.choose("layers", "Pattern", "2:4")
        self.choose("layers", "Format", "mxfp4")
        self.choose("layers", "Order", "Quantize first")
        columns = study["layer_errors"]["columns"]
        rows = [dict(zip(columns, row)) for row in study["layer_errors"]["rows"]]
        wanted = "2:4+mxfp4 quantize-first"
        shares = {study["layers"]["rows"][row["layer"]][0]: row["share"] for row in rows
                  if study["cells"][row["cell"]]["name"] == wanted}
        tips = [cell.get_attribute("data-tip").split("\n") for cell in self.all("#layers td[data-tip]")]
        shown = {lines[0]: float(lines[1].split()[1].strip(",").replace(MINUS, "-")) for lines in tips}
        self.assertEqual(shown, {name: round(share, 3) for name, share in shares.items()})

    def test_filters_act_on_every_chart(self):
        self.open("full")
        self.toggle("int4")
        self.toggle("50%")
        self.toggle("joint")
        names = [*self.cost_cells(), *(name for _, _, _, name in self.chart("size") if name),
                 *(name for _, _, _, name in self.chart("threshold"))]
        self.assertTrue(names)
        for part in ("int4", "50%", "joint", "activations"):
            self.assertFalse([name for name in names if part in name], part)
        self.script("document.querySelectorAll('#filters [type=radio]')[1].click()")
        names = list(self.cost_cells())
        self.assertTrue(any("activations" in name for name in names))
        for name in ("int8", "mxfp8_e4m3", "mxfp6_e3m2", "mxfp4", "hbfp8", "hbfp6", "hbfp4", "2:4"):
            self.toggle(name)
        self.assertEqual(self.cost_cells(), {})
        self.assertIn("Nothing is left", self.one("#costs").text)

    def test_the_keyboard_reaches_figures_and_why_a_cell_failed(self):
        self.open("full")
        self.script("document.querySelector('#costs table:last-of-type td[tabindex=\"0\"]').focus()")
        seen = []
        for key in (Keys.ARROW_RIGHT,) * 2 + (Keys.ARROW_DOWN,) * 7 + (Keys.ARROW_RIGHT,):
            self.browser.switch_to.active_element.send_keys(key)
            seen.append(self.script("return document.activeElement.dataset.cell"))
        self.assertEqual(len(set(seen)), len(seen), seen)
        self.script("document.querySelector('#costs td.failed').focus()")
        self.assertIn("holds an infinity at row 7", self.one("#tip").text)
        self.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertFalse(self.one("#tip").is_displayed())

    def test_text_on_colour_can_be_read_in_both_themes(self):
        for scheme in ("light", "dark"):
            self.open("full", scheme=scheme)
            self.assertEqual(self.script("return document.documentElement.dataset.theme"), scheme)
            worst = self.script("""const part = (x) => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
                const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(part);
                  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
                const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                return Math.min(...[...document.querySelectorAll("td[style]")].map((cell) => { const style = getComputedStyle(cell);
                  return ratio(light(style.color), light(style.backgroundColor)); }))""")
            self.assertGreaterEqual(worst, 4.5)
        self.one("#theme").click()
        self.assertEqual(self.script("return document.documentElement.dataset.theme"), "light")

    def test_nothing_scrolls_sideways_on_a_phone(self):
        for name in ("typical", "full", "sparse", "alone", "comparison"):
            self.open(name, width=375)
            self.script("for (const details of document.querySelectorAll('details')) details.open = true")
            self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 375, name)

    def test_prints_light_and_without_controls(self):
        self.open("typical", scheme="dark")
        pdf = self.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
        self.assertEqual(base64.b64decode(pdf["data"])[:4], b"%PDF")
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        for selector in ("#filters", ".controls", "#theme"):
            self.assertFalse(self.one(selector).is_displayed(), selector)

    def test_a_comparison_matches_cells_by_name(self):
        self.open("comparison")
        a, b = ({cell["name"]: cell for cell in self.studies[name]["cells"]} for name in ("typical", "full"))
        rows = {row[0]: row[1:] for row in self.script("""return [...document.querySelectorAll("#cells tbody tr")].map((row) =>
            [...row.children].map((cell) => cell.textContent))""")}
        self.assertEqual(set(rows), set(a) & set(b))
        for name, row in rows.items():
            perplexity = [cell["perplexity"][0] if cell["perplexity"] else None for cell in (a[name], b[name])]
            self.assertEqual(row[2:4], [number(x) for x in perplexity])


if __name__ == "__main__":
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            print(f"SKIPPED: {program} is not installed (make deps-test)")
            sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
