/** @file The command that takes frames out of a video: times, shape and colours as a viewer would see them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileUrl } from './ffmpeg.js';
import type { HdrColours, VideoFacts } from './video_facts.js';

/** Properties that the frames of a data set have in common. */
export interface ExtractionSettings {
  /** Seconds of the video. */
  readonly start: number;
  readonly end: number;
  readonly fps: number;
  readonly shortSide: number;
}

export interface Extraction {
  /** The second of the video that becomes the first frame. */
  readonly start: number;
  readonly fps: number;
  /** Null: all frames to the end. */
  readonly maxFrames: number | null;
  /** Null: pictures keep their size. */
  readonly shortSide: number | null;
  readonly facts: VideoFacts;
  /** Whether HDR becomes SDR; see missingHdrFilters. */
  readonly mapHdr: boolean;
  /** Threads of the decoder; null: ffmpeg decides. */
  readonly threads: number | null;
}

/** The arguments that write JPEG files `<name>_000001.jpg` … into the working folder. */
export function extractionArguments(path: string, name: string, extraction: Extraction): string[] {
  const { start, facts, maxFrames, threads } = extraction;
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-progress', 'pipe:1'],
    ...(threads === null ? [] : ['-threads', String(threads)]),
    // A seek gives the picture before `start` too, for that is the one to be seen at `start`.
    ...(start > 0 && facts.seekable ? ['-noaccurate_seek', '-ss', String(start)] : []),
    // The filters must see the whole video: fresh ones after a change of size would count time from 0 again.
    ...['-reinit_filter', '0', '-i', fileUrl(path), '-map', '0:V:0', '-vf', filtersOf(extraction)],
    ...(maxFrames === null ? [] : ['-frames:v', String(maxFrames)]),
    // 2 is the best that ffmpeg gives without further flags, also for the 1 of AVA's usual instructions.
    ...['-q:v', '2', '-f', 'image2', `./${name.replaceAll('%', '%%')}_%06d.jpg`],
  ];
}

function filtersOf({ start, fps, shortSide, facts, mapHdr }: Extraction): string {
  // Raw streams have no place to jump to: they are decoded from the beginning.
  const skipped = facts.seekable ? 0 : start;
  return [
    // The size of the first picture is kept for all, since yadif takes no others.
    ...(facts.interlaced ? ['scale=iw:ih', 'yadif=deint=interlaced'] : []),
    // A first picture that comes late is shown from the start on, or every later frame would be early.
    `fps=fps=${fps}:start_time=${skipped}${isFlash(facts, fps) ? ':eof_action=pass' : ''}`,
    ...(skipped > 0 ? [`setpts=PTS-${skipped}/TB`] : []),
    scaling(shortSide),
    ...(facts.hdr && mapHdr ? toneMapping(facts.hdr) : []),
  ].join(',');
}

/** Whether there may be nothing left of it at this rate, unless its only picture is kept. */
function isFlash({ kind, duration }: VideoFacts, fps: number): boolean {
  return kind === 'picture' || (duration !== null && duration * fps < 1);
}

/** Makes pixels square, by enlarging one side; pictures that are small enough already keep their size otherwise. */
function scaling(shortSide: number | null): string {
  const [width, height] = ['iw*max(sar,1)', 'ih/min(sar,1)'];
  if (shortSide === null) return `scale=w='round(${width})':h='round(${height})',setsar=1`;
  const isSmall = `lte(min(${width},${height}),${shortSide})`;
  // The longer side keeps the proportions and becomes even.
  const side = (own: string, other: string) =>
    `'if(${isSmall},round(${own}),if(lte(${own},${other}),${shortSide},2*round(${shortSide}*${own}/(${other})/2)))'`;
  return `scale=w=${side(width, height)}:h=${side(height, width)},setsar=1`;
}

/** Brightness of white paper in HDR, in cd/m² (ITU-R BT.2408); it becomes the white of SDR, or nearly so. */
const WHITE = 203;
/** Highlights are compressed up to here, in cd/m². */
const PEAK = 1000;

/** HDR to the colours of HD television. Lower brightness stays as it is, the upper half makes room for highlights. */
function toneMapping({ transfer, matrix, primaries }: HdrColours): string[] {
  const input = [
    `tin=${transfer}`,
    ...(matrix === null ? ['min=2020_ncl'] : []),
    ...(primaries === null ? ['pin=2020'] : []),
  ].join(':');
  return [
    // zscale takes odd sizes only where every pixel has colours of its own.
    'format=yuv444p10le|yuv444p12le|gbrp10le|gbrp12le',
    `zscale=${input}:t=linear:p=709:npl=${WHITE}`,
    'format=gbrpf32le',
    `tonemap=tonemap=mobius:param=0.5:desat=0:peak=${(PEAK / WHITE).toFixed(3)}`,
    'zscale=t=709:m=709:r=tv',
    'format=yuv444p',
  ];
}

/** Filters that HDR needs. libplacebo could do it too, but only with a Vulkan device. */
const HDR_FILTERS = ['zscale', 'tonemap'];

/** The filters that this ffmpeg lacks for turning HDR into SDR; none where it can. Throws the reason of the abort. */
export async function missingHdrFilters(signal: AbortSignal): Promise<string[]> {
  let list = '';
  try {
    list = (await promisify(execFile)('ffmpeg', ['-hide_banner', '-filters'], { signal })).stdout;
  } catch {
    // An ffmpeg that cannot list its filters is taken for one without them.
    signal.throwIfAborted();
  }
  const names = new Set(list.split('\n').map((line) => /^\s*[A-Z.|]{2,4}\s+(\w+)\s/.exec(line)?.[1]));
  return HDR_FILTERS.filter((name) => !names.has(name));
}

const NAMED = 5;

/** A clause about HDR videos whose colours stay as they are. */
export function washedOut(videos: readonly string[], missing: readonly string[]): string {
  const names = videos.slice(0, NAMED).join(', ');
  const more = videos.length > NAMED ? ` and ${videos.length - NAMED} more` : '';
  return (
    `HDR video: the colours of ${names}${more} will look washed out, since this ffmpeg lacks ` +
    `${missing.length > 1 ? 'the filters' : 'the filter'} ${missing.join(' and ')} that would turn HDR into SDR`
  );
}
