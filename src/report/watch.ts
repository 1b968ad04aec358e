/** @file Serves the report of a run to this machine while it trains, and notifies open pages of changes. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, resolve } from 'node:path';
import { setUserFont } from '../drawing/fonts.js';
import { UserError } from '../errors.js';
import { checkFolder, readRun, runSignature } from '../run/read_run.js';
import type { ExampleFigure } from './example_pictures.js';
import { figuresOf, pageHtml, reportHtml } from './html.js';
import { html } from './markup.js';
import { sentence } from './sections.js';
import { examplesOf, undrawnClasses } from './write.js';

const ADDRESS = '127.0.0.1';
/** Time between two looks at the files, and the shortest time between two pages. */
const POLL_MS = 1000;
/** Time between comments that keep connections through tunnels open. */
const KEEP_ALIVE_MS = 15_000;

export interface WatchOptions {
  /** Port to listen at; 0 for any free one. */
  readonly port: number;
  /** Ends the server. */
  readonly signal: AbortSignal;
  /** Font file for characters that the package's fonts lack. */
  readonly font?: string;
  /** Receives the address of the page. */
  readonly onListening: (url: string) => void;
  /** Receives a sentence about what the page waits for or cannot show. */
  readonly note?: (message: string) => void;
}

/**
 * Serves the run in `outputDir` until `signal` aborts. If the folder does not exist yet, waits for it and says so on the page.
 * Throws DataError if `outputDir` is not a folder.
 */
export async function watchRun(
  outputDir: string,
  { port, signal, font, onListening, note }: WatchOptions,
): Promise<void> {
  setUserFont(font);
  const watch = new RunWatch(outputDir, note);
  try {
    onListening(await watch.listen(port));
    if (!existsSync(outputDir))
      note?.(`${outputDir}: there is no such folder yet; waiting for the run to start`);
    else if (runSignature(outputDir) === '')
      note?.(`${outputDir}: there is no run in this folder yet; waiting for it to start`);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await watch.close();
  }
}

/** The server of a run. */
export class RunWatch {
  readonly #server: Server;
  readonly #listeners = new Set<ServerResponse>();
  readonly #timers: NodeJS.Timeout[] = [];
  #page: { version: string; html: Promise<string> } | null = null;
  #examples: { key: string; found: Promise<ExampleFigure[] | string> } | null = null;
  #announced: string;
  #undrawn: string | null = null;

  constructor(
    private readonly folder: string,
    private readonly note?: (message: string) => void,
  ) {
    if (existsSync(folder)) checkFolder(folder);
    this.#announced = this.#version();
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens at the port, or at any free one for 0; returns the address of the page. */
  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port)));
      this.#server.listen(port, ADDRESS, resolve);
    });
    this.#timers.push(
      setInterval(() => this.#announce(), POLL_MS),
      setInterval(() => this.#send(': still here\n\n'), KEEP_ALIVE_MS),
    );
    return `http://${ADDRESS}:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const listener of this.#listeners) listener.end();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #announce(): void {
    const version = this.#version();
    if (version === this.#announced) return;
    this.#announced = version;
    this.#send(changeEvent(version));
  }

  #send(text: string): void {
    for (const listener of this.#listeners) listener.write(text);
  }

  /** Names the state of the files. While a run is started anew, its folder may be missing for a moment. */
  #version(): string {
    try {
      return createHash('sha256').update(runSignature(this.folder)).digest('hex').slice(0, 16);
    } catch {
      return 'none';
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // DNS rebinding: a page of another site, whose name then points to this machine, must not read the run.
    if (!isLocal(request.headers.host))
      return answer(response, 403, 'This server answers only requests to localhost.\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return answer(response, 405, 'This server is read-only.\n');
    }
    // There are two addresses. No part of an address is ever used as a path in the file system.
    const [address] = (request.url ?? '').split('?');
    if (address === '/events') return this.#listen(request, response);
    if (address !== '/') return answer(response, 404, 'There is no such page; the report is at /.\n');
    try {
      answer(response, 200, await this.#html(), 'text/html');
    } catch (error) {
      answer(response, 503, `${(error as Error).message}\n`);
    }
  }

  #listen(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    response.write('retry: 2000\n\n');
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
    // The files may have changed since the page was loaded, for example if the server was restarted.
    response.write(changeEvent(this.#version()));
  }

  /** The page of the current files; made once for each state of them. */
  #html(): Promise<string> {
    const version = this.#version();
    if (this.#page?.version !== version) {
      const html = this.#makeHtml(version);
      this.#page = { version, html };
      // The next request tries again.
      html.catch(() => {
        this.#page = null;
      });
    }
    return this.#page.html;
  }

  async #makeHtml(version: string): Promise<string> {
    if (!existsSync(this.folder)) return waitingHtml(this.folder, version);
    const run = readRun(this.folder);
    const last = run.evaluations.at(-1);
    const undrawn = undrawnClasses(run);
    if (undrawn !== this.#undrawn && undrawn !== null) this.note?.(`warning: ${undrawn}`);
    this.#undrawn = undrawn;
    // Reading the data and drawing the examples takes a while, and they change only with the evaluation.
    const key = JSON.stringify(last ?? null);
    if (this.#examples?.key !== key) this.#examples = { key, found: examplesOf(run) };
    return reportHtml(run, { figures: figuresOf(run), examples: await this.#examples.found, version });
  }
}

/** The page of a run whose folder does not exist yet. */
function waitingHtml(folder: string, version: string): string {
  return pageHtml({
    kind: 'stmixer run',
    name: basename(resolve(folder)),
    where: html`<code>${folder}</code>`,
    sections: [
      {
        id: 'summary',
        title: 'Summary',
        content: sentence('There is no such folder yet. The run appears here as soon as it starts.'),
      },
    ],
    version,
  });
}

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

function changeEvent(version: string): string {
  return `event: change\ndata: ${version}\n\n`;
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { ...HEADERS, 'content-type': `${type}; charset=utf-8` });
  // Node omits the body in answers to HEAD.
  response.end(text);
}

/** Whether a Host header names this machine. The port may differ, for example behind `ssh -L`. */
function isLocal(host: string | undefined): boolean {
  return /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(host ?? '');
}

function listenError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new UserError(
      `port ${port} is in use by another program; choose another one, or omit --port to use any free one`,
    );
  }
  if (error.code === 'EACCES')
    return new UserError(`port ${port} is reserved for the system; choose 1024 or higher`);
  return error;
}
