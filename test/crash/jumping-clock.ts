// Loaded before a program (`node --import`): its clock is that of the machine and so many milliseconds, which the file
// CLOCK_FILE has and a test writes. The program knows nothing of it.
import { readFileSync } from 'node:fs';

const { CLOCK_FILE = '' } = process.env;
const MachineDate = Date;
let offsetMs = 0;

function read(): void {
  try {
    offsetMs = Number(readFileSync(CLOCK_FILE, 'utf8'));
  } catch {
    // being written
  }
}

read();
setInterval(read, 100).unref();

class JumpingDate extends MachineDate {
  constructor(...parameters: readonly []) {
    if (parameters.length === 0) super(MachineDate.now() + offsetMs);
    else super(...parameters);
  }

  static override now(): number {
    return MachineDate.now() + offsetMs;
  }
}
globalThis.Date = JumpingDate as DateConstructor;
