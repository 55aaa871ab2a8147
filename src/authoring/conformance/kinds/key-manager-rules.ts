import { HashAlgorithm, KeyType, type PublicKey } from '../../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { Status } from '../../../spiffe/status.ts';
import { expectRefusal, statusName } from '../outcome.ts';
import { Doubt, NotApplicable, type Rule, requireThat } from '../rule.ts';
import {
  findListed,
  generateKey,
  getPublicKey,
  isKnown,
  KEY_CALL,
  KEY_ID,
  KEY_TYPES,
  type KeyManagerClient,
  keyManagerOf,
  reasonNotToMake,
  refuseSignature,
  requireSameKey,
  sharedKeyManager,
} from './key-manager.ts';
import { HASHES, requireSignature, SALT_LENGTHS, type Scheme } from './signature.ts';

const DEFAULT: Scheme = { scheme: 'default' };
const SHA256 = HASHES[1];
const ABSENT = `${KEY_ID}-absent`;
const CONCURRENT_SIGNATURES = 32;
/** RSA keys of 4096 bits take their time. */
const SLOW_MS = 180_000;

const common = { source: '§8.1', level: 'must', needs: 'configured' } as const;

/** Key managers of both sides. */
export const keyManagerRules: readonly Rule[] = [
  {
    ...common,
    id: 'key-manager.generate',
    title: 'makes keys of all four types, and answers id, type, public key and fingerprint',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const refused: string[] = [];
      for (const { type, name } of KEY_TYPES) {
        const reason = await reasonNotToMake(client, type);
        if (reason === undefined) await generateKey(client, `${KEY_ID}-${name}`, type);
        else refused.push(`${name}: ${reason}`);
      }
      if (refused.length > 0) throw new Doubt(`it does not make every type, ${refused.join('; ')}`);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.get',
    title: 'answers the same key in GenerateKey, GetPublicKey and GetPublicKeys',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const key = await generateKey(client, KEY_ID, KeyType.EC_P256);
      requireSameKey(await getPublicKey(client, KEY_ID), key, 'GetPublicKey');
      requireSameKey(await findListed(client, KEY_ID), key, 'GetPublicKeys');
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.not-found',
    title: 'answers NOT_FOUND where GetPublicKey asks for a key that is not there',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      await expectRefusal(client.getPublicKey({ keyId: ABSENT }, KEY_CALL), 'a key that is not there', [
        Status.NotFound,
      ]);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-not-found',
    title: 'answers NOT_FOUND where SignData asks for a key that is not there',
    level: 'should',
    async check(subject) {
      await refuseSignature(await sharedKeyManager(subject), ABSENT, Status.NotFound);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-absent',
    title: 'signs nothing with a key that is not there',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const signerOpts = { $case: 'hashAlgorithm', value: HashAlgorithm.SHA256 } as const;
      const signing = client.signData({ keyId: ABSENT, data: new Uint8Array(32), signerOpts }, KEY_CALL);
      await expectRefusal(signing, 'SignData with a key that is not there');
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.empty-id',
    title: 'refuses a key id that is empty with INVALID_ARGUMENT',
    level: 'should',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const request = { keyId: '', keyType: KeyType.EC_P256 };
      const { status } = await expectRefusal(client.generateKey(request, KEY_CALL), 'GenerateKey with an empty id');
      await expectRefusal(client.getPublicKey({ keyId: '' }, KEY_CALL), 'GetPublicKey with an empty id');
      requireThat(status === Status.InvalidArgument, 'INVALID_ARGUMENT of GenerateKey', statusName(status));
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.key-type',
    title: 'refuses a key type that there is not',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      for (const keyType of [KeyType.UNSPECIFIED_KEY_TYPE, 99 as KeyType]) {
        await expectRefusal(client.generateKey({ keyId: ABSENT, keyType }, KEY_CALL), `a key of type ${keyType}`);
      }
      requireThat(!(await isKnown(client, ABSENT)), 'no key of a type that was refused', 'one');
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-ecdsa',
    title: 'signs digests of every hash with EC keys: ECDSA in DER, digests that are too long cut on the right',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const client = await sharedKeyManager(subject);
      for (const type of [KeyType.EC_P256, KeyType.EC_P384]) {
        const key = await generateKey(client, KEY_ID, type);
        for (const hash of HASHES) await requireSignature(client, key, hash, DEFAULT);
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-rsa',
    title: 'signs digests of every hash with RSA keys: PKCS #1 v1.5 over a DigestInfo',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const key = await generateKey(client, KEY_ID, KeyType.RSA_2048);
      for (const hash of HASHES) await requireSignature(client, key, hash, DEFAULT);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-pss',
    title: 'signs digests of every hash with RSA keys by PSS: salt_length -1, 0 and a number of bytes',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const key = await generateKey(client, KEY_ID, KeyType.RSA_2048);
      for (const saltLength of SALT_LENGTHS) {
        for (const hash of HASHES) await requireSignature(client, key, hash, { scheme: 'pss', saltLength });
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.sign-rsa-4096',
    title: 'signs with an RSA key of 4096 bits, by PKCS #1 v1.5 and by PSS',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const reason = await reasonNotToMake(client, KeyType.RSA_4096);
      if (reason !== undefined) throw new NotApplicable(`it makes no such key: ${reason}`);
      const key = await generateKey(client, KEY_ID, KeyType.RSA_4096);
      await requireSignature(client, key, SHA256, DEFAULT);
      await requireSignature(client, key, SHA256, { scheme: 'pss', saltLength: -1 });
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.fingerprint',
    title: 'keeps the fingerprint of a key over time, and has another for every key',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const [one, two] = await twoKeys(client);
      requireThat(one.fingerprint !== two.fingerprint, 'a fingerprint for each of two keys', 'the same');
      for (const hash of HASHES.slice(0, 3)) await requireSignature(client, one, hash, DEFAULT);
      requireSameKey(await getPublicKey(client, one.id), one, 'GetPublicKey after signatures');
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.overwrite',
    title: 'replaces the key of an id that is generated again: another key, another fingerprint, once in the list',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const before = await generateKey(client, KEY_ID, KeyType.EC_P256);
      const after = await generateKey(client, KEY_ID, KeyType.EC_P256);
      const isOther = Buffer.compare(before.pkixData, after.pkixData) !== 0;
      requireThat(isOther, 'another key after a second GenerateKey', 'the same');
      requireThat(before.fingerprint !== after.fingerprint, 'another fingerprint', 'the same');
      requireSameKey(await findListed(client, KEY_ID), after, 'GetPublicKeys after the second GenerateKey');
      await requireSignature(client, after, SHA256, DEFAULT);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.concurrent',
    title: 'signs with several keys at once, each signature by its own key',
    async check(subject) {
      const client = await sharedKeyManager(subject);
      const keys = await twoKeys(client);
      const signatures = Array.from({ length: CONCURRENT_SIGNATURES }, (_, index) => {
        const key = keys[index % 2] ?? keys[0];
        return requireSignature(client, key, SHA256, DEFAULT, `message ${index}`);
      });
      await Promise.all(signatures);
      return undefined;
    },
  },
  {
    ...common,
    id: 'key-manager.restart',
    title: 'finds a key again after a restart as the same key, or not at all',
    async check(subject) {
      const first = await subject.start();
      await first.ready();
      const key = await generateKey(await keyManagerOf(subject, first), KEY_ID, KeyType.EC_P256);
      first.kill();
      await first.trial.process.exited;
      const second = await subject.start();
      await second.ready();
      const client = await keyManagerOf(subject, second);
      const found = await findListed(client, KEY_ID);
      if (found === undefined) return 'its keys end with its process';
      requireSameKey(found, key, 'GetPublicKeys after a restart');
      await requireSignature(client, key, SHA256, DEFAULT);
      return 'its keys are there after a restart';
    },
  },
];

async function twoKeys(client: KeyManagerClient): Promise<readonly [PublicKey, PublicKey]> {
  const one = await generateKey(client, `${KEY_ID}-1`, KeyType.EC_P256);
  return [one, await generateKey(client, `${KEY_ID}-2`, KeyType.EC_P384)];
}
