import { servePlugin } from '../../plugin-sdk/index.ts';
import { tpmServerNodeAttestor } from './server.ts';

await servePlugin(tpmServerNodeAttestor);
