// Chart.js plugins: what scatter charts draw besides points. Each reads options[id] of its chart.

// 95% intervals: points may carry x_low, x_high, y_low, y_high.
const interval_marks = {
  id: "intervals",
  beforeDatasetsDraw(chart, _, options) {
    if (!options.show) return;
    const {ctx, chartArea: area, scales: {x, y}} = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(area.left, area.top, area.width, area.height);
    ctx.clip();
    const at = (scale, value) => scale.getPixelForValue(scale.type === "logarithmic" && value <= 0 ? scale.min / 10 : value);
    chart.data.datasets.forEach((dataset, i) => {
      if (!chart.isDatasetVisible(i)) return;
      ctx.strokeStyle = transparent(dataset.borderColor.slice(0, 7), 0.5);
      ctx.lineWidth = 1.3;
      for (const point of dataset.data) {
        ctx.beginPath();
        if (point.x_low !== undefined) {
          ctx.moveTo(at(x, point.x_low), y.getPixelForValue(point.y));
          ctx.lineTo(at(x, point.x_high), y.getPixelForValue(point.y));
        }
        if (point.y_low !== undefined) {
          ctx.moveTo(x.getPixelForValue(point.x), at(y, point.y_low));
          ctx.lineTo(x.getPixelForValue(point.x), at(y, point.y_high));
        }
        ctx.stroke();
      }
    });
    ctx.restore();
  },
};

// The diagonal x = y, with words above and below it.
const diagonal_mark = {
  id: "diagonal",
  beforeDatasetsDraw(chart, _, options) {
    if (!options.show) return;
    const {ctx, chartArea: area, scales: {x, y}} = chart;
    const low = Math.max(x.min, y.min);
    const high = Math.min(x.max, y.max);
    if (!(high > low)) return;
    ctx.save();
    ctx.strokeStyle = colours.soft;
    ctx.setLineDash([5, 4]);
    ctx.beginPath();
    ctx.moveTo(x.getPixelForValue(low), y.getPixelForValue(low));
    ctx.lineTo(x.getPixelForValue(high), y.getPixelForValue(high));
    ctx.stroke();
    ctx.fillStyle = colours.soft;
    ctx.font = `italic 12px ${Chart.defaults.font.family}`;
    ctx.fillText(options.above, area.left + 10, area.top + 16);
    ctx.textAlign = "right";
    ctx.fillText(options.below, area.right - 8, area.bottom - 10);
    ctx.restore();
  },
};

// Names beside points that carry `label`, left out where they would cover another one.
const label_marks = {
  id: "labels",
  afterDatasetsDraw(chart, _, options) {
    if (!options.show) return;
    const {ctx, chartArea: area} = chart;
    const taken = [];
    ctx.save();
    ctx.font = `11px ${Chart.defaults.font.family}`;
    ctx.fillStyle = colours.ink;
    chart.data.datasets.forEach((dataset, i) => {
      if (!chart.isDatasetVisible(i)) return;
      chart.getDatasetMeta(i).data.forEach((element, j) => {
        const label = dataset.data[j] && dataset.data[j].label;
        if (!label) return;
        const width = ctx.measureText(label).width;
        for (const [x, y] of [[element.x + 8, element.y - 7], [element.x - width - 8, element.y + 14],
          [element.x + 8, element.y + 14], [element.x - width - 8, element.y - 7]]) {
          const box = {left: x, right: x + width, top: y - 11, bottom: y + 3};
          const free = box.left > area.left && box.right < area.right && box.bottom < area.bottom && box.top > area.top &&
              !taken.some((o) => o.left < box.right && box.left < o.right && o.top < box.bottom && box.top < o.bottom);
          if (!free) continue;
          taken.push(box);
          ctx.fillText(label, x, y);
          return;
        }
      });
    });
    ctx.restore();
  },
};

// Vertical lines at `values`, the first one named.
const line_marks = {
  id: "lines",
  beforeDatasetsDraw(chart, _, options) {
    if (!options.values) return;
    const {ctx, chartArea: area, scales: {x}} = chart;
    ctx.save();
    ctx.strokeStyle = colours.accent;
    ctx.fillStyle = colours.accent;
    ctx.setLineDash([4, 3]);
    ctx.font = `11px ${Chart.defaults.font.family}`;
    for (const [value, name] of options.values) {
      const at = x.getPixelForValue(value);
      if (at < area.left || at > area.right) continue;
      ctx.beginPath();
      ctx.moveTo(at, area.top);
      ctx.lineTo(at, area.bottom);
      ctx.stroke();
      if (name) ctx.fillText(name, at + 4, area.top + 10);
    }
    ctx.restore();
  },
};

function register_marks() {
  Chart.register(interval_marks, diagonal_mark, label_marks, line_marks, whisker_marks);
}
