import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';

/** Where set-up remembers what it did; git ignores it. */
export const stampFolder = join(checkout, '.setup');

/**
 * @param {string} name
 * @returns {string | undefined} undefined where the step never ended well
 */
export function readStamp(name) {
  try {
    return readFileSync(join(stampFolder, name), 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {string} value one line
 */
export function writeStamp(name, value) {
  mkdirSync(stampFolder, { recursive: true });
  const path = join(stampFolder, name);
  writeFileSync(`${path}.${process.pid}`, `${value}\n`);
  renameSync(`${path}.${process.pid}`, path);
}

/** @param {string} name */
export function removeStamp(name) {
  rmSync(join(stampFolder, name), { force: true });
}
