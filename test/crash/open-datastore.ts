// Opens a datastore, whose place is the only argument, and closes it: what a server's start does to it.
import { openDatastore } from '../../src/datastore/datastore.ts';

const [place = ''] = process.argv.slice(2);
const datastore = await openDatastore(JSON.parse(place));
await datastore[Symbol.asyncDispose]();
