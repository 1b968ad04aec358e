/** @file Outputs of a decoder stage under the names that the files of reference numbers use. */
import type { Detector } from '../../src/model/detector.js';

export const stageOutputs = (stage: ReturnType<Detector['forward']>[number]) => ({
  cls: stage.logits,
  action: stage.actions,
  delta_xyzr: stage.delta,
  spatial_queries: stage.spatial,
  temporal_queries: stage.temporal,
  xyzr: stage.xyzr,
  boxes: stage.boxes,
});
