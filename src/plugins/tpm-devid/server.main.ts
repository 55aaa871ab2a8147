import { servePlugin } from '../../plugin-sdk/index.ts';
import { devidServerNodeAttestor } from './server.ts';

await servePlugin(devidServerNodeAttestor);
