// A telephone in front of a terminal: prints what its camera reads of the QR code on the screen.
//
// usage: node phone.mjs < SCREEN
//
// SCREEN is text with half blocks, two rows of the code in each line.

import { readFileSync } from 'node:fs';

import jsqr from 'jsqr';

const ABOVE = new Set(['█', '▀']);
const BELOW = new Set(['█', '▄']);
const lines = readFileSync(0, 'utf8').split('\n').filter((line) => /[█▀▄]{2}/.test(line));
const width = Math.max(0, ...lines.map((line) => [...line].length));
const drawn = lines.flatMap((line) => {
  const letters = [...line.padEnd(width)];
  return [ABOVE, BELOW].map((half) => letters.map((letter) => half.has(letter)));
});

// A camera sees more than one point for each square, and the screen around it.
const SCALE = 4;
const MARGIN = 6;

/** Reads it: drawn parts light, as on a dark screen, or dark, as on a light one. */
function read(light) {
  const side = (count) => (count + 2 * MARGIN) * SCALE;
  const [wide, high] = [side(width), side(drawn.length)];
  const points = new Uint8ClampedArray(wide * high * 4);
  for (let y = 0; y < high; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      const on = drawn[Math.floor(y / SCALE) - MARGIN]?.[Math.floor(x / SCALE) - MARGIN] ?? false;
      points.fill(on === light ? 255 : 0, (y * wide + x) * 4, (y * wide + x) * 4 + 3);
      points[(y * wide + x) * 4 + 3] = 255;
    }
  }
  return jsqr(points, wide, high, { inversionAttempts: 'dontInvert' })?.data;
}

const found = width > 0 ? [read(true), read(false)] : [];
console.log(`dark screen: ${found[0] ?? 'nothing'}`);
console.log(`light screen: ${found[1] ?? 'nothing'}`);
