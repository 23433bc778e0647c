// The text that is compressed: words by a generator that is the same here and in text.rs, byte for byte.

import { readFileSync } from 'node:fs';

const SEED = 0x9e3779b9;
const LINE = 80;

const words = readFileSync(new URL('./words.txt', import.meta.url), 'latin1').trim().split(/\s+/);

// Fills shared memory, so that tasks can be given it without a copy.
export function sharedText(length) {
  const text = new SharedArrayBuffer(length);
  const bytes = new Uint8Array(text);
  let random = SEED;
  let column = 0;
  let at = 0;
  const put = (letter) => {
    if (at < length) bytes[at++] = letter;
  };
  while (at < length) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const word = pick(random >>> 0);
    for (let letter = 0; letter < word.length; letter++) put(word.charCodeAt(letter));
    column += word.length + 1;
    const ends = column >= LINE;
    put(ends ? 10 : 32);
    if (ends) column = 0;
  }
  return text;
}

// A word, those in front more often, or now and then a number: so do people write.
function pick(random) {
  const low = random & 0xffff;
  if (low < 0x0800) return String(random >>> 16);
  const high = random >>> 16;
  return words[Math.floor((Math.floor((low * high) / 65536) * words.length) / 65536)];
}

// FNV-1a, to see that both sides compress the same.
export function checksum(text) {
  let sum = 0x811c9dc5;
  for (const byte of new Uint8Array(text)) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum >>> 0;
}
