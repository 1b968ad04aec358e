/** @file The ffmpeg command that extracts the frames of a video, with times, shape and colours as a viewer sees them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileUrl } from './ffmpeg.js';
import type { HdrColours, VideoMetadata } from './video_metadata.js';

/** Properties that all frames of a data set share. */
export interface ExtractionSettings {
  /** First and last second of the video. */
  readonly start: number;
  readonly end: number;
  readonly fps: number;
  readonly shortSide: number;
}

export interface Extraction {
  /** The second of the video that becomes the first frame. */
  readonly start: number;
  readonly fps: number;
  /** Null for all frames to the end. */
  readonly maxFrames: number | null;
  /** Null to keep the size of the video. */
  readonly shortSide: number | null;
  readonly metadata: VideoMetadata;
  /** Whether to map HDR to SDR, which needs the filters of `missingHdrFilters`. */
  readonly mapHdr: boolean;
  /** Threads of the decoder; null to let ffmpeg decide. */
  readonly threads: number | null;
}

/** The arguments with which ffmpeg writes JPEG files `<name>_000001.jpg` … into its working folder. */
export function extractionArgs(path: string, name: string, extraction: Extraction): string[] {
  const { start, metadata, maxFrames, threads } = extraction;
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-progress', 'pipe:1'],
    ...(threads === null ? [] : ['-threads', String(threads)]),
    // The seek includes the frame before `start`, which is still visible at `start`.
    ...(start > 0 && metadata.seekable ? ['-noaccurate_seek', '-ss', String(start)] : []),
    // Filters that are made anew after a change of size would count time from 0 again.
    ...['-reinit_filter', '0', '-i', fileUrl(path), '-map', '0:V:0', '-vf', filtersOf(extraction)],
    ...(maxFrames === null ? [] : ['-frames:v', String(maxFrames)]),
    // 2 is the best quality that ffmpeg gives without further flags, even for the 1 in AVA's usual instructions.
    ...['-q:v', '2', '-f', 'image2', `./${name.replaceAll('%', '%%')}_%06d.jpg`],
  ];
}

function filtersOf({ start, fps, shortSide, metadata, mapHdr }: Extraction): string {
  // ffmpeg cannot seek in raw streams; they are decoded from the beginning.
  const skipped = metadata.seekable ? 0 : start;
  return [
    ...deinterlacing(metadata),
    // A first frame that comes late is shown from the start on; otherwise every later frame would be early.
    `fps=fps=${fps}:start_time=${skipped}${isShorterThanFrame(metadata, fps) ? ':eof_action=pass' : ''}`,
    ...(skipped > 0 ? [`setpts=PTS-${skipped}/TB`] : []),
    ...shapeAndColours({ shortSide, metadata, mapHdr }),
  ].join(',');
}

type ImageOptions = Pick<Extraction, 'shortSide' | 'metadata' | 'mapHdr'>;

/** The filters that make frames of the shape and colours of extracted ones, at the video's own times. */
export function imageFilters(options: ImageOptions): string[] {
  return [...deinterlacing(options.metadata), ...shapeAndColours(options)];
}

function deinterlacing({ interlaced }: VideoMetadata): string[] {
  // All frames get the size of the first one, because yadif requires a constant size.
  return interlaced ? ['scale=iw:ih', 'yadif=deint=interlaced'] : [];
}

function shapeAndColours({ shortSide, metadata, mapHdr }: ImageOptions): string[] {
  return [scaling(shortSide), ...(metadata.hdr && mapHdr ? toneMapping(metadata.hdr) : [])];
}

/** Whether the video is so short that the frame rate filter would drop its only frame. */
function isShorterThanFrame({ kind, duration }: VideoMetadata, fps: number): boolean {
  return kind === 'image' || (duration !== null && duration * fps < 1);
}

/** Makes pixels square by enlarging one side, and scales down frames whose short side is longer than `shortSide`. */
function scaling(shortSide: number | null): string {
  const [width, height] = ['iw*max(sar,1)', 'ih/min(sar,1)'];
  if (shortSide === null) return `scale=w='round(${width})':h='round(${height})',setsar=1`;
  const isSmall = `lte(min(${width},${height}),${shortSide})`;
  // The longer side keeps the aspect ratio and is rounded to an even number.
  const side = (own: string, other: string) =>
    `'if(${isSmall},round(${own}),if(lte(${own},${other}),${shortSide},2*round(${shortSide}*${own}/(${other})/2)))'`;
  return `scale=w=${side(width, height)}:h=${side(height, width)},setsar=1`;
}

/** Brightness of white paper in HDR, in cd/m² (ITU-R BT.2408); it becomes about the white of SDR. */
const WHITE = 203;
/** Brightness up to which highlights are compressed, in cd/m². */
const PEAK = 1000;

/** Maps HDR to the colours of HD television. The lower half of the range stays, the upper half makes room for highlights. */
function toneMapping({ transfer, matrix, primaries }: HdrColours): string[] {
  const input = [
    `tin=${transfer}`,
    ...(matrix === null ? ['min=2020_ncl'] : []),
    ...(primaries === null ? ['pin=2020'] : []),
  ].join(':');
  return [
    // zscale accepts odd sizes only without chroma subsampling.
    'format=yuv444p10le|yuv444p12le|gbrp10le|gbrp12le',
    `zscale=${input}:t=linear:p=709:npl=${WHITE}`,
    'format=gbrpf32le',
    `tonemap=tonemap=mobius:param=0.5:desat=0:peak=${(PEAK / WHITE).toFixed(3)}`,
    'zscale=t=709:m=709:r=tv',
    'format=yuv444p',
  ];
}

/** Filters that HDR needs. libplacebo would work too, but needs a Vulkan device. */
const HDR_FILTERS = ['zscale', 'tonemap'];

/** The filters that this ffmpeg lacks to map HDR to SDR. Throws the reason of the abort. */
export async function missingHdrFilters(signal: AbortSignal): Promise<string[]> {
  let list = '';
  try {
    list = (await promisify(execFile)('ffmpeg', ['-hide_banner', '-filters'], { signal })).stdout;
  } catch {
    // An ffmpeg that cannot list its filters counts as one without them.
    signal.throwIfAborted();
  }
  const names = new Set(list.split('\n').map((line) => /^\s*[A-Z.|]{2,4}\s+(\w+)\s/.exec(line)?.[1]));
  return HDR_FILTERS.filter((name) => !names.has(name));
}

const NAMED = 5;

/** A sentence about HDR videos whose colours are not mapped to SDR. */
export function washedOut(videos: readonly string[], missing: readonly string[]): string {
  const names = videos.slice(0, NAMED).join(', ');
  const more = videos.length > NAMED ? ` and ${videos.length - NAMED} more` : '';
  return (
    `HDR video: the colours of ${names}${more} will look washed out, because this ffmpeg lacks ` +
    `${missing.length > 1 ? 'the filters' : 'the filter'} ${missing.join(' and ')} that would map HDR to SDR`
  );
}
