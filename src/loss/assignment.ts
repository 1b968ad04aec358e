/**
 * @file The linear assignment problem, solved by shortest augmenting paths over reduced costs (Jonker and Volgenant, 1987;
 * Crouse, 2016).
 */

/** Finds the min(rows, columns) pairs (row, column) of minimum total cost; cost is [rows, columns], row-major and finite. */
export function assign(cost: Float64Array, rows: number, columns: number): [number, number][] {
  if (rows <= columns) return new Assignment(cost, rows, columns).pairs();
  const transposed = new Float64Array(cost.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) transposed[c * rows + r] = cost[r * columns + c];
  }
  return new Assignment(transposed, columns, rows).pairs().map(([c, r]) => [r, c]);
}

/** A shortest path from an unassigned row to an unassigned column, in reduced costs. */
interface Path {
  /** The unassigned column. */
  readonly end: number;
  /** Length of the path. */
  readonly length: number;
  /** Distance of each column from the start. */
  readonly distance: Float64Array;
  /** 1 for columns whose distance is final. */
  readonly settled: Uint8Array;
  /** Rows on the way to the settled columns. */
  readonly visitedRows: readonly number[];
}

/** An assignment with rows ≤ columns, to which one row after the other is added. */
class Assignment {
  readonly #rowPrice: Float64Array;
  readonly #columnPrice: Float64Array;
  /** The row of each column; −1 for none. */
  readonly #rowOf: Int32Array;
  /** The column of each row; −1 for none. */
  readonly #columnOf: Int32Array;
  /** The row before each column on the path that is being searched. */
  readonly #cameFrom: Int32Array;

  constructor(
    private readonly cost: Float64Array,
    rows: number,
    private readonly columns: number,
  ) {
    this.#rowPrice = new Float64Array(rows);
    this.#columnPrice = new Float64Array(columns);
    this.#rowOf = new Int32Array(columns).fill(-1);
    this.#columnOf = new Int32Array(rows).fill(-1);
    this.#cameFrom = new Int32Array(columns);
  }

  pairs(): [number, number][] {
    for (let row = 0; row < this.#columnOf.length; row++) {
      const path = this.#shortestPath(row);
      this.#adjustPrices(row, path);
      this.#reassign(row, path.end);
    }
    return Array.from(this.#columnOf, (column, row) => [row, column]);
  }

  #shortestPath(start: number): Path {
    const distance = new Float64Array(this.columns).fill(Number.POSITIVE_INFINITY);
    const settled = new Uint8Array(this.columns);
    const visitedRows = [start];
    let row = start;
    let length = 0;
    for (;;) {
      let nearest = -1;
      for (let c = 0; c < this.columns; c++) {
        if (settled[c]) continue;
        const through =
          length + this.cost[row * this.columns + c] - this.#rowPrice[row] - this.#columnPrice[c];
        if (through < distance[c]) {
          distance[c] = through;
          this.#cameFrom[c] = row;
        }
        if (nearest < 0 || distance[c] < distance[nearest]) nearest = c;
        // At equal distance, an unassigned column ends the search sooner than an assigned one.
        else if (distance[c] === distance[nearest] && this.#rowOf[c] < 0 && this.#rowOf[nearest] >= 0)
          nearest = c;
      }
      length = distance[nearest];
      settled[nearest] = 1;
      row = this.#rowOf[nearest];
      if (row < 0) return { end: nearest, length, distance, settled, visitedRows };
      visitedRows.push(row);
    }
  }

  /** Keeps all reduced costs at least 0, and 0 along the path. */
  #adjustPrices(start: number, { length, distance, settled, visitedRows }: Path): void {
    for (const r of visitedRows)
      this.#rowPrice[r] += r === start ? length : length - distance[this.#columnOf[r]];
    for (let c = 0; c < this.columns; c++) if (settled[c]) this.#columnPrice[c] -= length - distance[c];
  }

  /** Assigns the rows of the path from `start` to the columns that follow them. */
  #reassign(start: number, end: number): void {
    for (let column = end; ; ) {
      const row = this.#cameFrom[column];
      this.#rowOf[column] = row;
      const next = this.#columnOf[row];
      this.#columnOf[row] = column;
      if (row === start) return;
      column = next;
    }
  }
}
