"""Times the official AVA evaluator on the files of `npm run bench:evaluator -- DIR`.

    python3 bench/official_evaluator.py CHECKOUT DIR

CHECKOUT is a clone of the official STMixer repository; it takes numpy alone.
"""
import importlib
import logging
import pathlib
import resource
import sys
import time
import types

import numpy as np

# The official code is older than numpy 1.24, which took these names away.
np.bool, np.float, np.NAN = bool, float, np.nan

checkout, folder = map(pathlib.Path, sys.argv[1:3])
# Only the evaluation folder is imported: the packages above it need torch and CUDA code.
package = types.ModuleType("official")
package.__path__ = [str(checkout / "alphaction/dataset/datasets/evaluation/ava")]
sys.modules["official"] = package
ava = importlib.import_module("official.ava_eval")

log = logging.getLogger("official")
# The csv of detections is there already.
ava.write_csv = lambda *_: None
paths = {
    "csv_gt_file": folder / "gt.csv",
    "labelmap_file": folder / "label_map.pbtxt",
    "exclusion_file": folder / "excluded.csv",
}
begin = time.time()
metrics = ava.evaluate_predictions_on_ava(paths, None, folder / "detections.csv", log)
seconds = time.time() - begin
print(f"mAP {metrics['PascalBoxes_Precision/mAP@0.5IOU']:.10f}, {seconds:.1f} s, "
      f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
