import { servePlugin } from '../../plugin-sdk/index.ts';
import { tpmAgentNodeAttestor } from './agent.ts';

await servePlugin(tpmAgentNodeAttestor);
