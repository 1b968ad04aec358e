/** @file Addresses and devices that are given where a file is expected: what they are, and what to do instead. */
import { shellWord } from './text.js';

/** What the address should lead to. */
export type Wanted = 'video' | 'weights' | 'file' | 'folder';

const LIVE = /^(?:rtsps?|rtmp[a-z]*|rtp|srtp|udp|tcp|srt|mms[a-z]*|rist|whep|webrtc|ndi):\/{1,2}/i;
const WEB = /^(?:https?|ftps?|sftp):\/{1,2}/i;
const CLOUD = /^(?:s3a?|gs|gcs|az|abfss?|wasbs?|oss|cos|obs|hdfs|b2|r2):\/{1,2}/i;
const ANY_SCHEME = /^[a-z][a-z\d+.-]+:\/\//i;
/** Addresses as browsers show them, without a scheme. */
const BARE_SITE = /^(?:www\.[\w-]+\.\w+|youtu\.be|(?:m\.)?youtube\.com|huggingface\.co|github\.com)(?:\/|$)/i;
const CAMERA = /^(?:\/dev\/video\d*|v4l2:.*|video=.*|webcam|camera)$/i;
const CAMERA_NUMBER = /^\d{1,2}$/;
const VIDEO_SITE = /(?:^|[/.])(?:youtube\.com|youtu\.be|vimeo\.com|bilibili\.com)\b/i;

/** Whether a text that names no file is an address. */
function isAddress(text: string): boolean {
  return [LIVE, WEB, CLOUD, ANY_SCHEME, BARE_SITE].some((pattern) => pattern.test(text));
}

/**
 * Says that an address or a device cannot be read, and what to do instead; null for anything that may be a path. Call it before
 * looking for a file.
 */
export function addressProblem(text: string, wanted: Wanted): string | null {
  if (wanted === 'video') {
    const source = liveProblem(text);
    if (source !== null) return source;
  }
  if (!isAddress(text)) return null;
  if (/^file:\/\//i.test(text))
    return `file addresses are not read; give the path alone: ${text.replace(/^file:\/\/(?:localhost)?/i, '')}`;
  if (wanted === 'folder')
    return 'this is an address, and only local folders are read; copy the folder to this machine, or mount it';
  const what = { video: 'a video', weights: 'weights', file: 'a file' }[wanted];
  if (CLOUD.test(text))
    return `addresses of cloud storage are not read yet; copy ${what} to this machine first, and give the path of the copy`;
  if (wanted === 'video' && VIDEO_SITE.test(text))
    return 'addresses of video sites are not read; download the video first, e.g. with yt-dlp, and give the path of the file';
  return `addresses are not read yet; download ${what} first, e.g. with curl -LO, and give the path of the file`;
}

/** Says that results cannot be written to an address; null for a path. */
export function outputAddressProblem(text: string): string | null {
  if (!ANY_SCHEME.test(text)) return null;
  return 'this is an address, and results are written into local folders only; give a path, and copy the results afterwards';
}

/** What is wrong with a path that does not exist: that it is an address, or else `missing`. */
export function absenceOf(path: string, wanted: Wanted, missing: string): string {
  return addressProblem(path, wanted) ?? missing;
}

function liveProblem(text: string): string | null {
  if (CAMERA.test(text) || CAMERA_NUMBER.test(text)) {
    const device = text.startsWith('/dev/') ? text : '/dev/video0';
    return (
      'cameras are not read yet; record a video first, and give its path. On Linux, this records a minute: ' +
      `ffmpeg -f v4l2 -i ${device} -t 60 camera.mp4`
    );
  }
  if (text === '-' || text === '/dev/stdin' || /^pipe:\d*$/.test(text))
    return 'standard input is not read; save the video to a file, and give its path';
  if (LIVE.test(text) || /^https?:.*\.(?:m3u8|mpd|mjpe?g)(?:[?#]|$)/i.test(text)) {
    return (
      'streams are not read yet; record a part of the stream to a file first, and give the path of the file. This records a minute: ' +
      `ffmpeg -i ${shellWord(withoutPassword(text))} -t 60 -c copy stream.mp4`
    );
  }
  return null;
}

/** An address without the name and password in it, for messages and logs. */
export function withoutPassword(text: string): string {
  return text.replace(/^([a-z][a-z\d+.-]*:\/\/)[^/@\s]*@/i, '$1USER:PASSWORD@');
}
