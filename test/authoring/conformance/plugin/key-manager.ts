import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  HashAlgorithm,
  KeyManagerDefinition,
  KeyType,
  type SignDataRequest,
} from '../../../../src/gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { type KeyRecord, SoftwareKeys } from '../../../../src/plugin-sdk/index.ts';
import { hashName, keyTypeName, keyTypeNumber } from '../../../../src/plugin-sdk/key-algorithms.ts';
import type { SignatureOptions } from '../../../../src/plugin-sdk/key-manager.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import type { PluginState } from './state.ts';

export function keyManager(state: PluginState): BoundService {
  const keys = new SoftwareKeys();
  let last = '';
  let gets = 0;
  const toWire = ({ id, type, publicKey, fingerprint }: KeyRecord) => ({
    id: state.has('key-id') ? `${id}-other` : id,
    type: keyTypeNumber(type),
    pkixData: publicKey,
    fingerprint: fingerprintOf(state, fingerprint, () => gets++),
  });
  return bindService(KeyManagerDefinition, {
    generateKey: async ({ keyId, keyType }) => {
      await state.enter();
      if (keyId === '' && !state.has('empty-id')) throw new SpiffeError('ARGUMENT_INVALID', 'no key id');
      if (state.has('overwrite-keeps') && keyId !== '' && keys.find(keyId)) {
        const found = keys.find(keyId);
        if (found && keyTypeNumber(found.type) === keyType) return { publicKey: toWire(found) };
      }
      const isAny = state.has('any-key-type') && ![1, 2, 3, 4].includes(keyType);
      const type = isAny ? KeyType.EC_P256 : keyType;
      const made = await keys.generate(keyId, keyTypeName(state.has('one-key-type') ? KeyType.EC_P256 : type));
      if (state.has('restart') && keyId === 'assayer-conformance') writeFileSync(state.file, keyId);
      return { publicKey: toWire(made) };
    },
    getPublicKey: async ({ keyId }) => {
      await state.enter();
      const found = keys.find(keyId);
      if (found) return { publicKey: toWire(found) };
      throw new SpiffeError(state.has('not-found-internal') ? 'INTERNAL' : 'KEY_NOT_FOUND', 'no such key');
    },
    getPublicKeys: async () => {
      await state.enter();
      if (state.has('restart') && keys.list().length === 0 && existsSync(state.file)) {
        await keys.generate(readFileSync(state.file, 'utf8'), 'ec-p256');
      }
      const list = state.has('list-empty') ? [] : keys.list().map(toWire);
      return { publicKeys: state.has('list-twice') ? [...list, ...list] : list };
    },
    signData: async ({ keyId, data, signerOpts }) => {
      await state.enter();
      const before = last;
      last = keyId;
      const id = state.has('mixes-keys') && keys.find(before) ? before : keyId;
      const found = keys.find(id);
      if (found === undefined && state.has('sign-absent')) {
        return { signature: Uint8Array.of(1), keyFingerprint: 'any' };
      }
      if (found === undefined) {
        throw new SpiffeError(state.has('sign-not-found-internal') ? 'INTERNAL' : 'KEY_NOT_FOUND', 'no such key');
      }
      const { digest, options } = spoil(state, found, data, optionsOf(signerOpts));
      const { signature } = keys.sign(id, digest, options);
      return { signature, keyFingerprint: toWire(keys.find(keyId) ?? found).fingerprint };
    },
  });
}

function fingerprintOf(state: PluginState, fingerprint: string, count: () => number): string {
  if (state.has('fingerprint-same')) return 'one for all';
  return state.has('fingerprint-changes') ? `${fingerprint}-${count()}` : fingerprint;
}

function optionsOf(signerOpts: SignDataRequest['signerOpts']): SignatureOptions {
  const algorithm = signerOpts?.$case === 'pssOptions' ? signerOpts.value.hashAlgorithm : signerOpts?.value;
  const hash = hashName(algorithm ?? HashAlgorithm.UNSPECIFIED_HASH_ALGORITHM);
  if (hash === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'no such hash');
  if (signerOpts?.$case !== 'pssOptions') return { scheme: 'default', hash };
  return { scheme: 'pss', hash, saltLength: signerOpts.value.saltLength };
}

/** Signs what was not asked for, in one of the schemes. */
function spoil(state: PluginState, { type }: KeyRecord, data: Uint8Array, options: SignatureOptions) {
  const isEc = type.startsWith('ec-');
  const isDefault = options.scheme === 'default';
  const wrong = { digest: Uint8Array.from(data, (octet) => octet ^ 1), options };
  if (state.has('sign-ecdsa') && isEc) return wrong;
  if (state.has('sign-ecdsa-long') && isEc && data.length > 48) return wrong;
  if (state.has('sign-rsa') && !isEc && isDefault) return wrong;
  if (state.has('sign-rsa-4096') && type === 'rsa-4096') return wrong;
  if (state.has('sign-pss') && options.scheme === 'pss') {
    return { digest: data, options: { ...options, saltLength: -1 } };
  }
  return { digest: data, options };
}
