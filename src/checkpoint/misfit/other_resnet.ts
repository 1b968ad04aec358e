/** @file Recognises weights that do not fit a ResNet: of another number of pathways, of an image model, of a ViT. */
import { STEM } from '../resnet_parts.js';

type Shapes = ReadonlyMap<string, readonly number[]>;

/** The network with these tensors, by PySlowFast's names; null if it is none of PySlowFast's. */
export function resnetTitle(shapes: Shapes): string | null {
  if (!shapes.has(STEM)) return null;
  return shapes.has(STEM.replace('pathway0', 'pathway1')) ? 'SlowFast' : 'SlowOnly';
}

/** A configuration of each network. */
const CONFIGS: Readonly<Record<string, string>> = {
  SlowOnly: 'config_files/PySlowonly-R50-K400-4x16.yaml',
  SlowFast: 'config_files/PySlowfast-R50-K400-8x8.yaml',
};

const IMAGE_AXES = 4;

/**
 * Says which other network the weights of a file belong to if they are those of one of PySlowFast's ResNets, and the model is
 * one, too; null if they seem to fit.
 */
export function otherResnet(inFile: Shapes, inModel: Shapes): string | null {
  const [theirs, ours] = [resnetTitle(inFile), resnetTitle(inModel)];
  if (theirs === null || ours === null) return null;
  const kernel = inFile.get(STEM)!;
  if (kernel.length === IMAGE_AXES) {
    return (
      `holds weights of an image model: the kernel of its stem is [${kernel}], and that of this model, which sees several frames, is ` +
      `[${inModel.get(STEM)}]. Use weights that were pre-trained on video`
    );
  }
  if (theirs === ours) return null;
  return (
    `holds weights of ${theirs}, and this model is ${ours}. Use weights of ${ours}, or a configuration of ${theirs}, such as ` +
    CONFIGS[theirs]
  );
}
