import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { readBootPolicyFile } from '../../../config/boot-policy.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import {
  MAX_POLICY_FILE_BYTES,
  openSignedPolicy,
  parsePolicyKey,
  policyHash,
} from '../../../tpm/policy/signed-policy.ts';
import { defineCommand } from '../../command.ts';
import { text } from '../../flag-kinds.ts';
import { MAX_KEY_BYTES } from '../../policy-file.ts';
import { readInputBytes } from '../../read-input-file.ts';
import { writePublicFile } from '../../written-files.ts';

export const tpmPolicySign = defineCommand({
  summary: 'Sign policies for "policy_path", after they were checked',
  flags: {
    key: text('Private key in PEM: Ed25519, or on P-256, P-384 or P-521', 'FILE'),
    write: text('File for the signed policies; standard output without it', 'FILE'),
  },
  operands: 'POLICY',
  flagsFollow: true,
  run: async ({ key: keyPath, write }, terminal, [path, ...more]) => {
    if (path === undefined || more.length > 0) throw new SpiffeError('ARGUMENT_INVALID', 'give one file of policies');
    if (keyPath === '') throw new SpiffeError('ARGUMENT_INVALID', 'give the private key with -key');
    const payload = await readInputBytes(path, MAX_POLICY_FILE_BYTES);
    const { version } = readBootPolicyFile(payload.toString('utf8'), path);
    const key = await readPrivateKey(keyPath);
    const publicKey = parsePolicyKey(createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString());
    const signature = sign(policyHash(publicKey), payload, key);
    const envelope = { payload: payload.toString('base64'), signature: signature.toString('base64') };
    const content = `${JSON.stringify(envelope)}\n`;
    openSignedPolicy({ content: Buffer.from(content) }, publicKey); // as the attestor will, size included
    if (write === '') {
      terminal.print(content);
      return;
    }
    await writePublicFile(write, content);
    terminal.print(`${write}: version ${version}, signed\n`);
  },
});

async function readPrivateKey(path: string): Promise<KeyObject> {
  const pem = await readInputBytes(path, MAX_KEY_BYTES);
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `"${path}" is no private key in PEM without a password`, { cause });
  } finally {
    pem.fill(0);
  }
}
