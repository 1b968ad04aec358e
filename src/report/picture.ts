/** @file A figure as a picture of its own: SVG with title and legend in fixed colours, and PNG without need of a font. */
import sharp from 'sharp';
import { textPath, textWidth } from '../drawing/text.js';
import type { Figure } from './curves.js';
import { type ColourName, colour, withFixedColours } from './palette.js';
import { drawPlot, type LinePlot } from './plot.js';

const SIZES = {
  whole: { width: 800, height: 300 },
  half: { width: 640, height: 300 },
  third: { width: 640, height: 300 },
  quarter: { width: 420, height: 260 },
};
const FONT_SIZE = 12;
const TITLE_SIZE = 16;
const MARGIN = 20;
/** Pixels of the PNG per unit of the SVG. */
const PNG_SCALE = 2;

/** The figure as an SVG document. */
export async function figureSvg({ title, note, plot, share }: Figure): Promise<string> {
  const drawn = await drawPlot(plot, { ...SIZES[share], fontSize: FONT_SIZE });
  const legend = plot.kind === 'lines' ? legendOf(plot) : [];
  const top = MARGIN + TITLE_SIZE + 26 + (legend.length > 0 ? 26 : 0);
  const [width, height] = [drawn.width + 2 * MARGIN, top + drawn.height + MARGIN];
  const words = (x: number, y: number, size: number, ink: ColourName, content: string, weight = '') =>
    `<text transform="translate(${x},${y})" font-family="sans-serif" font-size="${size}px"${weight} fill="${colour(ink)}">${escapeXml(content)}</text>`;
  let x = MARGIN;
  const keys = legend.map(({ name, ...line }) => {
    const key =
      `<line x1="${x}" x2="${x + 18}" y1="${top - 14}" y2="${top - 14}" stroke="${colour(line.colour)}" ` +
      `stroke-width="${line.width}" opacity="${line.opacity ?? 1}"/>` +
      words(x + 24, top - 10, FONT_SIZE, 'muted', name);
    x += Math.ceil(24 + textWidth(name, FONT_SIZE) * 1.15 + 18);
    return key;
  });
  return withFixedColours(
    [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
      `<title>${escapeXml(title)}</title>`,
      `<rect width="${width}" height="${height}" fill="${colour('surface')}"/>`,
      words(MARGIN, MARGIN + TITLE_SIZE - 2, TITLE_SIZE, 'ink', title, ' font-weight="bold"'),
      words(MARGIN, MARGIN + TITLE_SIZE + 18, FONT_SIZE, 'muted', note),
      ...keys,
      `<g transform="translate(${MARGIN},${top})">${drawn.body}</g>`,
      '</svg>',
      '',
    ].join('\n'),
  );
}

/** The lines that a legend has to name; none where one line says what it is by the title. */
export function legendOf({ lines }: LinePlot): LinePlot['lines'] {
  return lines.length > 1 ? lines : [];
}

/** An SVG document of `figureSvg` as PNG. Letters become outlines first: a bare machine has no fonts to draw them with. */
export function svgToPng(svg: string): Promise<Buffer> {
  const outlined = svg.replace(/<text ([^>]*)>([^<]*)<\/text>/g, (_, attributes: string, content: string) => {
    const size = Number(/font-size="([\d.]+)px"/.exec(attributes)?.[1] ?? FONT_SIZE);
    const text = unescapeXml(content);
    const shift = { middle: -0.5, end: -1 }[/text-anchor="(\w+)"/.exec(attributes)?.[1] ?? ''] ?? 0;
    // The font has one weight; a line around the letters makes them bold.
    const bold = attributes.includes('font-weight="bold"')
      ? ` stroke="${/fill="([^"]*)"/.exec(attributes)?.[1]}" stroke-width="${size * 0.03}"`
      : '';
    const kept = attributes.replace(/(?:text-anchor|font-[a-z]+)="[^"]*"/g, '');
    return `<path ${kept}${bold} d="${textPath(text, shift * textWidth(text, size), 0, size)}"/>`;
  });
  return sharp(Buffer.from(outlined), { density: 72 * PNG_SCALE })
    .png()
    .toBuffer();
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]);
}

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:amp|lt|gt|quot|#39);/g,
    (entity) => ({ '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"' })[entity] ?? "'",
  );
}
