// Has a process end while it is read, and another take its number; prints what the reader is told. For a PID namespace of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readProcessFile, withSameProcess } from '../../../src/plugins/container/process-files.ts';

async function start() {
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  return child;
}

const first = await start();
const pid = first.pid ?? 0;
let isSame = false;
try {
  await withSameProcess(pid, async () => {
    first.kill('SIGKILL');
    await once(first, 'exit');
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    isSame = (await start()).pid === pid;
    return await readProcessFile(pid, 'cgroup');
  });
} catch (error) {
  process.stdout.write(`same number ${isSame}: ${error instanceof Error ? error.message : error}\n`);
}
process.exit();
