/** @file The names of the formats that `stmixer data import` reads. */
export const FORMAT_NAMES = ['via', 'cvat', 'coco', 'label-studio'] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];
