/**
 * @file Compares the engine with PyTorch's reference values in float32: the golden tests of the detector, the solver and the
 * submodules, without vitest. STMIXER_GOLDEN_DIR is the folder with the values.
 *
 *   node goldens.js ENGINE
 */
import type { EngineName } from '../../src/engine/index.js';
import { selectEngine } from '../../src/engine/index.js';

const name = process.argv[2] as EngineName;
const engine = await selectEngine({ engine: name, strict: true });
console.log(engine.description);
// Imported late, because the tests compute on the engine in use.
await import('../../test/golden/submodules.golden.test.js');
await import('../../test/golden/solver.golden.test.js');
await import('../../test/golden/detector.golden.test.js');
