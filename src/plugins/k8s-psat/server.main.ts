import { servePlugin } from '../../plugin-sdk/index.ts';
import { psatServerNodeAttestor } from './server.ts';

await servePlugin(psatServerNodeAttestor);
