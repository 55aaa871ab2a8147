import { KeyManagerDefinition as AgentKeyManager } from '../../../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import {
  HashAlgorithm,
  KeyType,
  type PublicKey,
  KeyManagerDefinition as ServerKeyManager,
} from '../../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import type { Client } from '../../../rpc/client.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { Status } from '../../../spiffe/status.ts';
import { keyTypeOfSpki, publicKeyOfSpki } from '../../../x509/spki.ts';
import { describeOutcome, expectAnswer, expectRefusal, outcomeOf, statusName } from '../outcome.ts';
import { Mismatch, requireThat } from '../rule.ts';
import type { Session } from '../session.ts';
import type { Subject } from '../subject.ts';

export type KeyManagerClient = Client<typeof ServerKeyManager>;

/** The host's own deadline for each call of a key manager. */
export const KEY_CALL = { deadlineMs: 30_000 };
/** What the kit's keys are called: a key manager has no way to remove them. */
export const KEY_ID = 'assayer-conformance';

export const KEY_TYPES = [
  { type: KeyType.EC_P256, name: 'EC_P256', found: 'ec-p256' },
  { type: KeyType.EC_P384, name: 'EC_P384', found: 'ec-p384' },
  { type: KeyType.RSA_2048, name: 'RSA_2048', found: 'rsa-2048' },
  { type: KeyType.RSA_4096, name: 'RSA_4096', found: 'rsa-4096' },
] as const;

/** Both sides' services have the same messages under different names. */
export async function keyManagerOf({ options }: Subject, session: Session): Promise<KeyManagerClient> {
  return options.kind.side === 'server'
    ? await session.client(ServerKeyManager)
    : await session.client(AgentKeyManager);
}

export async function sharedKeyManager(subject: Subject): Promise<KeyManagerClient> {
  return await keyManagerOf(subject, await subject.ready());
}

/** Makes a key, with all that a host looks at. @throws Mismatch */
export async function generateKey(client: KeyManagerClient, keyId: string, keyType: KeyType): Promise<PublicKey> {
  const { name, found } = KEY_TYPES.find(({ type }) => type === keyType) ?? KEY_TYPES[0];
  const what = `GenerateKey of ${name}`;
  const { publicKey } = await expectAnswer(client.generateKey({ keyId, keyType }, KEY_CALL), what);
  const key = requireKey(publicKey, keyId, what);
  requireThat(key.type === keyType, `type ${name} (${keyType})`, `${key.type}`);
  const actual = typeOf(key);
  requireThat(actual === found, `a key of type ${found}`, actual);
  return key;
}

/**
 * Why there are no keys of a type: hardware has some that it cannot make, and says so by FAILED_PRECONDITION. Undefined where
 * there are, or the key manager fails otherwise.
 */
export async function reasonNotToMake(client: KeyManagerClient, keyType: KeyType): Promise<string | undefined> {
  if (keyType === KeyType.EC_P256) return undefined; // which every host asks for
  const outcome = await outcomeOf(client.generateKey({ keyId: KEY_ID, keyType }, KEY_CALL));
  return outcome.ok || outcome.status !== Status.FailedPrecondition ? undefined : describeOutcome(outcome);
}

export async function getPublicKey(client: KeyManagerClient, keyId: string): Promise<PublicKey> {
  const { publicKey } = await expectAnswer(client.getPublicKey({ keyId }, KEY_CALL), 'GetPublicKey');
  return requireKey(publicKey, keyId, 'GetPublicKey');
}

/** The key of that id among all. @throws Mismatch where it is not there, or twice */
export async function findListed(client: KeyManagerClient, keyId: string): Promise<PublicKey | undefined> {
  const { publicKeys } = await expectAnswer(client.getPublicKeys({}, KEY_CALL), 'GetPublicKeys');
  const found = publicKeys.filter(({ id }) => id === keyId);
  requireThat(found.length <= 1, `the key ${keyId} once in GetPublicKeys`, `${found.length} times`);
  return found[0];
}

export function requireSameKey(key: PublicKey | undefined, expected: PublicKey, where: string): void {
  requireThat(key !== undefined, `the key ${expected.id} in ${where}`, 'none');
  const isSame = Buffer.compare(key.pkixData, expected.pkixData) === 0;
  requireThat(isSame, `the public key of ${expected.id} in ${where}, as it was made`, 'another one');
  const { fingerprint } = expected;
  requireThat(key.fingerprint === fingerprint, `fingerprint ${quoteText(fingerprint)}`, quoteText(key.fingerprint));
  requireThat(key.type === expected.type, `type ${expected.type} in ${where}`, `${key.type}`);
}

/** @throws Mismatch where nobody refuses it, or by another status than is expected */
export async function refuseSignature(client: KeyManagerClient, keyId: string, status: Status): Promise<void> {
  const signerOpts = { $case: 'hashAlgorithm', value: HashAlgorithm.SHA256 } as const;
  const signing = client.signData({ keyId, data: new Uint8Array(32), signerOpts }, KEY_CALL);
  const refusal = await expectRefusal(signing, `SignData with the key id ${quoteText(keyId)}`);
  requireThat(refusal.status === status, `${statusName(status)} of SignData`, statusName(refusal.status));
}

function requireKey(key: PublicKey | undefined, id: string, what: string): PublicKey {
  requireThat(key !== undefined, `a public key from ${what}`, 'none');
  requireThat(key.id === id, `the id ${quoteText(id)} from ${what}`, quoteText(key.id));
  requireThat(key.pkixData.length > 0, `pkix_data from ${what}`, 'none');
  requireThat(key.fingerprint !== '', `a fingerprint from ${what}`, 'an empty one');
  return key;
}

function typeOf({ pkixData }: PublicKey): string {
  try {
    publicKeyOfSpki(pkixData);
    return keyTypeOfSpki(pkixData);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new Mismatch('pkix_data that parses as a public key', reason, { cause });
  }
}

export async function isKnown(client: KeyManagerClient, keyId: string): Promise<boolean> {
  const outcome = await outcomeOf(client.getPublicKey({ keyId }, KEY_CALL));
  return outcome.ok || outcome.status !== Status.NotFound;
}
