/**
 * Writes to a datastore until it is killed, or `count` times: each transaction creates two entries and updates one.
 * Prints a line with the name of each transaction that was committed. Arguments: path, prefix, count.
 */
import { writeSync } from 'node:fs';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { id, newEntry, selectors } from './fixtures.ts';

const [path = '', prefix = '', count = 'Infinity'] = process.argv.slice(2);
await using datastore = await openDatastore({ path });
for (let n = 0; n < Number(count); n++) {
  const name = `${prefix}-${n}`;
  await datastore.transaction(async ({ entries }) => {
    await entries.create(newEntry({ id: `${name}-a`, spiffeId: id(`${name}-a`), selectors: selectors('a:1', 'b:2') }));
    await entries.create(newEntry({ id: `${name}-b`, spiffeId: id(`${name}-b`), selectors: selectors('a:1', 'b:2') }));
    await entries.update(`${name}-a`, { dnsNames: ['a.test'] });
  });
  writeSync(1, `${name}\n`);
}
