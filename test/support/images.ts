/** @file Images that sharp cannot make. */

const bytes = Buffer.from(
  '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFa' +
    'UGBKUVJP/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABcAAAMBAAAAAAAAAAAAAAAAAAAEBQf/xAAgEAABAgUFAAAAAAAAAAAAAAAAB0UE' +
    'BkODwkSBgsHD/9oADgRDAE0AWQBLAAA/AHlUa72BPkvW8MgRh5sehocBU27P/9k=',
  'base64',
);
const asYcck = Buffer.from(bytes);
asYcck[asYcck.indexOf('Adobe') + 11] = 2;

/** A CMYK image of 8×8 pixels in two colours, all rows alike, with what cv2.imread makes of it. */
export const cmykJpeg = {
  bytes,
  /** Without the segment that begins at the third byte and is 16 bytes long. */
  withoutMark: Buffer.concat([bytes.subarray(0, 2), bytes.subarray(18)]),
  /** The same numbers, taken for YCCK. */
  asYcck,
  /** RGB. */
  firstRow: [
    220, 36, 1, 214, 30, 1, 221, 34, 3, 214, 33, 1, 46, 167, 255, 47, 166, 253, 51, 171, 255, 45, 164, 254,
  ],
};

/** A TIFF file of CMYK pixels, stored as they are. */
export function cmykTiff(pixels: Uint8Array, width: number, height: number): Buffer {
  const entries = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    // Four times 8 bits, which stand behind the header.
    [258, 3, 4, 8],
    [259, 3, 1, 1],
    // CMYK.
    [262, 3, 1, 5],
    [273, 4, 1, 16],
    [277, 3, 1, 4],
    [278, 4, 1, height],
    [279, 4, 1, pixels.length],
  ];
  const directory = Buffer.alloc(2 + 12 * entries.length + 4);
  directory.writeUInt16LE(entries.length);
  entries.forEach(([tag, type, count, value], i) => {
    directory.writeUInt16LE(tag, 2 + 12 * i);
    directory.writeUInt16LE(type, 4 + 12 * i);
    directory.writeUInt32LE(count, 6 + 12 * i);
    directory.writeUInt32LE(value, 10 + 12 * i);
  });
  const header = Buffer.alloc(16);
  header.write('II*', 'latin1');
  header.writeUInt32LE(16 + pixels.length, 4);
  for (let channel = 0; channel < 4; channel++) header.writeUInt16LE(8, 8 + 2 * channel);
  return Buffer.concat([header, pixels, directory]);
}
