// What a task does, the same whoever runs it. main.rs does the same in Rust.

import { gzipSync } from 'node:zlib';

export const BLOCK = 128 * 1024;
const LEVEL = 6;

// A task is an object that structured clone copies cheaply; the text is shared memory, which is not copied.
export function run(task) {
  switch (task.job) {
    case 'empty':
      return task.value;
    case 'fib':
      return fib(task.n);
    case 'compress':
      return compress(task.text, task.block);
    default:
      throw new Error(`no job is called ${task.job}`);
  }
}

// By two calls a number, on purpose: a fixed amount of computing.
export function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

export function compress(text, block) {
  return gzipSync(new Uint8Array(text, block * BLOCK, BLOCK), { level: LEVEL });
}

// What may be moved to the receiver instead of being copied: the answer's memory, if nobody shares it.
export function movable(result) {
  const whole = ArrayBuffer.isView(result) && result.byteLength === result.buffer.byteLength;
  return whole ? [result.buffer] : [];
}
