/** @file A figure in the page: drawings for wide and narrow screens, the legend, and a table of its numbers. */
import { count, significant } from '../util/text.js';
import type { Figure } from './curves.js';
import { type Html, html } from './markup.js';
import { variableColour } from './palette.js';
import { PAGE_PEN } from './pen.js';
import { legendOf } from './picture.js';
import { type DrawnPlot, drawPlot, type LinePlot, type PlotSize } from './plot.js';

/** Sizes by CSS class. The style sheet shows the drawing that fits, so that letters never get too small. */
const SIZES: Record<Figure['share'], Record<string, PlotSize>> = {
  whole: {
    narrow: { width: 334, height: 250, fontSize: 12 },
    medium: { width: 680, height: 290, fontSize: 13 },
    wide: { width: 1130, height: 340, fontSize: 13 },
  },
  half: {
    narrow: { width: 334, height: 220, fontSize: 12 },
    medium: { width: 680, height: 260, fontSize: 13 },
    wide: { width: 535, height: 250, fontSize: 12.5 },
  },
  third: {
    narrow: { width: 334, height: 220, fontSize: 12 },
    medium: { width: 680, height: 240, fontSize: 13 },
    wide: { width: 346, height: 230, fontSize: 12 },
  },
  quarter: {
    narrow: { width: 150, height: 150, fontSize: 11 },
    wide: { width: 250, height: 190, fontSize: 12 },
  },
};

/** The figure as HTML. */
export function figureHtml(figure: Figure): Html {
  const { name, title, note, plot, share } = figure;
  const label = `${title}. ${describe(figure)}`;
  const drawings = Object.entries(SIZES[share]).map(([kind, size]) =>
    svgElement(kind, label, drawPlot(plot, size, PAGE_PEN)),
  );
  const [legend, numbers] =
    plot.kind === 'lines' ? [legendHtml(plot), numbersHtml(figure, plot)] : [null, null];
  return html`<figure class="card ${share}" id="${name}">
<figcaption><h3>${title}</h3><p>${note}</p></figcaption>
${legend}<div class="plot ${plot.kind}">${drawings}</div>
${numbers}</figure>
`;
}

function svgElement(kind: string, label: string, { width, height, body, frame }: DrawnPlot): Html {
  const numbers = [frame.left, frame.right, frame.top, frame.bottom, frame.from, frame.to].join(' ');
  return html`<svg class="${kind}" role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}" data-frame="${numbers}">${body}</svg>`;
}

function legendHtml(plot: LinePlot): Html | null {
  const lines = legendOf(plot);
  if (lines.length === 0) return null;
  const items = lines.map(
    (line) =>
      html`<li><svg class="key" viewBox="0 0 18 8" aria-hidden="true"><path d="M0 4h18" stroke="${variableColour(line.colour)}" stroke-width="${line.width + 0.75}" opacity="${line.opacity ?? 1}"${line.dash === undefined ? null : html` stroke-dasharray="${line.dash}"`}/></svg>${line.name}</li>`,
  );
  return html`<ul class="legend">${items}</ul>
`;
}

/** The numbers of the lines, one row per point. The script of the page shows the row at the pointer. */
function numbersHtml({ title }: Figure, { xTitle, lines }: LinePlot): Html {
  const columns = lines.map(({ points }) => new Map(points.map(({ x, y }) => [x, y])));
  const places = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const rows = places.map(
    (
      x,
    ) => html`<tr><th scope="row">${place(x)}</th>${columns.map((column) => html`<td>${value(column.get(x))}</td>`)}</tr>
`,
  );
  return html`<details><summary>Numbers<span class="unseen"> of ${title}</span></summary><div class="scroll" tabindex="0" role="group" aria-label="Numbers of ${title}"><table class="numbers">
<thead><tr><th scope="col">${xTitle}</th>${lines.map((line) => html`<th scope="col">${line.name}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div></details>
`;
}

function place(x: number): string {
  return Number.isInteger(x) ? count(x) : significant(x, 3);
}

function value(y: number | null | undefined): string {
  return y === null || y === undefined ? '–' : significant(y, 4);
}

/** Describes the plot for readers who cannot see it. */
function describe({ plot }: Figure): string {
  if (plot.kind === 'bars')
    return plot.bars.map(({ name, value }) => `${name} ${value.toFixed(2)}`).join(', ');
  const main = plot.lines[plot.lines.length - 1];
  const points = main.points.filter((point): point is { x: number; y: number } => point.y !== null);
  if (points.length === 0) return '';
  const [first, last] = [points[0], points[points.length - 1]];
  const values = points.map(({ y }) => y);
  return (
    `${main.name} from ${value(first.y)} at ${plot.xTitle} ${place(first.x)} to ${value(last.y)} at ${place(last.x)}, ` +
    `lowest ${value(Math.min(...values))}, highest ${value(Math.max(...values))}`
  );
}
