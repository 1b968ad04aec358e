/** @file The report in a real browser: on phone and desktop, light and dark, and live. */
import { accessSync, appendFileSync, constants, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { figuresOf, reportHtml } from '../../src/report/html.js';
import { RunWatch } from '../../src/report/watch.js';
import { examplesOf, writeReport } from '../../src/report/write.js';
import { readRun } from '../../src/run/read_run.js';
import { start, stmixer } from '../support/cli.js';
import { metricsLine, writeRunFolder } from '../support/run_folder.js';
import { temporaryFiles } from '../support/temporary_files.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];
const NAMES = [
  'stand',
  'walk',
  'carry/hold (an object)',
  ...Array.from({ length: 57 }, (_, i) => `talk to (e.g., a person, group ${i})`),
];
const SECTIONS = [
  'summary',
  'losses',
  'pace',
  'evaluation',
  'precision-recall',
  'examples',
  'configuration',
  'environment',
];

function findChromium(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  );
  for (const path of [process.env.STMIXER_CHROMIUM ?? '', ...names]) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  return null;
}
const executablePath = findChromium();

const { at } = temporaryFiles();
let browser: Browser;
let folder: string;

/** Opens a page and collects its errors and its requests to other hosts. */
async function open(url: string, width = 1280, height = 900) {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  const origin = new URL(url).protocol === 'file:' ? url : new URL(url).origin;
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) problems.push(request.url());
  });
  await page.goto(url);
  return { page, problems };
}

/** Texts whose contrast to their background, as the browser computes both, is below WCAG's 4.5. */
const LOW_CONTRAST = `(() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a] = channels(getComputedStyle(e).backgroundColor);
      if (a === undefined || a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!words || !element.checkVisibility() || element.closest('script, .skip')) continue;
    const style = getComputedStyle(element);
    const isSvg = element instanceof SVGElement;
    const [a, b] = [luminance(channels(isSvg ? style.fill : style.color).slice(0, 3)), luminance(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push(element.tagName + ' ' + element.textContent.slice(0, 30) + ' ' + contrast.toFixed(2));
  }
  return found;
})()`;

/** Sizes in pixels of letters in plots that are too small to be read. */
const SMALL_TEXT = `[...document.querySelectorAll('.plot > svg')].filter((svg) => svg.getClientRects().length).flatMap((svg) => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map((text) => parseFloat(text.getAttribute('font-size')) * scale).filter((size) => size < 10);
})`;

async function expectGood(page: Page): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  expect(await page.evaluate(LOW_CONTRAST)).toEqual([]);
  expect(await page.evaluate(SMALL_TEXT)).toEqual([]);
  for (const id of SECTIONS) {
    const area = await page.locator(`#${id}`).boundingBox();
    expect(area?.height, id).toBeGreaterThan(40);
  }
}

describe.skipIf(!executablePath)(
  `the report in Chromium${executablePath ? '' : ' (skipped: not found; STMIXER_CHROMIUM names one)'}`,
  () => {
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: executablePath!, args: FLAGS });
    });
    afterAll(() => browser?.close());
    beforeEach(() => {
      folder = at();
    });

    it('is readable on phone and desktop, in light and dark mode, and loads nothing else', async () => {
      writeRunFolder(folder, { iterations: 600, names: NAMES });
      const run = readRun(folder);
      const file = join(folder, 'index.html');
      writeFileSync(
        file,
        await reportHtml(run, { figures: figuresOf(run), examples: await examplesOf(run) }),
      );
      const { page, problems } = await open(pathToFileURL(file).href);
      for (const [width, height] of [
        [390, 844],
        [768, 1024],
        [1280, 900],
      ]) {
        await page.setViewportSize({ width, height });
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          await expectGood(page);
          const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
          expect(Number(/\d+/.exec(ground)) < 128).toBe(colorScheme === 'dark');
        }
      }
      const widths =
        'Promise.all([...document.images].map((picture) => picture.decode().then(() => picture.naturalWidth)))';
      expect(await page.evaluate(widths)).toEqual(Array(8).fill(800));
      expect(problems).toEqual([]);
    });

    it('shows the numbers of the point nearest to the pointer', async () => {
      writeRunFolder(folder, { iterations: 100 });
      const { page, problems } = await open(pathToFileURL((await writeReport(folder)).html).href);
      const plot = page.locator('#loss svg.wide');
      await plot.scrollIntoViewIfNeeded();
      await plot.hover({ position: { x: 560, y: 100 } });
      await expect
        .poll(() => page.locator('#values').textContent())
        .toMatch(/^iteration {2}50\nloss {2}\d\.\d+$/);
      await page.mouse.move(5, 5);
      await expect.poll(() => page.locator('#values').isVisible()).toBe(false);
      expect(problems).toEqual([]);
    });

    it('follows a watched run from before its first logged line', async () => {
      const watch = new RunWatch(folder);
      try {
        const { page, problems } = await open(await watch.listen(0), 390, 844);
        const body = page.locator('main');
        expect(await body.textContent()).toContain('Waiting for the first line');
        const append = (iteration: number) =>
          appendFileSync(join(folder, 'metrics.jsonl'), metricsLine(iteration));
        append(1);
        append(10);
        const iterations = page.locator('.tile strong').first();
        await expect.poll(() => iterations.textContent(), { timeout: 20_000 }).toBe('10');
        await page.locator('#loss summary').click();
        append(20);
        await expect.poll(() => iterations.textContent(), { timeout: 20_000 }).toBe('20');
        // Opened details stay open.
        expect(await page.locator('#loss tbody tr').last().isVisible()).toBe(true);
        // The run starts anew.
        writeFileSync(join(folder, 'metrics.jsonl'), metricsLine(1));
        await expect.poll(() => iterations.textContent(), { timeout: 20_000 }).toBe('1');
        expect(await page.locator('#state').textContent()).toBe('live');
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(
          0,
        );
        expect(problems).toEqual([]);
        await watch.close();
        await expect
          .poll(() => page.locator('#state').textContent(), { timeout: 20_000 })
          .toMatch(/not connected/);
      } finally {
        await watch.close();
      }
    });
  },
);

describe('stmixer report --watch', () => {
  it('prints its address, and ends on Ctrl-C with exit code 130', async () => {
    const run = at();
    const { child, finished } = start(['report', run, '--watch']);
    const url = await new Promise<string>((resolve) => {
      child.stdout!.on('data', (chunk) => {
        const address = /http:\/\/127\.0\.0\.1:\d+\//.exec(String(chunk));
        if (address) resolve(address[0]);
      });
    });
    const events = await fetch(`${url}events`);
    expect(events.status).toBe(200);
    const { port } = new URL(url);
    expect(await stmixer(['report', run, '--watch', '--port', port])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`port ${port} is in use`),
    });
    child.kill('SIGINT');
    expect((await finished).code).toBe(130);
  });
});
