import { servePlugin } from '../../plugin-sdk/index.ts';
import { sshpopServerNodeAttestor } from './server.ts';

await servePlugin(sshpopServerNodeAttestor);
