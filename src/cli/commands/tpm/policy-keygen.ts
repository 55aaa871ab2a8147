import { generateKeyPairSync } from 'node:crypto';
import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { text } from '../../flag-kinds.ts';
import { NewFile } from '../../new-file.ts';

export const tpmPolicyKeygen = defineCommand({
  summary: 'Make a key that policies are signed with (Ed25519)',
  flags: {
    write: text('File for the private key, which must not be there; the public key goes beside it, with .pub', 'FILE'),
  },
  run: async ({ write }, terminal) => {
    if (write === '') throw new SpiffeError('ARGUMENT_INVALID', 'name the file of the private key with -write');
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    await using privateFile = await NewFile.create(write);
    await using publicFile = await NewFile.create(`${write}.pub`);
    await privateFile.write(Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
    await publicFile.write(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })));
    await privateFile.keep();
    await publicFile.keep();
    terminal.print(
      `${write}: keep it where policies are signed\n${write}.pub: for "policy_public_key_path" of the server\n`,
    );
  },
});
