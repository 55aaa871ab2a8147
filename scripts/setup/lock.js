import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { checkout } from './checkout.js';

/**
 * Runs `work` while no other set-up of this checkout does. The lock is a socket in Linux's abstract namespace: the kernel takes it
 * away with the process that held it, so there is never a stale one, and whoever waits is told by the end of the connection.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(work) {
  if (process.platform !== 'linux') return work();
  const address = `\0assayer-set-up-${createHash('sha256').update(checkout).digest('hex')}`;
  let server = await listen(address);
  if (server === undefined) process.stderr.write('set-up: waits for another set-up of this checkout\n');
  while (server === undefined) {
    await waitForRelease(address);
    server = await listen(address);
  }
  const waiting = new Set();
  server.on('connection', (socket) => waiting.add(socket.on('error', () => {})));
  try {
    return await work();
  } finally {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
}

async function listen(address) {
  const server = createServer();
  try {
    await once(server.listen(address), 'listening');
    return server;
  } catch (error) {
    if (error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
}

function waitForRelease(address) {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
}
