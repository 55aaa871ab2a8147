// Stores fifty entries at once in an SQLite file, and ends as SIGKILL does: what it wrote is in the write-ahead log.
import { openDatastore } from '../../src/datastore/datastore.ts';
import { id, newEntry, selectors } from '../datastore/fixtures.ts';

const [path = ''] = process.argv.slice(2);
const datastore = await openDatastore({ path });
const two = selectors('unix:uid:1000', 'unix:gid:1000');
const entries = Array.from({ length: 50 }, (_, index) => newEntry({ spiffeId: id(`w/${index}`), selectors: two }));
await datastore.entries.createMany(entries);
process.kill(process.pid, 'SIGKILL');
