/** @file The server of a watched run: its answers, its events, and its end. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stmixer } from '../../test/support/cli.js';
import { metricsLine } from '../../test/support/run_folder.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { reportCommand } from '../cli/report.js';
import { DataError } from '../errors.js';
import { RunWatch, watchRun } from './watch.js';
import { writeReport } from './write.js';

const { at } = temporaryFiles();
let folder: string;
let watch: RunWatch;
let url: URL;

beforeEach(async () => {
  folder = at('run');
  mkdirSync(folder);
  watch = new RunWatch(folder);
  url = new URL(await watch.listen(0));
});
afterEach(async () => {
  await watch.close();
});

interface Answer {
  status: number | undefined;
  headers: IncomingMessage['headers'];
  text: string;
}

/** Asks for exactly this path: `fetch` would tidy it. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: url.hostname, port: url.port, path, headers, method }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** The events of a connection, as they come. */
async function* events(): AsyncGenerator<string> {
  const response = await new Promise<IncomingMessage>((resolve) => {
    request({ host: url.hostname, port: url.port, path: '/events' }, resolve).end();
  });
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    const parts = text.split('\n\n');
    text = parts.pop()!;
    yield* parts.filter((part) => part.startsWith('event: change'));
  }
}

const append = (text: string) => appendFileSync(join(folder, 'metrics.jsonl'), text);

describe('a watched run', () => {
  it('is served only to requests that name this machine', async () => {
    expect(url.hostname).toBe('127.0.0.1');
    for (const host of ['localhost', `127.0.0.1:${url.port}`, 'LOCALHOST:9999', '[::1]:80']) {
      expect((await ask('/', { host })).status).toBe(200);
    }
    for (const host of [
      'example.org',
      `127.0.0.1.example.org:${url.port}`,
      'localhost.example.org',
      'a@localhost',
    ]) {
      for (const path of ['/', '/events']) expect((await ask(path, { host })).status).toBe(403);
    }
  });

  it('has no addresses but its page and its events', async () => {
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    const paths = [
      '/secret.txt',
      '/../../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '//etc/passwd',
      '/..%5c..',
      '/report/',
      '*',
    ];
    for (const path of paths) {
      const { status, text } = await ask(path);
      expect(status).toBe(404);
      expect(text).not.toMatch(/secret|root:/);
    }
    expect((await ask('/?x=1')).status).toBe(200);
    expect((await ask('/', {}, 'POST')).status).toBe(405);
    expect(await ask('/', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  it('waits for the first line, and skips an unfinished line', async () => {
    const first = await ask('/');
    expect(first.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(first.headers['cache-control']).toBe('no-store');
    expect(first.text).toContain('Waiting for the first line');
    append(metricsLine(1) + metricsLine(10).slice(0, 40));
    const { text } = await ask('/');
    expect(text).not.toContain('Waiting for the first line');
    expect(text).toContain('id="loss"');
    expect(text).not.toContain('not readable');
  });

  it('notifies open pages when files change, are replaced, or are removed', async () => {
    const stream = events();
    const next = async () => (await stream.next()).value as string;
    const seen = [await next()];
    append(metricsLine(1));
    seen.push(await next());
    writeFileSync(join(folder, 'metrics.jsonl'), metricsLine(20));
    seen.push(await next());
    rmSync(join(folder, 'metrics.jsonl'));
    seen.push(await next());
    expect(new Set(seen).size).toBe(3);
    expect(seen[3]).toBe(seen[0]);
    expect((await ask('/')).text).toContain('Waiting for the first line');
  });

  it('waits for a folder that does not exist yet', async () => {
    rmSync(folder, { recursive: true });
    expect(await ask('/')).toMatchObject({
      status: 200,
      text: expect.stringContaining('There is no such folder yet'),
    });
    const stream = events();
    await stream.next();
    mkdirSync(folder);
    append(metricsLine(1));
    await stream.next();
    expect((await ask('/')).text).toContain('id="loss"');
  });

  it('closes its connections when it ends', async () => {
    const socket = connect(Number(url.port), url.hostname);
    await new Promise((resolve) => socket.once('connect', resolve));
    const stream = events();
    await stream.next();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await watch.close();
    await closed;
    expect((await stream.next()).done).toBe(true);
    watch = new RunWatch(folder);
    await watch.listen(0);
  });

  it('names a port that is in use', async () => {
    const second = new RunWatch(folder);
    await expect(second.listen(Number(url.port))).rejects.toThrow(`port ${url.port} is in use`);
  });
});

describe('stmixer report', () => {
  it('names a folder without a run and exits with 3', async () => {
    const none = join(folder, 'none');
    expect(await stmixer(['report', none])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('there is no such folder'),
    });
    await expect(writeReport(folder)).rejects.toThrow(/there is no run in this folder/);
  });

  it('notes once that it waits for a folder or for a run in it, and refuses a file', async () => {
    const notes: string[] = [];
    const options = {
      port: 0,
      signal: AbortSignal.abort(),
      onListening: () => {},
      note: (text: string) => void notes.push(text),
    };
    const [none, file] = [join(folder, 'none'), join(folder, 'file')];
    await watchRun(none, options);
    mkdirSync(none);
    await watchRun(none, options);
    expect(notes).toEqual([
      `${none}: there is no such folder yet; waiting for the run to start`,
      `${none}: there is no run in this folder yet; waiting for it to start`,
    ]);
    writeFileSync(file, '');
    await expect(watchRun(file, options)).rejects.toThrow(DataError);
  });

  it('refuses flags that exclude each other', async () => {
    for (const flags of [
      ['--port', '80'],
      ['--watch', '--out', 'x.html'],
      ['--watch', '--port', '70000'],
      ['another-run', '--watch'],
    ]) {
      const command = reportCommand()
        .exitOverride()
        .configureOutput({ writeErr: () => {} });
      await expect(command.parseAsync([folder, ...flags], { from: 'user' })).rejects.toThrow(CommanderError);
    }
  });
});
