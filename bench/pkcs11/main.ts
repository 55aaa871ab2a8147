import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { generateKey } from '../../src/pkcs11/key-objects.ts';
import { Pkcs11Module } from '../../src/pkcs11/pkcs11-module.ts';
import { SIGNATURE_BYTES, waysToSign } from '../../src/pkcs11/signing.ts';
import { TokenSession } from '../../src/pkcs11/token-session.ts';
import type { FromOwnRate, ToOwnRate } from './messages.ts';

// A module's own rate: threads that sign in a loop, a session each, and nothing else.

const DIGEST = new Uint8Array(32).fill(7);
const NAME = { label: 'bench-own-rate', ckaId: Buffer.from('bench-own-rate') };
const TEXT = 'no thread';

type Open = ToOwnRate & { readonly kind: 'open' };

/** @returns a function that signs once */
function openSession({ modulePath, label, pin, keyType }: Open, makesKey: boolean): () => void {
  const module = Pkcs11Module.load(modulePath);
  const { slot } = module.find({ label });
  const session = TokenSession.open(module.native, { slot, number: 1 });
  session.logIn(pin);
  if (makesKey) generateKey(session, NAME, keyType);
  const key = session.findPrivateKey(NAME);
  const isRsa = keyType === 'rsa-2048' || keyType === 'rsa-4096';
  const [way] = waysToSign(keyType, DIGEST, { scheme: isRsa ? 'rsa-pkcs1' : 'ecdsa', hash: 'sha256' });
  if (key === undefined || way === undefined) throw new Error('the token has no key');
  const { mechanism, data } = way();
  return () => void session.sign(key, mechanism, data, SIGNATURE_BYTES[keyType]);
}

function loop(sign: () => void, seconds: number): number {
  const end = performance.now() + seconds * 1000;
  let operations = 0;
  for (; performance.now() < end; operations += 1) sign();
  return operations;
}

function runThread(): void {
  const sign = openSession(workerData, false);
  parentPort?.on('message', (seconds: number) => parentPort?.postMessage(loop(sign, seconds)));
  parentPort?.postMessage(0);
}

function runProcess(): void {
  const threads: Worker[] = [];
  const post = (message: FromOwnRate) => process.send?.(message);
  const answers = async () =>
    (await Promise.all(threads.map((thread) => once(thread, 'message')))).map(([count]) => Number(count));
  const take = async (message: ToOwnRate): Promise<void> => {
    if (message.kind === 'open') {
      openSession(message, true);
      for (let count = 0; count < message.threads; count += 1) {
        threads.push(new Worker(new URL(import.meta.url), { workerData: message, execArgv: [] }));
      }
      await answers();
      post({ kind: 'opened' });
      return;
    }
    const start = performance.now();
    const counted = answers();
    for (const thread of threads) thread.postMessage(message.seconds);
    const operations = (await counted).reduce((total, count) => total + count, 0);
    post({ kind: 'turned', operations, seconds: (performance.now() - start) / 1000 });
  };
  process.on('message', (message: ToOwnRate) => {
    void take(message).catch((error: unknown) => {
      post({ kind: 'failed', reason: error instanceof Error ? error.message : TEXT });
    });
  });
}

if (isMainThread) runProcess();
else runThread();
