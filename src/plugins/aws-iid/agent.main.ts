import { servePlugin } from '../../plugin-sdk/index.ts';
import { awsAgentNodeAttestor } from './agent.ts';

await servePlugin(awsAgentNodeAttestor);
