import { SpiffeError } from '../spiffe/error.ts';
import { hexId } from './algorithms.ts';
import type { ClockInfo } from './attest.ts';
import { TpmReader } from './tpm-reader.ts';

/** TCG Algorithm Registry 1.34, table 3, as tpm2-tools write them. */
const ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [0x01, 'rsa'],
  [0x03, 'tdes'],
  [0x04, 'sha1'],
  [0x05, 'hmac'],
  [0x06, 'aes'],
  [0x07, 'mgf1'],
  [0x08, 'keyedhash'],
  [0x0a, 'xor'],
  [0x0b, 'sha256'],
  [0x0c, 'sha384'],
  [0x0d, 'sha512'],
  [0x10, 'null'],
  [0x12, 'sm3_256'],
  [0x13, 'sm4'],
  [0x14, 'rsassa'],
  [0x15, 'rsaes'],
  [0x16, 'rsapss'],
  [0x17, 'oaep'],
  [0x18, 'ecdsa'],
  [0x19, 'ecdh'],
  [0x1a, 'ecdaa'],
  [0x1b, 'sm2'],
  [0x1c, 'ecschnorr'],
  [0x1d, 'ecmqv'],
  [0x20, 'kdf1_sp800_56a'],
  [0x21, 'kdf2'],
  [0x22, 'kdf1_sp800_108'],
  [0x23, 'ecc'],
  [0x25, 'symcipher'],
  [0x26, 'camellia'],
  [0x27, 'sha3_256'],
  [0x28, 'sha3_384'],
  [0x29, 'sha3_512'],
  [0x3f, 'cmac'],
  [0x40, 'ctr'],
  [0x41, 'ofb'],
  [0x42, 'cbc'],
  [0x43, 'cfb'],
  [0x44, 'ecb'],
]);
/** The same, table 4. */
const CURVES: ReadonlyMap<number, string> = new Map([
  [0x01, 'p192'],
  [0x02, 'p224'],
  [0x03, 'p256'],
  [0x04, 'p384'],
  [0x05, 'p521'],
  [0x10, 'bnp256'],
  [0x11, 'bnp638'],
  [0x20, 'sm2p256'],
]);
const MAX_ITEMS = 256;

/** The names in a TPML_ALG_PROPERTY: Part 2, §10.9.4. One that is unknown is its number. */
export function readAlgorithmNames(bytes: Uint8Array): readonly string[] {
  const reader = new TpmReader(bytes, 'TPML_ALG_PROPERTY');
  return readList(reader, () => {
    const id = reader.u16();
    reader.u32(); // what it can be used for
    return ALGORITHMS.get(id) ?? hexId(id);
  });
}

/** The names in a TPML_ECC_CURVE: Part 2, §10.9.10. */
export function readCurveNames(bytes: Uint8Array): readonly string[] {
  const reader = new TpmReader(bytes, 'TPML_ECC_CURVE');
  return readList(reader, () => {
    const id = reader.u16();
    return CURVES.get(id) ?? hexId(id);
  });
}

/** The TPMS_CLOCK_INFO of a TPMS_TIME_INFO: Part 2, §10.11.2. */
export function readTimeInfo(bytes: Uint8Array): ClockInfo {
  const reader = new TpmReader(bytes, 'TPMS_TIME_INFO');
  reader.u64(); // since the power came
  const info = { clock: reader.u64(), resetCount: reader.u32(), restartCount: reader.u32(), safe: reader.u8() === 1 };
  reader.end();
  return info;
}

function readList(reader: TpmReader, readItem: () => string): readonly string[] {
  const count = reader.u32();
  if (count > MAX_ITEMS) throw new SpiffeError('TPM_DATA_INVALID', `the TPM lists ${count} of one kind`);
  const items = Array.from({ length: count }, readItem);
  reader.end();
  return items;
}
