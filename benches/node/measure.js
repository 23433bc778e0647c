// Measures one contestant of Node's side, all three jobs, and appends the samples to a file as JSON lines, in
// the form that benches/support/json.rs has.
//
//   node measure.js CONTESTANT [--round N] [--json FILE] [--test]

import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Piscina } from 'piscina';
import { Fifo } from './fifo.js';
import { BLOCK, run } from './jobs.js';
import { WorkerPool } from './pool.js';
import { checksum, sharedText } from './text.js';

const WORKERS = 2;

// Each has `runTask`, which gives a promise, and `close`.
const CONTESTANTS = {
  'by hand': () => new WorkerPool(WORKERS, path('./worker.js'), new Fifo()),
  'queue.shift()': () => new WorkerPool(WORKERS, path('./worker.js'), []),
  piscina: startPiscina,
  'one thread of Node': () => ({ runTask: async (task) => run(task), close: async () => {} }),
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    round: { type: 'string', default: '0' },
    json: { type: 'string' },
    test: { type: 'boolean', default: false },
  },
});
const name = positionals[0];
if (positionals.length !== 1 || !Object.hasOwn(CONTESTANTS, name)) {
  console.error(`name one contestant: ${Object.keys(CONTESTANTS).join(', ')}`);
  process.exit(2);
}

const size = (test, full) => (options.test ? test : full);
const TASKS = size(1_000, 200_000);
const FIB = size(15, 30);
const PIECES = size(4, 64);
// One run of `queue.shift()` takes half a minute as it is.
const RUNS = size(1, name === 'queue.shift()' ? 1 : 3);

const text = sharedText(PIECES * BLOCK);
const pool = CONTESTANTS[name]();
await measure('empty', 'tasks a second', () => empty(TASKS), () => empty(TASKS / 10));
if (name !== 'queue.shift()') {
  await measure('fib', 'ms', fibs, fibs);
  await measure('compress', 'MB/s', compressAll, compressAndCompare);
}
sample('text', 'checksum', checksum(text));
await pool.close();

// The median of a few runs that count, after one that does not: it compiles, and it checks what is dear to check.
async function measure(row, metric, work, warmUp) {
  await warmUp();
  const values = [];
  for (let done = 0; done < RUNS; done++) values.push(await work());
  values.sort((a, b) => a - b);
  sample(row, metric, values[RUNS >> 1]);
}

// All tasks at once, then all results: how many a second.
async function empty(tasks) {
  const start = performance.now();
  const promises = [];
  for (let value = 0; value < tasks; value++) promises.push(pool.runTask({ job: 'empty', value }));
  const results = await Promise.all(promises);
  const seconds = (performance.now() - start) / 1e3;
  expect(results.every((result, value) => result === value), 'an empty task answered with another value');
  return tasks / seconds;
}

// How many milliseconds 64 numbers take.
async function fibs() {
  const start = performance.now();
  const results = await all((block) => ({ job: 'fib', n: FIB, block }));
  const took = performance.now() - start;
  expect(results.every((result) => result === fibonacci(FIB)), 'fib is wrong');
  return took;
}

// How many megabytes of text a second.
async function compressAll() {
  const start = performance.now();
  await all((block) => ({ job: 'compress', text, block }));
  return (PIECES * BLOCK) / 1e3 / (performance.now() - start);
}

async function compressAndCompare() {
  const results = await all((block) => ({ job: 'compress', text, block }));
  const whole = Buffer.concat(results.map((gzip) => gunzipSync(gzip)));
  expect(whole.equals(new Uint8Array(text)), 'a block came back changed');
  const bytes = results.reduce((sum, gzip) => sum + gzip.byteLength, 0);
  sample('compress', 'part left', bytes / text.byteLength);
}

function all(task) {
  return Promise.all(Array.from({ length: PIECES }, (_, block) => pool.runTask(task(block))));
}

function fibonacci(n) {
  let [a, b] = [0, 1];
  for (let step = 0; step < n; step++) [a, b] = [b, a + b];
  return a;
}

// piscina as its documentation would have it for speed: as many threads, none that ends, nothing timed. Its own
// queue is one of constant cost.
function startPiscina() {
  const threads = { minThreads: WORKERS, maxThreads: WORKERS, idleTimeout: Infinity };
  const filename = path('./piscina_worker.js');
  const piscina = new Piscina({ filename, recordTiming: false, ...threads });
  return { runTask: (task) => piscina.run(task), close: () => piscina.destroy() };
}

function sample(row, metric, value) {
  const role = name.startsWith('one thread') ? 'baseline' : 'rival';
  const round = Number(options.round);
  const line = { kind: 'sample', bench: 'node', row, metric, rival: name, role, round, value };
  if (options.json) appendFileSync(options.json, `${JSON.stringify(line)}\n`);
  else console.log(`${name}: ${row}: ${value.toLocaleString('en')} ${metric}`);
}

function expect(holds, complaint) {
  if (!holds) throw new Error(complaint);
}

function path(file) {
  return fileURLToPath(new URL(file, import.meta.url));
}
