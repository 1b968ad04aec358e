/** @file A figure as a picture of its own: SVG with title and legend, and PNG. */
import sharp from 'sharp';
import type { Figure } from './curves.js';
import { type Html, html } from './markup.js';
import { type Pen, PNG_PEN, SVG_PEN } from './pen.js';
import { drawPlot, type LinePlot, textRoom } from './plot.js';

const SIZES = {
  whole: { width: 800, height: 300 },
  half: { width: 640, height: 300 },
  third: { width: 640, height: 300 },
  quarter: { width: 420, height: 260 },
};
const FONT_SIZE = 12;
const TITLE_SIZE = 16;
const MARGIN = 20;
const NOTE_HEIGHT = 34;
const LEGEND_HEIGHT = 26;
/** Length of the line that stands for a curve in the legend. */
const KEY_WIDTH = 18;
/** Pixels of the PNG per unit of the SVG. */
const PNG_SCALE = 2;

/** The figure as an SVG document. */
export function figureSvg(figure: Figure, pen: Pen = SVG_PEN): string {
  const { title, drawnTitle = title, note, plot, share } = figure;
  const drawn = drawPlot(plot, { ...SIZES[share], fontSize: FONT_SIZE }, pen);
  const legend = plot.kind === 'lines' ? legendOf(plot) : [];
  const top = MARGIN + TITLE_SIZE + NOTE_HEIGHT + (legend.length > 0 ? LEGEND_HEIGHT : 0);
  const [width, height] = [drawn.width + 2 * MARGIN, Math.ceil(top + drawn.height + MARGIN)];
  const words = { x: MARGIN, y: MARGIN + TITLE_SIZE - 2 };
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">
<title>${title}</title>
<rect width="${width}" height="${height}" fill="${pen.colour('surface')}"/>
${pen.text({ ...words, text: drawnTitle, size: TITLE_SIZE, colour: 'ink', bold: true })}
${pen.text({ ...words, y: words.y + 20, text: note, size: FONT_SIZE, colour: 'muted' })}
${legendKeys(legend, top - 14, pen)}
<g transform="translate(${MARGIN},${top})">${drawn.body}</g>
</svg>
`.text;
}

function legendKeys(lines: LinePlot['lines'], y: number, pen: Pen): Html[] {
  let x = MARGIN;
  return lines.map(({ name, colour, width, opacity = 1 }) => {
    const text = x + KEY_WIDTH + FONT_SIZE / 2;
    const key = html`<path d="M${x} ${y}h${KEY_WIDTH}" stroke="${pen.colour(colour)}" stroke-width="${width}" opacity="${opacity}"/>${pen.text(
      { x: text, y: y + FONT_SIZE / 3, text: name, size: FONT_SIZE, colour: 'muted' },
    )}`;
    x = Math.ceil(text + textRoom(name, FONT_SIZE) + KEY_WIDTH);
    return key;
  });
}

/** The lines that a legend has to name; none if there is one line, which the title names. */
export function legendOf({ lines }: LinePlot): LinePlot['lines'] {
  return lines.length > 1 ? lines : [];
}

/** The figure as a PNG file. */
export function figurePng(figure: Figure): Promise<Buffer> {
  return sharp(Buffer.from(figureSvg(figure, PNG_PEN)), { density: 72 * PNG_SCALE })
    .png()
    .toBuffer();
}
