import { createHash } from 'node:crypto';
import { DatastoreDefinition } from '../../../gen/assayer/server/datastore/v1/datastore.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { adminCommand } from '../../admin-channel.ts';
import { text } from '../../flag-kinds.ts';
import { NewFile } from '../../new-file.ts';

export const datastoreBackup = adminCommand({
  summary: 'Write a copy of the SQLite database into a file, while the server goes on',
  flags: { output: text('File to create; one that exists is never written over', 'FILE') },
  run: async ({ output }, { client, terminal }) => {
    if (output === '') throw new SpiffeError('ARGUMENT_INVALID', 'a file is required: use -output FILE');
    await using file = await NewFile.create(output);
    const hash = createHash('sha256');
    let bytes = 0n;
    for await (const { step } of client(DatastoreDefinition).backup({})) {
      switch (step?.$case) {
        case 'progress':
          terminal.printError(`${step.value.copiedPages} of ${step.value.totalPages} pages copied\n`);
          break;
        case 'chunk':
          hash.update(step.value);
          bytes += BigInt(step.value.length);
          await file.write(step.value);
          break;
        case 'done': {
          const isWhole = bytes === step.value.bytes && hash.digest().equals(step.value.sha256);
          if (!isWhole) throw new SpiffeError('INTERNAL', 'the backup did not arrive as it was sent: try again');
          await file.keep();
          terminal.print(`Backup of ${bytes} bytes written to ${output}\n`);
          return;
        }
      }
    }
    throw new SpiffeError('INTERNAL', 'the backup ended before it was whole: try again');
  },
});
