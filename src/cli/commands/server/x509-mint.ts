import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { BundleDefinition } from '../../../gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDDefinition } from '../../../gen/spire/api/server/svid/v1/svid.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseSpiffeId } from '../../../spiffe/spiffe-id.ts';
import { createCsr } from '../../../x509/csr.ts';
import { encodePem } from '../../../x509/pem.ts';
import { signerOfKeyObject } from '../../../x509/signer.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { durationSeconds, text, texts } from '../../flag-kinds.ts';
import { warnOfShortLife } from '../../short-life.ts';
import { requireFolder, writePrivateFile, writePublicFile } from '../../written-files.ts';

export const x509Mint = adminCommand({
  summary: 'Mint an X509-SVID without a registration entry',
  flags: {
    spiffeID: text('SPIFFE ID of the SVID', 'ID'),
    ttl: durationSeconds('Life of the SVID; 0s for the default of the server'),
    dns: texts('A DNS name for the SVID', 'NAME'),
    write: text('Folder to write svid.pem, key.pem and bundle.pem to instead of printing them', 'PATH'),
  },
  run: async ({ spiffeID, ttl, dns, write }, { client, terminal, isJson }) => {
    requireGiven(spiffeID, 'give the -spiffeID of the SVID');
    const id = parseSpiffeId(spiffeID);
    if (write !== '') await requireFolder(write);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = await createCsr({ signer: signerOfKeyObject(privateKey), uriNames: [id], dnsNames: dns });
    const { svid } = await client(SVIDDefinition).mintX509SVID({ csr, ttl });
    const { x509Authorities } = await client(BundleDefinition).getBundle({ outputMask: undefined });
    if (svid === undefined || svid.certChain.length === 0 || x509Authorities.length === 0) {
      throw new SpiffeError('INTERNAL', 'the answer of the server has no SVID chain or no X.509 authorities');
    }
    warnOfShortLife('X509-SVID', svid.expiresAt, ttl, terminal);
    const key = privateKey.export({ type: 'pkcs8', format: 'der' });
    const authorities = x509Authorities.map(({ asn1 }) => asn1);
    const pem = {
      svid: toPem(svid.certChain),
      key: encodePem('PRIVATE KEY', key),
      bundle: toPem(authorities),
    };
    if (write !== '') {
      // The key first: an SVID without its key is of no use to whoever sees the files appear.
      await writePrivateFile(join(write, 'key.pem'), pem.key);
      await writePublicFile(join(write, 'svid.pem'), pem.svid);
      await writePublicFile(join(write, 'bundle.pem'), pem.bundle);
      terminal.print(`X509-SVID written to ${join(write, 'svid.pem')}\n`);
      terminal.print(`Private key written to ${join(write, 'key.pem')}\n`);
      terminal.print(`Root CAs written to ${join(write, 'bundle.pem')}\n`);
    } else if (isJson) {
      const json = {
        x509_svid: svid.certChain.map(toBase64),
        private_key: toBase64(key),
        root_cas: authorities.map(toBase64),
      };
      terminal.print(`${JSON.stringify(json)}\n`);
    } else {
      terminal.print(`X509-SVID:\n${pem.svid}\nPrivate key:\n${pem.key}\nRoot CAs:\n${pem.bundle}\n`);
    }
  },
});

function toPem(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
