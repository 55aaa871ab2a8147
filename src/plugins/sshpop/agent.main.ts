import { servePlugin } from '../../plugin-sdk/index.ts';
import { sshpopAgentNodeAttestor } from './agent.ts';

await servePlugin(sshpopAgentNodeAttestor);
