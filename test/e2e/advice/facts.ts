/** @file Parts of messages that name something to type, but propose nothing that a test can do. */

/** Statements about a run or its settings. */
const STATEMENTS = [
  'paths have backslashes, as on Windows; write them relative to AVA.FRAME_DIR',
  'write its content as plain lines; for annotations of other programs',
  // The page beside the templates of annotations.
  'Boxes and actions. There is no header.',
  'MODEL.WEIGHT is what it started from',
  // The kind of a page.
  'stmixer run',
  'evaluations run every SOLVER.EVAL_PERIOD epochs',
  // Differences between a checkpoint and the configuration, with the rates that both ways lead to.
  ' (checkpoint: ',
  ' × SOLVER.ITER_PER_EPOCH ',
  ': the run was made with ',
  '--no-head without --transfer: the training goes on',
  ', so that stmixer detect needs no --config-file',
  ': the run there cannot be moved into a subfolder: ',
  ' lie beyond the end of their video and show its last frame',
  'MODEL.STM.ACTION_CLASSES is ',
  'the numbers of the frames increase unevenly',
  ' is correct for one in ',
  'set by TF_NUM_INTRAOP_THREADS',
  'the mAP of ',
  // What an engine is. If it is not set up, its problems say how.
  ' sets it up',
  // A check of the configuration reports the same earlier.
  'MODEL.BACKBONE.CONV_BODY: expected ',
];

/** Examples in the help of commands, which another test parses. */
const EXAMPLES = [
  '--config-file my.yaml',
  '--config-file output/run/config.yaml',
  ' --out clips',
  'convert output/run',
  'report output/run',
  'detect --weights output/run',
];

/** Keys by which configurations of other programs are recognised. */
const OTHER_KEYS = [
  'TRAIN.ENABLE TRAIN.DATASET',
  'MODEL.ROI_ACTION_HEAD MODEL.IA_STRUCTURE',
  'MODEL.META_ARCHITECTURE MODEL.WEIGHTS',
];

/** Messages of the set-up of libtensorflow, which takes minutes and needs a network. */
const INSTALLATIONS = [
  'onnxruntime-node holds ONNX Runtime ',
  'Sets up the tensorflow engine: ',
  '--from and --download exclude each other',
  'already set up (--force does it anew)',
  ' was built without CUDA: --gpu takes the wheel named tensorflow',
  "running the npm package's own install script",
  'it trains: loss ',
];

/** What a machine without a usable GPU lacks. Installing it takes the rights of an administrator, and a GPU. */
const GPUS = [
  'in a terminal to see why, or use --device cpu, which needs none',
  'install it: apt-get install libvulkan1',
  'for AMD and Intel: apt-get install mesa-vulkan-drivers',
  'it needs some libraries of X11: ',
  '--device gpu uses the processor all the same',
  'install a newer Mesa; 25.0 is known to work',
  'ENGINE.GPU_INDEX is ',
  'Update its driver, or use --device cpu',
  'in a container, start it with --gpus all (NVIDIA) or --device /dev/dri',
  'Let CUDA_VISIBLE_DEVICES and ENGINE.GPU_INDEX give each another one, or start ',
  'per machine: mpirun -np ',
];

/** Limits of the system, and an incomplete program, which a test cannot provoke and repair. */
const LIMITS = [
  'Set DATALOADER.NUM_WORKERS to a smaller number',
  'run npm ci in ',
  'install it again: npm install --ignore-scripts stmixer',
  'run npm run build in ',
  'run npm ci and npm run build in ',
  'for example with: ulimit -v unlimited',
  'for example with: ulimit -u 4096',
  'stmixer needs Node ',
  'stmixer cannot start: ',
  'In a clone, run: npm run build. Otherwise install the package again.',
  'Too many files are open: start it from a new shell',
];

/** Messages about several processes, whose advice test/distributed/advice.test.ts follows: it takes a launcher of MPI. */
const PROCESSES = [
  '--replay runs as one process: start it without mpirun or srun',
  'For a training of its own in each process, set STMIXER_MPI=none',
  'start them with srun --mpi=pmix or --mpi=pmi2',
  'use the mpirun of this MPI, or set STMIXER_MPI to the libmpi.so of that ',
  'Start node_modules/.bin/stmixer itself',
  'Set STMIXER_MPI to the libmpi.so that belongs to it',
  'Use a multiple of ',
];

export const FACTS: readonly string[] = [
  ...STATEMENTS,
  ...EXAMPLES,
  ...OTHER_KEYS,
  ...INSTALLATIONS,
  ...GPUS,
  ...LIMITS,
  ...PROCESSES,
];
