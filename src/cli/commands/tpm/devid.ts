import { resolve } from 'node:path';
import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { readDevidAuthority } from '../../devid-authority.ts';
import { type EnrolledDevid, enrolDevid } from '../../enrol-devid.ts';
import { durationSeconds, oneOf, text, toggle } from '../../flag-kinds.ts';
import { readInputBytes } from '../../read-input-file.ts';
import { deviceFlag, deviceOf } from '../../tpm-device-flag.ts';
import { requireFolder } from '../../written-files.ts';

const YEAR_SECONDS = 365 * 24 * 3600;
const MAX_PASSWORD_BYTES = 64;
const LINE_END = 0x0a;

export const tpmDevid = defineCommand({
  summary: 'Make a DevID key in the TPM, and a certificate request or, with a CA at hand, the certificate',
  flags: {
    device: deviceFlag,
    write: text('Folder for the key’s blobs, the request and the certificate', 'FOLDER'),
    keyType: oneOf('Type of the key', ['rsa-2048', 'ec-p256']),
    commonName: text('Common name of the certificate, such as the serial number of the machine', 'NAME'),
    sameKey: toggle('Take the key that is in the folder, for another certificate'),
    passwordFile: text('File with the password that each use of the key is to ask for', 'FILE'),
    ownerPasswordFile: text('File with the password of the TPM’s owner hierarchy', 'FILE'),
    caCert: text('Certificate of the CA that signs, PEM, followed by those above it', 'FILE'),
    caKey: text('Private key of that CA, PEM', 'FILE'),
    ttl: durationSeconds('How long the certificate is good for, where -caCert is given', YEAR_SECONDS),
  },
  run: async (flags, terminal) => {
    const { write, commonName, caCert, caKey } = flags;
    if (write === '') throw new SpiffeError('ARGUMENT_INVALID', '-write is needed: the folder that gets the files');
    if (commonName === '')
      throw new SpiffeError('ARGUMENT_INVALID', '-commonName is needed: what the certificate says');
    if ((caCert === '') !== (caKey === '')) {
      throw new SpiffeError('ARGUMENT_INVALID', '-caCert and -caKey belong together: give both, or none');
    }
    await requireFolder(write);
    const [owner, devid] = await Promise.all([flags.ownerPasswordFile, flags.passwordFile].map(readPassword));
    const enrolled = await enrolDevid({
      tcti: deviceOf(flags.device, terminal),
      folder: resolve(write),
      keyType: flags.keyType,
      sameKey: flags.sameKey,
      commonName,
      passwords: { owner: owner ?? new Uint8Array(0), devid: devid ?? new Uint8Array(0) },
      ...(caCert !== '' && {
        authority: { ca: await readDevidAuthority(caCert, caKey), ttlSeconds: flags.ttl },
      }),
    });
    // The request alone on standard output: "assayer tpm devid … | openssl x509 -req …".
    if (!enrolled.isCertified) terminal.print(enrolled.request);
    terminal.printError(nextSteps(enrolled));
  },
});

async function readPassword(path: string): Promise<Uint8Array> {
  if (path === '') return new Uint8Array(0);
  const content = await readInputBytes(path, 4096);
  const password = content.at(-1) === LINE_END ? content.subarray(0, -1) : content;
  if (password.length > 0 && password.length <= MAX_PASSWORD_BYTES) return password;
  const length = password.length;
  throw new SpiffeError(
    'FILE_UNUSABLE',
    `the password in "${path}" has ${length} bytes, not 1 to ${MAX_PASSWORD_BYTES}`,
  );
}

function nextSteps({ certificatePath, privatePath, publicPath, requestPath, isCertified }: EnrolledDevid): string {
  const first = isCertified
    ? `The certificate is in ${certificatePath}.`
    : `Have ${requestPath} signed, and put the certificate, followed by its intermediates, into ${certificatePath}.`;
  return `${first} For the agent:

NodeAttestor "tpm_devid" {
  plugin_data {
    devid_cert_path = ${JSON.stringify(certificatePath)}
    devid_priv_path = ${JSON.stringify(privatePath)}
    devid_pub_path  = ${JSON.stringify(publicPath)}
  }
}
`;
}
